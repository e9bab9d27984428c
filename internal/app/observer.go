package app

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"

	"daybook/commands"
	"daybook/domain"
	"daybook/internal/eventstore"
	"daybook/internal/telemetry"
	"daybook/workers/email"
)

// observer turns what the seams tell into metrics, spans and log lines.
type observer struct {
	metrics *telemetry.Metrics
	tracing *telemetry.Tracing
	logger  *slog.Logger
}

func newObserver(ctx context.Context, logger *slog.Logger) (*observer, error) {
	tracing, err := telemetry.NewTracing(ctx, Version(), logger)
	if err != nil {
		return nil, err
	}
	return &observer{telemetry.NewMetrics(Version()), tracing, logger}, nil
}

// trail collects the ids of the events that a command appends.
type trail struct {
	mu      sync.Mutex
	account uuid.UUID
	events  []string
}

type trailKey struct{}

// command observes a command from its beginning to its end: one span, and one
// line that joins the request with the events.
func (o *observer) command(ctx context.Context, c commands.Caller, command string, account uuid.UUID) (context.Context, func(error)) {
	began, left := time.Now(), &trail{account: account}
	id := slog.String("command_id", c.CommandID.String())
	ctx, span := o.tracing.Start(ctx, command, trace.WithAttributes(attribute.String("daybook.command_id", c.CommandID.String())))
	ctx = context.WithValue(telemetry.WithAttrs(ctx, id), trailKey{}, left)
	return ctx, func(err error) {
		took, outcome := time.Since(began), outcomeOf(err)
		o.metrics.Command(command, outcome, took)
		left.mu.Lock()
		defer left.mu.Unlock()
		span.SetAttributes(attribute.String("daybook.outcome", outcome), attribute.String("daybook.account", left.account.String()),
			attribute.StringSlice("daybook.event_ids", left.events))
		endSpan(span, outcome == telemetry.OutcomeError)
		o.logger.InfoContext(ctx, "command", slog.String("command", command), id, slog.String("account", left.account.String()),
			slog.String("outcome", outcome), slog.Duration("duration", took), slog.Any("event_ids", left.events))
	}
}

func endSpan(span trace.Span, failed bool) {
	if failed {
		span.SetStatus(codes.Error, "")
	}
	span.End()
}

// kindNames are the outcomes of refused commands.
var kindNames = map[domain.Kind]string{
	domain.KindInvalid: "invalid", domain.KindUnauthenticated: "unauthenticated", domain.KindForbidden: "forbidden",
	domain.KindNotFound: "not_found", domain.KindConflict: "refused", domain.KindPreconditionFailed: "precondition_failed",
	domain.KindUnavailable: "unavailable", domain.KindTooMany: "too_many",
}

func outcomeOf(err error) string {
	if err == nil {
		return telemetry.OutcomeOK
	}
	if refused, ok := errors.AsType[*domain.Error](err); ok {
		if name, ok := kindNames[refused.Kind]; ok {
			return name
		}
	}
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return "canceled"
	}
	return telemetry.OutcomeError
}

// observedStore sees what commands append.
type observedStore struct {
	commands.Store
	observer *observer
}

// Append implements commands.Store.
func (s observedStore) Append(ctx context.Context, a domain.Append) ([]domain.Recorded, error) {
	recorded, err := s.Store.Append(ctx, a)
	if errors.Is(err, domain.ErrConflict) {
		s.observer.metrics.Conflict(a.Metadata.Command)
	}
	if err != nil {
		return recorded, err
	}
	s.observer.appended(ctx, a, recorded)
	return recorded, nil
}

func (o *observer) appended(ctx context.Context, a domain.Append, recorded []domain.Recorded) {
	ids := make([]string, len(recorded))
	for i, r := range recorded {
		o.metrics.Appended(domain.NameOf(r.Event))
		ids[i] = r.ID.String()
	}
	left, ok := ctx.Value(trailKey{}).(*trail)
	if !ok { // a claim, which stands beside the command on the account
		o.logger.InfoContext(ctx, "events appended", slog.String("command", a.Metadata.Command),
			slog.String("command_id", a.Metadata.CommandID.String()), slog.Any("event_ids", ids))
		return
	}
	left.mu.Lock()
	defer left.mu.Unlock()
	left.events = append(left.events, ids...)
	if subject, ok := domain.StreamSubject(a.Stream); ok {
		left.account = subject
	}
}

// storeCall observes a round trip to the event store, after the fact.
func (o *observer) storeCall(ctx context.Context, operation eventstore.Operation, took time.Duration, err error) {
	outcome := eventstore.Outcome(err)
	o.metrics.StoreCall(string(operation), outcome, took)
	if !trace.SpanFromContext(ctx).IsRecording() {
		return
	}
	_, span := o.tracing.Start(ctx, "eventstore "+string(operation), trace.WithSpanKind(trace.SpanKindClient),
		trace.WithTimestamp(time.Now().Add(-took)), trace.WithAttributes(
			attribute.String("db.system.name", "eventstoredb"), attribute.String("daybook.outcome", outcome)))
	endSpan(span, outcome == telemetry.OutcomeError)
}

// sending observes a try to send a mail, as part of the trace that asked for it.
func (o *observer) sending(ctx context.Context, s email.Sending) (context.Context, func(string)) {
	ctx, span := o.tracing.Start(telemetry.Continue(ctx, s.Traceparent), "mail "+s.Mail, trace.WithSpanKind(trace.SpanKindConsumer),
		trace.WithAttributes(attribute.String("daybook.event_id", s.Event.String()), attribute.String("daybook.account", s.Account.String())))
	return ctx, func(outcome string) {
		o.metrics.Mail(s.Mail, outcome)
		span.SetAttributes(attribute.String("daybook.outcome", outcome))
		endSpan(span, outcome == "failed")
	}
}

// shownIDs bounds how many events of a batch are named in a line or span.
const shownIDs = 16

// handling observes a message of a consumer. Its span goes on with the trace of
// its events, or has links to them when they are of several.
func (o *observer) handling(ctx context.Context, consumer string, events []domain.Stored) (context.Context, func(error)) {
	began := time.Now()
	var ids, origins []string
	for _, e := range events[:min(len(events), shownIDs)] {
		ids = append(ids, e.ID.String())
	}
	if o.tracing.On() {
		origins = traceparents(events)
	}
	ctx, links := telemetry.Origins(ctx, origins...)
	ctx, span := o.tracing.Start(ctx, "consume "+consumer, trace.WithSpanKind(trace.SpanKindConsumer), trace.WithLinks(links...),
		trace.WithAttributes(attribute.Int("daybook.events", len(events)), attribute.StringSlice("daybook.event_ids", ids)))
	ctx = telemetry.WithAttrs(ctx, slog.String("consumer", consumer))
	return ctx, func(err error) {
		o.metrics.Handled(consumer, len(events), time.Since(began), err)
		endSpan(span, err != nil)
		o.logger.DebugContext(ctx, "events handled", slog.Int("events", len(events)), slog.Any("event_ids", ids), slog.Bool("ok", err == nil))
	}
}

// traceparents looks at the first of many events only: a batch that long is
// history, and its span has a bounded number of links anyway.
func traceparents(events []domain.Stored) []string {
	var found []string
	for _, e := range events[:min(len(events), 2*shownIDs)] {
		if metadata, err := domain.DecodeMetadata(e.Metadata); err == nil && metadata.Traceparent != "" {
			found = append(found, metadata.Traceparent)
		}
	}
	return found
}

// sql traces statements; none without an observer or while tracing is off.
func (o *observer) sql() pgx.QueryTracer {
	if o == nil || !o.tracing.On() {
		return nil
	}
	return telemetry.SQL{Tracing: o.tracing}
}
