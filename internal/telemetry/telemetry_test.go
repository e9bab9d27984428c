package telemetry_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"go.opentelemetry.io/otel/trace"

	"daybook/internal/telemetry"
	"daybook/internal/testkit"
)

const (
	parentTrace = "4bf92f3577b34da6a3ce929d0e0e4736"
	parentSpan  = "00f067aa0ba902b7"
	parent      = "00-" + parentTrace + "-" + parentSpan + "-01"
)

// traced returns tracing that exports to a collector, and a function that sends
// what is left and returns all spans by name.
func traced(t *testing.T) (*telemetry.Tracing, *testkit.Collector, func() map[string]testkit.Span) {
	t.Helper()
	collector := testkit.StartCollector(t)
	tracing, err := telemetry.NewTracing(t.Context(), "v1", slog.New(slog.DiscardHandler))
	if err != nil || !tracing.On() {
		t.Fatalf("tracing is off: %v", err)
	}
	return tracing, collector, func() map[string]testkit.Span {
		t.Helper()
		if err := tracing.Shutdown(context.Background()); err != nil {
			t.Fatal(err)
		}
		spans := map[string]testkit.Span{}
		for _, s := range collector.Spans() {
			spans[s.Name] = s
		}
		return spans
	}
}

func scrape(t *testing.T, m *telemetry.Metrics) string {
	t.Helper()
	w := httptest.NewRecorder()
	m.Handler().ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	return w.Body.String()
}

// TestRequest: a request continues the client's trace, and nothing of what may
// hold a token or tell of a person is exported or counted.
func TestRequest(t *testing.T) {
	tracing, collector, flush := traced(t)
	metrics := telemetry.NewMetrics("v1")
	requests := &telemetry.Requests{Metrics: metrics, Tracing: tracing}
	r := httptest.NewRequest(http.MethodGet, "/secret-path/?q=secret-query", nil)
	for name, value := range map[string]string{"Referer": "secret-referer", "User-Agent": "secret-agent", "Traceparent": parent, "Tracestate": "a=secret-state", "Baggage": "b=secret-baggage"} {
		r.Header.Set(name, value)
	}
	ctx, end := requests.Begin(r, "GET", "request-1")
	if got := telemetry.Traceparent(ctx); !strings.Contains(got, parentTrace) || strings.Contains(got, parentSpan) {
		t.Errorf("the request's own span is %q", got)
	}
	end("/confirm/{token}/", http.StatusServiceUnavailable)
	spans := flush()
	span := spans["GET /confirm/{token}/"]
	if span.Trace != parentTrace || span.Parent != parentSpan || !strings.Contains(span.Attributes["daybook.request_id"], "request-1") {
		t.Errorf("the span is %+v", span)
	}
	counted := scrape(t, metrics)
	if !strings.Contains(counted, `daybook_http_requests_total{method="GET",route="/confirm/{token}/",status="503"} 1`) {
		t.Errorf("not counted: %s", counted)
	}
	if strings.Contains(counted+collector.Raw(), "secret") || strings.Contains(collector.Raw(), r.RemoteAddr) {
		t.Error("something of the request was recorded")
	}
}

func TestNilRequestsObserveNothing(t *testing.T) {
	var requests *telemetry.Requests
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	ctx, end := requests.Begin(r, "GET", "x")
	end("/", http.StatusOK)
	if ctx != r.Context() {
		t.Error("the context was changed")
	}
}

// TestTracingOff: without an endpoint nothing is recorded, but the client's trace
// goes on.
func TestTracingOff(t *testing.T) {
	for _, variable := range []string{"OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"} {
		t.Setenv(variable, "")
	}
	tracing, err := telemetry.NewTracing(t.Context(), "v1", slog.New(slog.DiscardHandler))
	if err != nil || tracing.On() {
		t.Fatalf("tracing is on: %v", err)
	}
	ctx, span := tracing.Start(telemetry.Continue(t.Context(), parent), "x")
	if span.IsRecording() || telemetry.Traceparent(ctx) != parent {
		t.Errorf("recording %v, traceparent %q", span.IsRecording(), telemetry.Traceparent(ctx))
	}
	if err := tracing.Shutdown(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestTracingSettings(t *testing.T) {
	for name, test := range map[string]struct {
		variable, value string
		refused         bool
	}{
		"disabled":       {"OTEL_SDK_DISABLED", "true", false},
		"no exporter":    {"OTEL_TRACES_EXPORTER", "none", false},
		"other exporter": {"OTEL_TRACES_EXPORTER", "zipkin", true},
		"other protocol": {"OTEL_EXPORTER_OTLP_PROTOCOL", "grpc", true},
	} {
		t.Run(name, func(t *testing.T) {
			testkit.StartCollector(t)
			t.Setenv(test.variable, test.value)
			tracing, err := telemetry.NewTracing(t.Context(), "v1", slog.New(slog.DiscardHandler))
			if test.refused && (err == nil || !strings.Contains(err.Error(), test.variable)) {
				t.Errorf("it says %v", err)
			}
			if !test.refused && (err != nil || tracing.On()) {
				t.Errorf("tracing is on, or %v", err)
			}
		})
	}
}

// TestCollectorAway: the end of the service does not wait for a collector, and
// the log says that spans are gone.
func TestCollectorAway(t *testing.T) {
	silent := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		<-r.Context().Done()
	}))
	t.Cleanup(func() { silent.CloseClientConnections(); silent.Close() })
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", silent.URL)
	var logged bytes.Buffer
	tracing, err := telemetry.NewTracing(t.Context(), "v1", slog.New(slog.NewJSONHandler(&logged, nil)))
	if err != nil {
		t.Fatal(err)
	}
	_, span := tracing.Start(t.Context(), "lost")
	span.End()
	began := time.Now()
	if err := tracing.Shutdown(t.Context()); !errors.Is(err, context.DeadlineExceeded) && !strings.Contains(logged.String(), "spans were not exported") {
		t.Errorf("nobody is told: %v, %s", err, &logged)
	}
	if took := time.Since(began); took > 3*time.Second {
		t.Errorf("it took %v", took)
	}
}

func TestOrigins(t *testing.T) {
	other := strings.Replace(parent, "4bf92", "11111", 1)
	sibling := strings.Replace(parent, "00f067", "11f067", 1)
	for name, test := range map[string]struct {
		given  []string
		parent bool
		links  int
	}{
		"none":           {nil, false, 0},
		"no traceparent": {[]string{"", "nonsense", "00-0-0-00"}, false, 0},
		"one":            {[]string{parent}, true, 0},
		"the same":       {[]string{parent, "", parent}, true, 0},
		"one trace":      {[]string{parent, sibling}, true, 1},
		"two traces":     {[]string{parent, other, parent}, false, 2},
	} {
		ctx, links := telemetry.Origins(t.Context(), test.given...)
		if got := trace.SpanContextFromContext(ctx).IsValid(); got != test.parent || len(links) != test.links {
			t.Errorf("%s: a parent %v, %d links", name, got, len(links))
		}
	}
	var many []string
	for _, digit := range "123456789abcdef" {
		for _, second := range "123456789abcdef" {
			many = append(many, "00-"+string(digit)+string(second)+parentTrace[2:]+"-"+parentSpan+"-01")
		}
	}
	if _, links := telemetry.Origins(t.Context(), many...); len(links) != 32 {
		t.Errorf("%d links of %d traces", len(links), len(many))
	}
}

func TestLogLinesCarryTheirContext(t *testing.T) {
	tracing, _, _ := traced(t)
	var logged bytes.Buffer
	logger := slog.New(telemetry.LogHandler(slog.NewJSONHandler(&logged, nil))).With(slog.String("part", "x"))
	outer := telemetry.WithAttrs(t.Context(), slog.String("request_id", "r1"))
	inner := telemetry.WithAttrs(outer, slog.String("command_id", "c1"))
	spanned, span := tracing.Start(inner, "span")
	logger.InfoContext(spanned, "line", slog.String("request_id", "r1"))
	span.End()
	logger.InfoContext(outer, "line")
	logger.Info("line")
	lines := strings.Split(strings.TrimSpace(logged.String()), "\n")
	for i, want := range []map[string]string{
		{"request_id": "r1", "command_id": "c1", "trace_id": span.SpanContext().TraceID().String(), "part": "x"},
		{"request_id": "r1", "part": "x"},
		{"part": "x"},
	} {
		var line map[string]string
		if err := json.Unmarshal([]byte(lines[i]), &line); err != nil {
			t.Fatal(err)
		}
		for _, standard := range []string{"time", "level", "msg"} {
			delete(line, standard)
		}
		if len(line) != len(want) || strings.Count(lines[i], "request_id") > 1 {
			t.Errorf("line %s, want %v", lines[i], want)
		}
		for key, value := range want {
			if line[key] != value {
				t.Errorf("%s is %q in %s", key, line[key], lines[i])
			}
		}
	}
}
