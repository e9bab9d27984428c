package telemetry

import (
	"context"
	"log/slog"

	"go.opentelemetry.io/otel/trace"
)

type attrsKey struct{}

// WithAttrs returns ctx so that every line logged with it carries the attributes,
// if it goes through a LogHandler.
func WithAttrs(ctx context.Context, attrs ...slog.Attr) context.Context {
	before := contextAttrs(ctx)
	return context.WithValue(ctx, attrsKey{}, append(before[:len(before):len(before)], attrs...))
}

func contextAttrs(ctx context.Context) []slog.Attr {
	attrs, _ := ctx.Value(attrsKey{}).([]slog.Attr)
	return attrs
}

// LogHandler adds to each line the attributes of its context and, within a trace,
// its trace_id, also if only the client records that trace. What a line says
// itself is not said twice.
func LogHandler(next slog.Handler) slog.Handler { return logHandler{next} }

type logHandler struct{ slog.Handler }

func (h logHandler) Handle(ctx context.Context, record slog.Record) error {
	said := map[string]bool{}
	record.Attrs(func(a slog.Attr) bool {
		said[a.Key] = true
		return true
	})
	record = record.Clone()
	for _, a := range contextAttrs(ctx) {
		if !said[a.Key] {
			said[a.Key] = true
			record.AddAttrs(a)
		}
	}
	if span := trace.SpanContextFromContext(ctx); span.IsValid() {
		record.AddAttrs(slog.String("trace_id", span.TraceID().String()))
	}
	return h.Handler.Handle(ctx, record)
}

func (h logHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	return logHandler{h.Handler.WithAttrs(attrs)}
}

func (h logHandler) WithGroup(name string) slog.Handler {
	return logHandler{h.Handler.WithGroup(name)}
}
