package email

import (
	"context"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"daybook/internal/postgres"
)

// Known is what the queue still knows of a mail: for some days after it ended.
type Known struct {
	Mail     string
	Event    *uuid.UUID // that asked for it, if an event did
	QueuedAt time.Time
	EndedAt  *time.Time
	Outcome  *string // sent, skipped or failed; nil while it waits
}

// KnownOf returns the mails of the account that are in the queue, oldest first.
func KnownOf(ctx context.Context, pool *pgxpool.Pool, account uuid.UUID) ([]Known, error) {
	rows, err := pool.Query(ctx, `
		SELECT coalesce(args->>'mail', $2), (args->>'event_id')::uuid, created_at, finalized_at, metadata->'output'->>'outcome'
		FROM `+postgres.QueueSchema+`.river_job WHERE queue = $1 AND args @> jsonb_build_object('account', $3::text)
		ORDER BY id`, Queue, string(kindAlreadyRegistered), account.String())
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowToStructByPos[Known])
}

// SeenDevice says when a device signed in first and last.
type SeenDevice struct{ First, Last time.Time }

// DevicesOf returns when the account's devices were seen, newest first.
func DevicesOf(ctx context.Context, pool *pgxpool.Pool, account uuid.UUID) ([]SeenDevice, error) {
	rows, err := pool.Query(ctx, `SELECT first_seen_at, last_seen_at FROM app.devices WHERE account_id = $1 ORDER BY first_seen_at DESC`, account)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowToStructByPos[SeenDevice])
}
