package telemetry

import (
	"context"
	"errors"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"
)

// SQL is a pgx tracer: a span for each statement and batch under a span that is
// recorded, and none else, so that background polling makes no traces. It holds
// the statement's text, never its arguments, and of an error the SQLSTATE alone:
// Postgres quotes values in its messages, which otelpgx passes on.
type SQL struct{ Tracing *Tracing }

var (
	_ pgx.QueryTracer = SQL{}
	_ pgx.BatchTracer = SQL{}
)

// TraceQueryStart implements pgx.QueryTracer.
func (s SQL) TraceQueryStart(ctx context.Context, _ *pgx.Conn, data pgx.TraceQueryStartData) context.Context {
	if !trace.SpanFromContext(ctx).IsRecording() {
		return ctx
	}
	return s.start(ctx, verb(data.SQL), attribute.String("db.query.text", compact(data.SQL)))
}

// TraceQueryEnd implements pgx.QueryTracer.
func (s SQL) TraceQueryEnd(ctx context.Context, _ *pgx.Conn, data pgx.TraceQueryEndData) {
	end(ctx, data.Err)
}

// TraceBatchStart implements pgx.BatchTracer.
func (s SQL) TraceBatchStart(ctx context.Context, _ *pgx.Conn, data pgx.TraceBatchStartData) context.Context {
	if !trace.SpanFromContext(ctx).IsRecording() {
		return ctx
	}
	statements := make([]string, data.Batch.Len())
	for i, query := range data.Batch.QueuedQueries {
		statements[i] = compact(query.SQL)
	}
	return s.start(ctx, "BATCH", attribute.StringSlice("db.query.text", statements))
}

// TraceBatchQuery implements pgx.BatchTracer. The batch is one round trip and one
// span.
func (s SQL) TraceBatchQuery(context.Context, *pgx.Conn, pgx.TraceBatchQueryData) {}

// TraceBatchEnd implements pgx.BatchTracer.
func (s SQL) TraceBatchEnd(ctx context.Context, _ *pgx.Conn, data pgx.TraceBatchEndData) {
	end(ctx, data.Err)
}

type sqlSpanKey struct{}

func (s SQL) start(ctx context.Context, name string, text attribute.KeyValue) context.Context {
	ctx, span := s.Tracing.Start(ctx, name, trace.WithSpanKind(trace.SpanKindClient),
		trace.WithAttributes(attribute.String("db.system.name", "postgresql"), text))
	return context.WithValue(ctx, sqlSpanKey{}, span)
}

func end(ctx context.Context, err error) {
	span, ok := ctx.Value(sqlSpanKey{}).(trace.Span)
	if !ok {
		return
	}
	if pgErr, ok := errors.AsType[*pgconn.PgError](err); ok {
		span.SetAttributes(attribute.String("db.response.status_code", pgErr.Code))
	}
	if err != nil && !errors.Is(err, pgx.ErrNoRows) {
		span.SetStatus(codes.Error, "")
	}
	span.End()
}

// compact puts a statement on one line, without the lines that are comments.
func compact(sql string) string {
	var words []string
	for line := range strings.Lines(sql) {
		if !strings.HasPrefix(strings.TrimSpace(line), "--") {
			words = append(words, strings.Fields(line)...)
		}
	}
	return strings.Join(words, " ")
}

// verb is the first word of a statement, such as SELECT.
func verb(sql string) string {
	word, _, _ := strings.Cut(compact(sql), " ")
	return strings.ToUpper(word)
}
