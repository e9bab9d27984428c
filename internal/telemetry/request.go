package telemetry

import (
	"context"
	"log/slog"
	"net/http"
	"strconv"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"
)

// Requests observes HTTP requests. A nil one observes nothing.
//
// It stands in for otelhttp, which records path, query, user agent and client
// address of every request: attributes that can be overwritten, but not left out.
type Requests struct {
	Metrics *Metrics
	Tracing *Tracing
}

// Begin begins the span of a request, continuing the trace of its traceparent,
// and has log lines of the returned context carry the request's id. method is
// one of a closed set. end takes the route's template and the status of the
// answer.
func (o *Requests) Begin(r *http.Request, method, id string) (_ context.Context, end func(route string, status int)) {
	if o == nil {
		return r.Context(), func(string, int) {}
	}
	began := time.Now()
	o.Metrics.requestsRunning.Inc()
	ctx := Continue(r.Context(), r.Header.Get(traceparentKey))
	ctx, span := o.Tracing.Start(ctx, method, trace.WithSpanKind(trace.SpanKindServer), trace.WithAttributes(
		attribute.String("http.request.method", method), attribute.String("daybook.request_id", id)))
	return WithAttrs(ctx, slog.String("request_id", id)), func(route string, status int) {
		o.Metrics.requestsRunning.Dec()
		o.Metrics.requests.WithLabelValues(method, route, strconv.Itoa(status)).Inc()
		o.Metrics.requestSeconds.WithLabelValues(method, route).Observe(time.Since(began).Seconds())
		span.SetName(method + " " + route)
		span.SetAttributes(attribute.String("http.route", route), attribute.Int("http.response.status_code", status))
		if status >= http.StatusInternalServerError {
			span.SetStatus(codes.Error, "")
		}
		span.End()
	}
}
