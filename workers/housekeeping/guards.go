package housekeeping

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"daybook/commands"
)

// Guards clears the mark of accounts whose sessions have been checked against the
// stream ever since a change died before it could say that it was through. A mark
// that the stream has not reached stays: the change may yet come.
type Guards struct {
	Pool     *pgxpool.Pool
	Store    commands.Store
	Sessions commands.Sessions
}

// Task returns settle_guards, which counts the marks that it cleared.
func (g Guards) Task(every time.Duration) Task {
	s := &sweep[uuid.UUID, pendingGuard]{find: g.find, key: func(p pendingGuard) uuid.UUID { return p.Account }, each: g.each}
	return Task{Name: "settle_guards", Every: every, Run: s.run}
}

type pendingGuard struct {
	Account  uuid.UUID
	Revision int64
}

func (g Guards) find(ctx context.Context, after uuid.UUID, limit int) ([]pendingGuard, error) {
	rows, err := g.Pool.Query(ctx, `
		SELECT account_id, pending_revision FROM app.account_guards
		WHERE pending_revision IS NOT NULL AND account_id > $1 ORDER BY account_id LIMIT $2`, after, limit)
	if err != nil {
		return nil, fmt.Errorf("find pending guards: %w", err)
	}
	return pgx.CollectRows(rows, pgx.RowToStructByPos[pendingGuard])
}

func (g Guards) each(ctx context.Context, p pendingGuard) (bool, error) {
	account, err := g.Store.Account(ctx, p.Account)
	if err == nil && account.Revision < p.Revision {
		return false, nil
	}
	if err == nil {
		err = g.Sessions.Settle(ctx, account)
	}
	if err != nil {
		return false, fmt.Errorf("settle the guard of %s: %w", p.Account, err)
	}
	return true, nil
}
