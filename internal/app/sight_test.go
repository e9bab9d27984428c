package app_test

import (
	"encoding/json"
	"net/http"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"daybook/internal/testkit"
)

// metrics scrapes the service.
func (s *service) metrics() string {
	s.tb.Helper()
	a := s.browser().get("http://" + s.app.MetricsAddr() + "/metrics")
	if a.Status != http.StatusOK {
		s.tb.Fatalf("metrics: %d", a.Status)
	}
	return string(a.Body)
}

// lines returns what was logged, decoded.
func (s *service) lines() []map[string]any {
	s.tb.Helper()
	var lines []map[string]any
	for text := range strings.Lines(s.logs.String()) {
		var line map[string]any
		if err := json.Unmarshal([]byte(text), &line); err != nil {
			s.tb.Fatalf("a line is no JSON object: %q", text)
		}
		lines = append(lines, line)
	}
	return lines
}

// find waits for a line with the message and the members.
func (s *service) find(message string, members map[string]any) map[string]any {
	s.tb.Helper()
	var found map[string]any
	testkit.Await(s.tb, 10*time.Second, "a line "+message, func() bool {
		for _, line := range s.lines() {
			if line["msg"] == message && matches(line, members) {
				found = line
				return true
			}
		}
		return false
	})
	return found
}

func matches(line, members map[string]any) bool {
	for key, value := range members {
		if line[key] != value {
			return false
		}
	}
	return true
}

const clientTrace, clientSpan = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"

// TestOneTrace follows a request that a client traces: over the command, the
// append and the event's metadata to the row of the view and to the mail.
func TestOneTrace(t *testing.T) {
	collector := testkit.StartCollector(t)
	s := start(t, settings(t))
	const email = "traced@example.com"
	s.register(email)
	want(t, s.browser().post("/users/password-change/request-password-change/", map[string]any{"email": email},
		"Traceparent", "00-"+clientTrace+"-"+clientSpan+"-01"), http.StatusOK, "", "")
	s.awaitMail(email, subjectReset, 1)
	const request = "POST /users/password-change/request-password-change/"
	wanted := []string{request, "RequestReset", "eventstore append", "consume projection:accounts", "BATCH", "consume reactor:email", "mail reset"}
	byName := map[string]testkit.Span{}
	testkit.Await(t, 10*time.Second, "all spans of the trace", func() bool {
		for _, span := range collector.Spans() {
			if span.Trace == clientTrace {
				byName[span.Name] = span
			}
		}
		return !slices.ContainsFunc(wanted, func(name string) bool { return byName[name].ID == "" })
	})
	for child, parent := range map[string]string{
		"RequestReset": byName[request].ID, "eventstore append": byName["RequestReset"].ID,
		"consume projection:accounts": byName[request].ID, "consume reactor:email": byName[request].ID,
		"mail reset": byName[request].ID, request: clientSpan,
	} {
		if byName[child].Parent != parent {
			t.Errorf("%s hangs under %q, not %q", child, byName[child].Parent, parent)
		}
	}
	line := s.find("command", map[string]any{"command": "RequestReset", "trace_id": clientTrace})
	event := line["event_ids"].([]any)[0].(string)
	for _, name := range []string{"consume projection:accounts", "consume reactor:email"} {
		if !strings.Contains(byName[name].Attributes["daybook.event_ids"], event) {
			t.Errorf("%s does not name the event %s: %v", name, event, byName[name].Attributes)
		}
	}
	if !strings.Contains(byName["mail reset"].Attributes["daybook.event_id"], event) {
		t.Errorf("the mail does not name the event %s: %v", event, byName["mail reset"].Attributes)
	}
}

// TestLogJoins: from the id in an answer to the command, its events, and the mail.
func TestLogJoins(t *testing.T) {
	s := start(t, settings(t))
	const email = "joined@example.com"
	b := s.signedIn(email)
	a := b.post("/users/password-change/request-password-change/", map[string]any{"email": email})
	id := a.Header.Get("X-Request-Id")
	s.find("request", map[string]any{"request_id": id, "route": "/users/password-change/request-password-change/", "status": 200.0})
	command := s.find("command", map[string]any{"request_id": id, "command": "RequestReset", "outcome": "ok"})
	events := command["event_ids"].([]any)
	if len(events) != 1 || command["command_id"] == "" || command["account"] == "" {
		t.Fatalf("the command's line is %v", command)
	}
	s.find("mail sent", map[string]any{"event_id": events[0], "account": command["account"], "mail": "reset"})
	refused := s.browser().signIn(email, "not-the-password")
	s.find("command", map[string]any{"request_id": refused.Header.Get("X-Request-Id"), "command": "SignIn", "outcome": "invalid"})
	in := s.find("command", map[string]any{"command": "SignIn", "outcome": "ok"})
	if in["account"] != command["account"] || len(in["event_ids"].([]any)) != 1 {
		t.Errorf("the sign-in's line is %v", in)
	}
	for _, line := range s.lines() {
		if (line["route"] != nil || line["command"] != nil || line["command_id"] != nil) && line["request_id"] == nil {
			t.Errorf("a line about a request does not name it: %v", line)
		}
	}
}

var metricName = regexp.MustCompile(`(?m)^# HELP (daybook_\S+)`)

// TestMetricsAreDocumented goes a person's way and compares what is exported with
// docs/operations.md.
func TestMetricsAreDocumented(t *testing.T) {
	settings := settings(t)
	settings.MetricsAddr = "127.0.0.1:0"
	s := start(t, settings)
	b := s.signedIn("counted@example.com")
	want(t, b.patch(map[string]string{"first_name": "Grace"}, nil), http.StatusOK, "", "")
	want(t, s.browser().signIn("counted@example.com", "not-the-password"), http.StatusBadRequest, "", "")
	var text string
	// Ready is also who is a few events behind, and lags are measured once a second.
	testkit.Await(t, 10*time.Second, "everything is handled", func() bool {
		text = s.metrics()
		return strings.Contains(text, `daybook_consumer_lag_events{consumer="projection:accounts"} 0`+"\n") &&
			strings.Contains(text, `daybook_queue_jobs{state="running"} 0`+"\n") && strings.Contains(text, "daybook_ready 1\n")
	})
	for _, line := range []string{
		`daybook_http_requests_total{method="PATCH",route="/users/update-user/",status="200"} 1`,
		`daybook_commands_total{command="UpdateProfile",outcome="ok"} 1`,
		`daybook_commands_total{command="SignIn",outcome="invalid"} 1`,
		`daybook_events_appended_total{event="ProfileUpdated"} 1`,
		`daybook_mails_total{mail="activation",outcome="sent"} 1`,
		`daybook_part_up{part="event_store"} 1`,
		`daybook_part_up{part="projection:accounts"} 1`,
		`daybook_consumer_owner{consumer="reactor:email"} 1`,
		`daybook_consumer_connected{consumer="projection:accounts"} 1`,
		`daybook_consumer_lag_events{consumer="projection:accounts"} 0`,
		`daybook_password_queue{queue="verify",state="working"} 0`,
		`daybook_queue_jobs{state="running"} 0`,
		`daybook_pool_max_connections{pool="database"} 16`,
		`daybook_ready 1`,
	} {
		if !strings.Contains(text, line+"\n") {
			t.Errorf("there is no %s", line)
		}
	}
	for _, series := range []string{`daybook_eventstore_calls_total{operation="append",outcome="ok"}`, `daybook_consumer_events_total{consumer="projection:accounts"}`, "go_goroutines", "process_open_fds"} {
		if !strings.Contains(text, "\n"+series+" ") {
			t.Errorf("there is no %s", series)
		}
	}
	documented, err := os.ReadFile("../../docs/operations.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range metricName.FindAllStringSubmatch(text, -1) {
		if !strings.Contains(string(documented), "| `"+name[1]+"` |") {
			t.Errorf("docs/operations.md does not explain %s", name[1])
		}
	}
	for _, name := range regexp.MustCompile("(?m)^\\| `(daybook_\\w+)` \\|").FindAllStringSubmatch(string(documented), -1) {
		if !strings.Contains(text, "# HELP "+name[1]+" ") && name[1] != "daybook_append_conflicts_total" {
			t.Errorf("docs/operations.md explains %s, which is not exported", name[1])
		}
	}
}

// TestConflictsAreCounted has commands meet on one account.
func TestConflictsAreCounted(t *testing.T) {
	settings := settings(t)
	settings.MetricsAddr = "127.0.0.1:0"
	s := start(t, settings)
	b := s.signedIn("conflict@example.com")
	testkit.Await(t, 10*time.Second, "a conflict", func() bool {
		done := make(chan answer, 4)
		for _, field := range []string{"first_name", "last_name", "first_name", "last_name"} {
			body, contentType := form(t, map[string]string{field: "N" + strings.Repeat("x", len(done)+int(time.Now().UnixNano()%20))}, nil)
			go func() {
				a, err := b.try(http.MethodPatch, "/users/update-user/", body, contentType)
				if err != nil {
					t.Error(err)
				}
				done <- a
			}()
		}
		for range cap(done) {
			<-done
		}
		return strings.Contains(s.metrics(), `daybook_append_conflicts_total{command="UpdateProfile"}`)
	})
	if !strings.Contains(s.metrics(), `daybook_eventstore_calls_total{operation="append",outcome="conflict"}`) {
		t.Error("the event store's conflicts are not counted")
	}
}

// TestMetricsPortIsApart: the public port has no metrics, and a process without
// the API has its probes beside them.
func TestMetricsPortIsApart(t *testing.T) {
	settings := settings(t)
	settings.MetricsAddr = "127.0.0.1:0"
	s := start(t, settings)
	want(t, s.browser().get("/metrics"), http.StatusNotFound, "", "")
	for _, path := range []string{"/healthz", "/readyz"} {
		testkit.Await(t, 10*time.Second, path, func() bool {
			return s.browser().get("http://"+s.app.MetricsAddr()+path).Status == http.StatusOK
		})
	}
	for _, path := range []string{"/metrics", "/healthz", "/readyz", "/elsewhere"} { // as of the public port (C46)
		header := s.browser().get("http://" + s.app.MetricsAddr() + path).Header
		for name, value := range map[string]string{
			"X-Content-Type-Options": "nosniff", "Cache-Control": "no-store", "Referrer-Policy": "no-referrer",
			"Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
		} {
			if header.Get(name) != value {
				t.Errorf("%s: %s is %q", path, name, header.Get(name))
			}
		}
	}
}
