package projections

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"daybook/domain"
	"daybook/internal/postgres"
)

// Parked is an account that a view cannot show: since Position, where an event
// could not be read or be put into it, its events are passed over.
type Parked struct {
	Projection string // name of the checkpoint
	AccountID  uuid.UUID
	Position   uint64 // of the first event that is not in the view
	ReadAfter  uint64 // position of an event before it, or 0
	Stream     string // of that event
	Revision   int64  // of that event
	LastSeen   uint64 // position of the last event passed over
	Reason     string
	Attempts   int
	ParkedAt   time.Time
	TriedAt    time.Time
	// DiscardedAt and DiscardReason are of an account that was given up.
	DiscardedAt   *time.Time
	DiscardReason *string
}

const parkedSQL = `SELECT projection, account_id, position, read_after, stream, revision, last_seen, reason, attempts, parked_at, tried_at,
	discarded_at, discard_reason FROM app.parked_accounts `

// ParkedAccounts lists the parked accounts of all views, oldest first.
func ParkedAccounts(ctx context.Context, pool *pgxpool.Pool) ([]Parked, error) {
	rows, err := pool.Query(ctx, parkedSQL+`ORDER BY parked_at, projection, account_id`)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowToStructByPos[Parked])
}

// Discard gives a parked account up: its events are passed over for good, it is
// no alarm any more, and queries go on folding its stream. Retry takes it up
// again. The error is postgres.ErrNotParked when it is not parked.
func (p *Projector) Discard(ctx context.Context, account uuid.UUID, reason string) error {
	tag, err := p.Pool.Exec(ctx, `UPDATE app.parked_accounts SET discarded_at = now(), discard_reason = $3
		WHERE projection = $1 AND account_id = $2`, p.CheckpointName(), account, reason)
	if err == nil && tag.RowsAffected() == 0 {
		err = postgres.ErrNotParked
	}
	return err
}

// Log yields the events of all streams behind a position, in commit order.
type Log func(ctx context.Context, after uint64) iter.Seq2[domain.Stored, error]

// Retry reads the events of a parked account again, with the code of today, and
// applies those that are not in the view yet, while the owner goes on. The
// projector need not be started. Errors are postgres.ErrNotParked, and those of
// events that cannot be applied even now: then the account stays parked, with
// one more attempt.
func (p *Projector) Retry(ctx context.Context, account uuid.UUID, log Log) error {
	var events []domain.Stored
	for {
		parked, err := p.Find(ctx, account)
		if err != nil {
			return err
		}
		if events, err = p.missing(ctx, parked, log, events); err != nil {
			return err
		}
		err = p.unpark(ctx, parked, events)
		if err == nil {
			return nil
		}
		if !errors.Is(err, postgres.ErrNotParked) {
			return p.failed(ctx, account, err)
		} // others were passed over meanwhile, or another retry has done it
	}
}

// Find returns how an account is parked. The error is postgres.ErrNotParked when it
// is not.
func (p *Projector) Find(ctx context.Context, account uuid.UUID) (Parked, error) {
	rows, err := p.Pool.Query(ctx, parkedSQL+`WHERE projection = $1 AND account_id = $2`, p.CheckpointName(), account)
	if err != nil {
		return Parked{}, err
	}
	found, err := pgx.CollectRows(rows, pgx.RowToStructByPos[Parked])
	if err != nil {
		return Parked{}, err
	}
	if len(found) == 0 {
		return Parked{}, fmt.Errorf("%s in %s: %w", account, p.View.Name(), postgres.ErrNotParked)
	}
	return found[0], nil
}

// missing adds to the events those up to the last one passed over.
func (p *Projector) missing(ctx context.Context, parked Parked, log Log, events []domain.Stored) ([]domain.Stored, error) {
	after := parked.ReadAfter
	if len(events) > 0 {
		after = events[len(events)-1].Position
	}
	for event, err := range log(ctx, after) {
		if err != nil {
			return nil, err
		}
		if event.Position > parked.LastSeen {
			break
		}
		if id, ok := domain.StreamSubject(event.Stream); ok && id == parked.AccountID && p.View.Wants(event.Stream) {
			events = append(events, event)
		}
	}
	return events, nil
}

// unpark applies the events and ends the parking, in one transaction.
func (p *Projector) unpark(ctx context.Context, parked Parked, events []domain.Stored) error {
	recorded, err := p.decode(ctx, events)
	if err != nil {
		return err
	}
	batch := &pgx.Batch{}
	batch.Queue(`SELECT app.unpark($1, $2, $3)`, parked.Projection, parked.AccountID, int64(parked.LastSeen))
	if err := p.queue(batch, recorded); err != nil {
		return err
	}
	return postgres.Explain(p.Pool.SendBatch(ctx, batch).Close())
}

// failed counts an attempt that could not help, and says why.
func (p *Projector) failed(ctx context.Context, account uuid.UUID, why error) error {
	if reason := reasonFor(why); reason != "" {
		_, err := p.Pool.Exec(ctx, `UPDATE app.parked_accounts SET attempts = attempts + 1, tried_at = now(), reason = $3
			WHERE projection = $1 AND account_id = $2`, p.CheckpointName(), account, reason)
		if err != nil {
			return errors.Join(why, err)
		}
	}
	return fmt.Errorf("retry %s in %s: %w", account, p.View.Name(), why)
}
