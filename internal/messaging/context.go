package messaging

import (
	"context"

	"daybook/domain"
)

// Batch is what one message of a Subscriber in batch mode stands for.
type Batch struct {
	// Events are in commit order; there is at least one.
	Events []domain.Stored
	// CaughtUp says that at the time they were all there was.
	CaughtUp bool
}

type (
	batchKey    struct{}
	eventKey    struct{}
	revisionKey struct{}
)

// BatchFromContext returns the events of a message of a Subscriber in batch
// mode; of one in event mode, that event. For contexts of other messages the
// batch is empty.
func BatchFromContext(ctx context.Context) Batch {
	batch, _ := ctx.Value(batchKey{}).(Batch)
	return batch
}

// EventFromContext returns the stored event of a message of a Subscriber in
// event mode.
func EventFromContext(ctx context.Context) (domain.Stored, bool) {
	event, ok := ctx.Value(eventKey{}).(domain.Stored)
	return event, ok
}

// WithExpectedRevision makes Publish append only if the stream's last event
// has that revision, or, with domain.NoStream, if it has none; else Publish
// fails with an *eventstore.ConflictError. It is set on the context of the
// first message to the stream.
func WithExpectedRevision(ctx context.Context, revision int64) context.Context {
	return context.WithValue(ctx, revisionKey{}, revision)
}
