package projections

import (
	"context"
	"fmt"
	"log/slog"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"daybook/domain"
	"daybook/internal/messaging"
	"daybook/internal/postgres"
	"daybook/internal/vault"
)

// View is a read model in Postgres.
type View interface {
	// Name is the name of the view and, with its version, of its checkpoint.
	Name() string
	// Queue adds what the events change to the batch, folded per row. It does
	// no I/O. Applying the same events again must change nothing.
	Queue(batch *pgx.Batch, events []domain.Recorded) error
}

// Projector feeds one view from the event store. It is a Watermill handler for
// batch messages, used by one goroutine.
type Projector struct {
	Pool   *pgxpool.Pool
	Vault  *vault.Vault
	View   View
	Logger *slog.Logger

	checkpoint postgres.Checkpoint
}

// CheckpointName is under which the projector's place is kept.
func (p *Projector) CheckpointName() string { return "projection:" + p.View.Name() }

// Start makes this projector the owner and returns the position after which its
// events begin.
func (p *Projector) Start(ctx context.Context) (after uint64, err error) {
	p.checkpoint, err = postgres.TakeCheckpoint(ctx, p.Pool, p.CheckpointName())
	return p.checkpoint.Position, err
}

// Handle applies the batch of the message.
func (p *Projector) Handle(msg *message.Message) error {
	return p.Apply(msg.Context(), messaging.BatchFromContext(msg.Context()).Events)
}

// Apply applies an ordered batch in one transaction and one round trip, besides
// one query for data keys that are not cached.
func (p *Projector) Apply(ctx context.Context, events []domain.Stored) error {
	if len(events) == 0 {
		return nil
	}
	recorded, err := p.Vault.Decode(ctx, events...)
	if err != nil {
		return fmt.Errorf("project %s: %w", p.View.Name(), err)
	}
	batch := &pgx.Batch{}
	moved := p.checkpoint.Advance(batch, events[len(events)-1].Position, len(events))
	if err := p.View.Queue(batch, recorded); err != nil {
		return fmt.Errorf("project %s: %w", p.View.Name(), err)
	}
	batch.Queue(`SELECT pg_notify($1, $2)`, channel, p.View.Name())
	// A batch outside of a transaction is one implicit transaction: all of its
	// statements or none, in one round trip.
	if err := p.Pool.SendBatch(ctx, batch).Close(); err != nil {
		return fmt.Errorf("project %s: %w", p.View.Name(), postgres.Explain(err))
	}
	p.checkpoint = moved
	return nil
}
