package projections

import (
	"context"
	"errors"
	"log/slog"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"daybook/domain"
	"daybook/internal/postgres"
	"daybook/internal/vault"
)

// maxParked is how many accounts of a view may be parked. Beyond it the events
// are not what is wrong.
const maxParked = 100

// ErrTooManyParked says that yet another account would have to be parked.
var ErrTooManyParked = errors.New("too many accounts are parked; retry or discard them first")

// Reasons for parking an account; a refusal by the database has its SQLSTATE.
const (
	reasonUnreadable = "unreadable"
	reasonKeyLost    = "key_lost"
	reasonHole       = "hole"
	reasonRefused    = "refused_"
)

// reasonFor tells why an account must be parked. It is empty for what is not the
// fault of an event: an outage, another owner, a program that is too old.
func reasonFor(err error) string {
	switch refused := postgres.Refused(err); {
	case errors.Is(err, vault.ErrKeyLost):
		return reasonKeyLost
	case errors.Is(err, domain.ErrUnreadable):
		return reasonUnreadable
	case errors.Is(err, postgres.ErrHole):
		return reasonHole
	case refused != "":
		return reasonRefused + refused
	}
	return ""
}

// applyOrPark applies the events, by halves where it must be: each is a
// transaction of its own that moves the checkpoint.
func (p *Projector) applyOrPark(ctx context.Context, events []domain.Stored) error {
	err := p.applyOnce(ctx, events)
	reason := reasonFor(err)
	if reason == "" {
		return err
	}
	events = p.ahead(events)
	if half := len(events) / 2; half > 0 {
		if err := p.applyOrPark(ctx, events[:half]); err != nil {
			return err
		}
		return p.applyOrPark(ctx, events[half:])
	}
	id, ok := domain.StreamSubject(events[0].Stream)
	if !ok { // nobody's, so that nobody can be parked
		return err
	}
	return p.park(ctx, id, events[0], reason)
}

// park leaves the account out from the event on, and goes on behind the event.
func (p *Projector) park(ctx context.Context, id uuid.UUID, first domain.Stored, reason string) error {
	if p.alarms() >= maxParked {
		return ErrTooManyParked
	}
	after := p.checkpoint.Position
	if after >= first.Position || reason == reasonHole { // what is missing lies before it
		after = 0
	}
	batch, moved := p.advance([]domain.Stored{first})
	batch.Queue(`INSERT INTO app.parked_accounts (projection, account_id, position, read_after, stream, revision, last_seen, reason)
		VALUES ($1, $2, $3, $4, $5, $6, $3, $7)`, p.CheckpointName(), id, int64(first.Position), int64(after), first.Stream, first.Revision, reason)
	batch.Queue(`SELECT pg_notify($1, $2)`, channel, p.View.Name())
	if err := p.commit(ctx, batch, moved); err != nil {
		return err
	}
	p.parked[id] = true
	p.Logger.ErrorContext(ctx, "account parked", slog.String("view", p.View.Name()), slog.String("account", id.String()),
		slog.String("stream", first.Stream), slog.Int64("revision", first.Revision), slog.String("reason", reason))
	return nil
}

// alarms counts the parked accounts that nobody has given up.
func (p *Projector) alarms() (n int) {
	for _, alarm := range p.parked {
		if alarm {
			n++
		}
	}
	return n
}

// passOver notes the last events of parked accounts.
func (p *Projector) passOver(batch *pgx.Batch, passed map[uuid.UUID]uint64) {
	if len(passed) == 0 {
		return
	}
	accounts, positions := make([]uuid.UUID, 0, len(passed)), make([]int64, 0, len(passed))
	for id, position := range passed {
		accounts, positions = append(accounts, id), append(positions, int64(position))
	}
	batch.Queue(`SELECT app.pass_over($1, $2, $3)`, p.CheckpointName(), accounts, positions)
}

// loadParked asks which accounts are parked. It is called as the owner: nobody
// else parks.
func (p *Projector) loadParked(ctx context.Context) error {
	rows, err := p.Pool.Query(ctx, `SELECT account_id, discarded_at IS NULL FROM app.parked_accounts WHERE projection = $1`, p.CheckpointName())
	if err != nil {
		return err
	}
	parked := map[uuid.UUID]bool{}
	var id uuid.UUID
	var alarm bool
	_, err = pgx.ForEachRow(rows, []any{&id, &alarm}, func() error {
		parked[id] = alarm
		return nil
	})
	if err == nil {
		p.parked = parked
	}
	return err
}
