package projections

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"sync"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/google/uuid"
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
	// Wants reports whether the view is built from the stream. Events of other
	// streams are passed over without being decoded.
	Wants(stream string) bool
	// Personal reports whether sealed boxes are opened for the view. To any
	// other view every personal part is erased: it cannot show one, and it is
	// built without keys.
	Personal() bool
	// Queue adds what the events change to the batch, folded per row. It does
	// no I/O. Applying the same events again must change nothing.
	Queue(batch *pgx.Batch, events []domain.Recorded) error

	// whose is the column that says whose a row is.
	whose() string
	// same reports whether the rows, as JSON, are what a fold of the account's
	// events says, without looking at how Queue comes to them.
	same(account uuid.UUID, events []domain.Recorded, rows []json.RawMessage) (bool, error)
}

// Projector feeds one view from the event store. It is a Watermill handler for
// batch messages.
type Projector struct {
	Pool   *pgxpool.Pool
	Vault  *vault.Vault
	View   View
	Logger *slog.Logger
	// Version is which of the view's tables is fed; the zero value is the one
	// that is shown.
	Version Version

	ready headStart

	mu         sync.Mutex
	checkpoint postgres.Checkpoint
	parked     map[uuid.UUID]bool // false for those that were given up
}

// CheckpointName is under which the projector's place is kept.
func (p *Projector) CheckpointName() string { return p.Version.checkpoint(p.View) }

// Start makes this projector the owner and returns the position after which its
// events begin.
func (p *Projector) Start(ctx context.Context) (after uint64, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.ready.forget()
	if p.checkpoint, err = postgres.TakeCheckpoint(ctx, p.Pool, p.CheckpointName()); err != nil {
		return 0, err
	}
	return p.checkpoint.Position, p.loadParked(ctx)
}

// Handle applies the batch of the message.
func (p *Projector) Handle(msg *message.Message) error {
	return p.Apply(msg.Context(), messaging.BatchFromContext(msg.Context()).Events)
}

// Apply applies an ordered batch in one transaction and one round trip, besides
// one query for data keys that are not cached. Events from before the
// checkpoint change nothing. When an event cannot be read or be put into the
// view, the batch is halved until its account is found; that one is parked, and
// the others go on. Errors are postgres.ErrNotOwner when another projector has
// started, domain.ErrUnknownEvent when this program is too old for the store,
// ErrTooManyParked, and those of a database or key store that does not answer;
// the events before the one that failed may have been applied then.
func (p *Projector) Apply(ctx context.Context, events []domain.Stored) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if err := p.applyOrPark(ctx, events); err != nil {
		return fmt.Errorf("project %s: %w", p.View.Name(), err)
	}
	return nil
}

// applyOnce applies all of the events or none, from where the checkpoint and the
// parked accounts really are.
func (p *Projector) applyOnce(ctx context.Context, events []domain.Stored) error {
	err := p.apply(ctx, events)
	if errors.Is(err, postgres.ErrNotOwner) && p.resume(ctx) {
		err = p.apply(ctx, events)
	}
	if errors.Is(err, postgres.ErrNotParked) {
		if err := p.loadParked(ctx); err != nil {
			return err
		}
		err = p.apply(ctx, events)
	}
	return err
}

func (p *Projector) apply(ctx context.Context, events []domain.Stored) error {
	events = p.ahead(events)
	if len(events) == 0 {
		return nil
	}
	wanted, passed := p.sort(events)
	recorded, err := p.decodeRest(ctx, wanted, events[len(events)-1].Position)
	if err != nil {
		return err
	}
	batch, moved := p.advance(events)
	p.passOver(batch, passed)
	if err := p.queue(batch, recorded); err != nil {
		return err
	}
	return p.commit(ctx, batch, moved)
}

// advance begins a batch with the move of the checkpoint behind the events.
func (p *Projector) advance(events []domain.Stored) (*pgx.Batch, postgres.Checkpoint) {
	batch := &pgx.Batch{}
	// The checkpoint and what was done up to it are lost together, if at all:
	// a crash of the database costs applying them once more.
	batch.Queue(`SELECT set_config('synchronous_commit', 'off', true)`)
	to := p.checkpoint.Position
	for _, event := range events { // half of a batch with repetitions may end with one
		to = max(to, event.Position)
	}
	return batch, p.checkpoint.Advance(batch, to, len(events))
}

// commit sends the batch. Outside of a transaction it is one implicit
// transaction: all of its statements or none, in one round trip.
func (p *Projector) commit(ctx context.Context, batch *pgx.Batch, moved postgres.Checkpoint) error {
	if err := p.Pool.SendBatch(ctx, batch).Close(); err != nil {
		return postgres.Explain(err)
	}
	p.checkpoint = moved
	return nil
}

// ahead leaves out what comes once more from before the checkpoint, which must
// not go back.
func (p *Projector) ahead(events []domain.Stored) []domain.Stored {
	for len(events) > 0 && events[0].Position < p.checkpoint.Position {
		events = events[1:]
	}
	return events
}

// sort takes apart what the view is built from and what is passed over: of each
// parked account, the position of its last event.
func (p *Projector) sort(events []domain.Stored) (wanted []domain.Stored, passed map[uuid.UUID]uint64) {
	wanted = make([]domain.Stored, 0, len(events))
	for _, event := range events {
		if !p.View.Wants(event.Stream) {
			continue
		}
		id, _ := domain.StreamSubject(event.Stream)
		if _, parked := p.parked[id]; !parked {
			wanted = append(wanted, event)
			continue
		}
		if passed == nil {
			passed = map[uuid.UUID]uint64{}
		}
		passed[id] = max(passed[id], event.Position)
	}
	return wanted, passed
}

func (p *Projector) decode(ctx context.Context, wanted []domain.Stored) ([]domain.Recorded, error) {
	if p.View.Personal() {
		return p.Vault.Decode(ctx, wanted...)
	}
	recorded := make([]domain.Recorded, len(wanted))
	for i, event := range wanted {
		var err error
		if recorded[i], err = domain.Decode(event, shut); err != nil {
			return nil, err
		}
	}
	return recorded, nil
}

// shut opens no box.
func shut([]byte) ([]byte, error) { return nil, domain.ErrErased }

// queue adds the view's statements and, if there are any, wakes who waits for what
// is shown.
func (p *Projector) queue(batch *pgx.Batch, events []domain.Recorded) error {
	before := batch.Len()
	if err := p.View.Queue(batch, events); err != nil {
		return err
	}
	for _, query := range batch.QueuedQueries[before:] {
		query.SQL = p.Version.sql(query.SQL)
	}
	if batch.Len() > before && p.Version == Shown {
		batch.Queue(`SELECT pg_notify($1, $2)`, channel, p.View.Name())
	}
	return nil
}

// resume finds the checkpoint where a commit left it whose answer was lost, or a
// switch of versions, and reports whether it is still this projector's.
func (p *Projector) resume(ctx context.Context) bool {
	found, owned := p.checkpoint.Resume(ctx, p.Pool)
	if !owned {
		return false
	}
	p.checkpoint = found
	return p.loadParked(ctx) == nil // it may have parked an account
}
