package app_test

import (
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"daybook/internal/app"
	"daybook/internal/embedded/kafka"
	"daybook/internal/messaging"
	"daybook/internal/testkit"
	"daybook/workers/relay"
)

// kafkaURL is what run.json tells of the embedded broker.
func kafkaURL(t *testing.T, s app.Settings) string {
	t.Helper()
	var running struct {
		KafkaURL string `json:"kafka_url"`
	}
	content, err := os.ReadFile(filepath.Join(s.DataDir, "run.json"))
	if err == nil {
		err = json.Unmarshal(content, &running)
	}
	if err != nil || running.KafkaURL == "" {
		t.Fatalf("run.json names no broker: %v %s", err, content)
	}
	return running.KafkaURL
}

// published is a CloudEvent as a consumer sees it.
type published struct {
	Type, Subject string
	raw           string
}

// consume reads the topic from its start until done says that this is enough.
func consume(t *testing.T, url, topic string, done func([]published) bool) []published {
	t.Helper()
	brokers, err := messaging.ParseKafkaURL(url)
	if err != nil {
		t.Fatal(err)
	}
	subscriber, err := messaging.NewKafkaSubscriber(messaging.KafkaSubscriberConfig{Kafka: brokers})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = subscriber.Close() }()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	records, err := subscriber.Subscribe(ctx, topic)
	if err != nil {
		t.Fatal(err)
	}
	var all []published
	for !done(all) {
		m, open := <-records
		if !open {
			t.Fatalf("the topic has only %v", all)
		}
		p := published{raw: string(m.Payload)}
		if err := json.Unmarshal(m.Payload, &p); err != nil {
			t.Fatalf("%v: %s", err, m.Payload)
		}
		for name, value := range m.Metadata {
			p.raw += " " + name + "=" + value
		}
		all = append(all, p)
		m.Ack()
	}
	return all
}

// types lists the types of one account's events, in order, without what they begin
// with.
func types(all []published, account string) []string {
	var names []string
	for _, p := range all {
		if p.Subject == account {
			names = append(names, strings.TrimSuffix(strings.TrimPrefix(p.Type, "daybook.account."), ".v1"))
		}
	}
	return names
}

// has is true when an account has an event of the type, which is the last that the
// test waits for.
func has(all []published, last string) bool {
	return slices.ContainsFunc(all, func(p published) bool { return p.Type == last })
}

// journeyTypes are those of TestRelay's first person.
const journeyTypes = "registered activation_requested activated signed_in profile_updated password_reset_requested password_reset_link_opened password_changed"

// TestRelay: a person's way is on the topic, in order, and tells nothing about the
// person; a restart goes on where it was, at the same address.
func TestRelay(t *testing.T) {
	t.Parallel()
	const email, second = "canary-address@example.com", "other@example.com"
	settings := settings(t)
	settings.KafkaURL, settings.Namespace = "embedded", "tests"
	topic := relay.Topic("tests")
	secrets := []string{email, second, "Canaryfirst", "Canarylast", "canary-github", "+2348145359073", "1987-06-05", "Canaryagent", "127.0.0.1", goodPassword, "CanaryPassword2"}
	var url, account string

	t.Run("journey", func(t *testing.T) {
		s := start(t, settings)
		url = kafkaURL(t, settings)
		b := s.browser()
		agent := []string{"User-Agent", "Canaryagent/1.0"}
		b.post("/users/register/", map[string]any{"email": email, "first_name": "Canaryfirst", "last_name": "Canarylast", "password": goodPassword}, agent...)
		link := s.awaitMail(email, subjectActivation, 1).link(t)
		b.activate(link)
		in := b.post("/users/login/", map[string]any{"email": email, "password": goodPassword}, agent...)
		want(t, in, http.StatusOK, "", "")
		b.keepSession(in)
		want(t, b.patch(map[string]string{"github_link": "https://github.com/canary-github", "phone_number": "+2348145359073", "birth_date": "1987-06-05"}, nil, agent...), http.StatusOK, "", "")
		token := b.requestReset(email, 1)
		secrets = append(secrets, tokenOf(link), b.session, token, tokenOf(s.awaitMail(email, subjectReset, 1).link(t)))
		want(t, b.changeByReset(token, "CanaryPassword2"), http.StatusOK, "", "")

		all := consume(t, url, topic, func(all []published) bool { return has(all, "daybook.account.password_changed.v1") })
		account = all[0].Subject
		if got := strings.Join(types(all, account), " "); got != journeyTypes {
			t.Errorf("the topic tells\n%s, want\n%s", got, journeyTypes)
		}
		if !strings.Contains(all[0].raw, "ce_id=") || !strings.Contains(all[0].raw, "application/cloudevents+json") {
			t.Errorf("the first record is %s", all[0].raw)
		}
	})

	t.Run("restart", func(t *testing.T) {
		s := start(t, settings)
		if again := kafkaURL(t, settings); again != url {
			t.Errorf("the broker is at %s, was at %s", again, url)
		}
		s.signedIn(second)
		all := consume(t, url, topic, func(all []published) bool { return len(all) == 12 })
		if got := strings.Join(types(all, account), " "); got != journeyTypes {
			t.Errorf("after the restart the topic tells of the first %s", got)
		}
		other := all[slices.IndexFunc(all, func(p published) bool { return p.Subject != account })].Subject
		if got := strings.Join(types(all, other), " "); got != "registered activation_requested activated signed_in" {
			t.Errorf("after the restart the topic tells of the second %s", got)
		}
		seen := map[string]bool{}
		for _, p := range all {
			if seen[p.raw] {
				t.Errorf("twice: %s", p.raw)
			}
			seen[p.raw] = true
			searchText(t, "topic", p.raw, secrets)
		}
	})
}

// TestKafkaAway: while no broker answers, people notice nothing, the service is
// ready and says that the relay is not; afterwards everything is published.
func TestKafkaAway(t *testing.T) {
	t.Parallel()
	broker := kafka.Config{Dir: t.TempDir()}
	server, err := kafka.Start(broker)
	if err != nil {
		t.Fatal(err)
	}
	url := server.URL()
	if err := server.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	settings := settings(t)
	settings.KafkaURL = url
	s := start(t, settings)
	b := s.signedIn("ann@example.com")
	testkit.Await(t, 20*time.Second, "the relay counts as not well", func() bool { return !s.readiness().parts["reactor:relay"].OK })
	if state := s.readiness().parts["kafka"]; state.OK || state.State != "no_answer" {
		t.Errorf("Kafka is shown as %+v", state)
	}
	want(t, b.patch(map[string]string{"first_name": "Anna"}, nil), http.StatusOK, "", "")
	if a := b.get("/readyz"); a.Status != http.StatusOK {
		t.Errorf("without Kafka the service is not ready: %s", a.Body)
	}
	if server, err = kafka.Start(broker); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = server.Stop(context.Background()) })
	all := consume(t, url, relay.Topic(""), func(all []published) bool { return has(all, "daybook.account.profile_updated.v1") })
	if got := strings.Join(types(all, all[0].Subject), " "); got != "registered activation_requested activated signed_in profile_updated" {
		t.Errorf("the topic tells %s", got)
	}
	testkit.Await(t, 20*time.Second, "the relay is well", func() bool {
		parts := s.readiness().parts
		return parts["reactor:relay"].OK && parts["kafka"].OK
	})
}

// TestRelayAloneNeedsKafka: a process that only publishes is not ready while no broker
// answers, though no event waits.
func TestRelayAloneNeedsKafka(t *testing.T) {
	t.Parallel()
	settings := settings(t)
	settings.KafkaURL, settings.MetricsAddr = "kafka://"+closedPort(t), "127.0.0.1:0"
	t.Run("first start", func(t *testing.T) { start(t, settings) })
	a, err := app.Open(t.Context(), settings, app.Roles{Relay: true}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- a.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	response, err := http.Get("http://" + a.MetricsAddr() + "/readyz")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(response.Body)
	if err != nil || response.StatusCode != http.StatusServiceUnavailable || !strings.Contains(string(body), `"kafka":{"ok":false,"state":"no_answer"}`) {
		t.Errorf("it answers %d %s (%v)", response.StatusCode, body, err)
	}
}

// TestRelayWithoutCheckpoint: a relay whose place is lost does not guess one.
func TestRelayWithoutCheckpoint(t *testing.T) {
	t.Parallel()
	settings := settings(t)
	settings.KafkaURL = "kafka://" + closedPort(t)
	t.Run("first start", func(t *testing.T) { start(t, settings) })
	db, err := pgx.Connect(t.Context(), settings.DatabaseURL)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = db.Close(context.Background()) }()
	if deleted, err := db.Exec(t.Context(), `DELETE FROM app.checkpoints WHERE name = $1`, relay.CheckpointName); err != nil || deleted.RowsAffected() != 1 {
		t.Fatalf("%v, %v", deleted, err)
	}
	a, err := app.Open(t.Context(), settings, app.Roles{Relay: true}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	if err := a.Run(ctx); err == nil || !strings.Contains(err.Error(), "daybook migrate") {
		t.Errorf("it ended with %v", err)
	}
}

func TestRelayNeedsKafka(t *testing.T) {
	t.Setenv("DAYBOOK_KAFKA_URL", "")
	err := app.Main(t.Context(), []string{"worker", "relay"}, os.Stdout, os.Stderr)
	if err == nil || !strings.Contains(err.Error(), "DAYBOOK_KAFKA_URL") {
		t.Errorf("it says %v", err)
	}
}
