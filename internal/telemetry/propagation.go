package telemetry

import (
	"context"

	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"
)

// Only traceparent is propagated (W3C Trace Context). tracestate and baggage hold
// text of a client's choice, which would end up in events and at the collector.
const traceparentKey = "traceparent"

// Traceparent names the current span of ctx, and is empty when there is none.
func Traceparent(ctx context.Context) string {
	carrier := propagation.MapCarrier{}
	propagation.TraceContext{}.Inject(ctx, carrier)
	return carrier[traceparentKey]
}

// Continue returns ctx with the span that traceparent names as the parent of the
// next one. Text that is no traceparent changes nothing.
func Continue(ctx context.Context, traceparent string) context.Context {
	return propagation.TraceContext{}.Extract(ctx, propagation.MapCarrier{traceparentKey: traceparent})
}

// maxLinks bounds the links of one span.
const maxLinks = 32

// Origins says how the work on things with the given traceparents hangs
// together with what caused them: if all of them belong to one trace, ctx
// continues it; else the work is a trace of its own with a link to each, at most
// 32. What is no traceparent counts as nothing.
func Origins(ctx context.Context, traceparents ...string) (context.Context, []trace.Link) {
	type key struct {
		trace trace.TraceID
		span  trace.SpanID
	}
	var links []trace.Link
	seen := map[key]bool{}
	same := true
	for _, traceparent := range traceparents {
		origin := trace.SpanContextFromContext(Continue(context.Background(), traceparent))
		k := key{origin.TraceID(), origin.SpanID()}
		if !origin.IsValid() || seen[k] || len(links) == maxLinks {
			continue
		}
		seen[k] = true
		links = append(links, trace.Link{SpanContext: origin})
		same = same && origin.TraceID() == links[0].SpanContext.TraceID()
	}
	if len(links) > 0 && same {
		return trace.ContextWithRemoteSpanContext(ctx, links[0].SpanContext), links[1:]
	}
	return ctx, links
}
