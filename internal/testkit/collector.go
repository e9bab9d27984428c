package testkit

import (
	"encoding/hex"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	collector "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"
)

// Collector is an OpenTelemetry collector that keeps what it is sent (OTLP over
// HTTP).
type Collector struct {
	URL string

	mu    sync.Mutex
	raw   strings.Builder
	spans []Span
}

// Span is a span as it was exported. Ids are in hex.
type Span struct {
	Name, Trace, ID, Parent string
	Links                   []string // traces
	Attributes              map[string]string
}

// StartCollector starts a collector and has the test's process export to it.
func StartCollector(tb testing.TB) *Collector {
	tb.Helper()
	c := &Collector{}
	server := httptest.NewServer(c)
	tb.Cleanup(server.Close)
	c.URL = server.URL
	tb.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", c.URL)
	tb.Setenv("OTEL_BSP_SCHEDULE_DELAY", "50") // milliseconds
	return c
}

// ServeHTTP takes an export.
func (c *Collector) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	var request collector.ExportTraceServiceRequest
	if err == nil {
		err = proto.Unmarshal(body, &request)
	}
	if err != nil || r.URL.Path != "/v1/traces" {
		http.Error(w, "not an export of traces", http.StatusBadRequest)
		return
	}
	c.keep(body, &request)
	w.Header().Set("Content-Type", "application/x-protobuf")
}

func (c *Collector) keep(body []byte, request *collector.ExportTraceServiceRequest) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.raw.Write(body)
	for _, resource := range request.ResourceSpans {
		for _, scope := range resource.ScopeSpans {
			for _, span := range scope.Spans {
				c.spans = append(c.spans, exported(span))
			}
		}
	}
}

func exported(s *tracepb.Span) Span {
	span := Span{
		Name: s.Name, Trace: hex.EncodeToString(s.TraceId), ID: hex.EncodeToString(s.SpanId),
		Parent: hex.EncodeToString(s.ParentSpanId), Attributes: map[string]string{},
	}
	for _, link := range s.Links {
		span.Links = append(span.Links, hex.EncodeToString(link.TraceId))
	}
	for _, a := range s.Attributes {
		span.Attributes[a.Key] = a.Value.String()
	}
	return span
}

// Spans returns what has come so far.
func (c *Collector) Spans() []Span {
	c.mu.Lock()
	defer c.mu.Unlock()
	return append([]Span(nil), c.spans...)
}

// Raw returns the bytes of all exports; strings lie in them as they are.
func (c *Collector) Raw() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.raw.String()
}
