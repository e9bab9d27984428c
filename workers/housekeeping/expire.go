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

// Expire ends accounts that were never activated, once their last link has been dead
// for After. The view tells of candidates, the command decides.
type Expire struct {
	Pool     *pgxpool.Pool
	Commands *commands.Handler
	After    time.Duration // defaults to 7 days
}

const expireAfter = 7 * 24 * time.Hour

// Task returns expire_registrations, which counts the accounts that it ended.
func (e Expire) Task(every time.Duration) Task {
	if e.After == 0 {
		e.After = expireAfter
	}
	s := &sweep[uuid.UUID, uuid.UUID]{find: e.find, key: same[uuid.UUID], each: e.each}
	return Task{Name: "expire_registrations", Every: every, Run: s.run}
}

func (e Expire) find(ctx context.Context, after uuid.UUID, limit int) ([]uuid.UUID, error) {
	rows, err := e.Pool.Query(ctx, `
		SELECT account_id FROM readmodel.registrations
		WHERE activated_at IS NULL AND expired_at IS NULL AND abandoned_at IS NULL AND erased_at IS NULL AND registered_at < $1 AND account_id > $2
		ORDER BY account_id LIMIT $3`, e.Commands.Now().Add(-e.After), after, limit)
	if err != nil {
		return nil, fmt.Errorf("find registrations to expire: %w", err)
	}
	return pgx.CollectRows(rows, pgx.RowTo[uuid.UUID])
}

func (e Expire) each(ctx context.Context, account uuid.UUID) (bool, error) {
	expired, err := e.Commands.ExpireRegistration(ctx, caller(uuid.New()), account, e.After)
	if err != nil {
		err = fmt.Errorf("expire %s: %w", account, err)
	}
	return expired, err
}

// same is the key of candidates that are nothing but one.
func same[K any](key K) K { return key }
