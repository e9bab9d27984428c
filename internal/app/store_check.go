package app

import (
	"context"
	"fmt"
	"slices"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgxpool"

	"daybook/internal/eventstore"
)

// binding is what is done about database and event store when they are opened.
type binding func(context.Context, *pgxpool.Pool, *eventstore.Client, eventstore.Identity) error

// bindDatabase makes sure that database and event store belong together: the
// positions and ids of two stores have nothing to do with each other.
func bindDatabase(ctx context.Context, pool *pgxpool.Pool, client *eventstore.Client, identity eventstore.Identity) error {
	var known uuid.UUID
	err := pool.QueryRow(ctx, `
		INSERT INTO app.store AS s (store_id, namespace) VALUES ($1, $2)
		ON CONFLICT (singleton) DO UPDATE SET namespace = s.namespace
		RETURNING s.store_id`, identity.StoreID, identity.Namespace).Scan(&known)
	if err != nil {
		return fmt.Errorf("read which event store the database belongs to: %w", err)
	}
	if slices.Contains(identity.Former, known) {
		return fmt.Errorf("the event store is a copy of the one that the database belongs to, %s: stop all processes of the service, then run daybook migrate --after-copy once", known)
	}
	if known != identity.StoreID {
		return fmt.Errorf("the database belongs to event store %s, but DAYBOOK_EVENTSTORE_URL leads to %s: point both to the same deployment, or give the new store an empty database", known, identity.StoreID)
	}
	return checkTail(ctx, pool, client)
}

// checkTail refuses a store that is shorter than what has been read of it: it
// was restored from an older copy.
func checkTail(ctx context.Context, pool *pgxpool.Pool, client *eventstore.Client) error {
	var furthest int64 // asked for first: a service that runs goes on meanwhile
	if err := pool.QueryRow(ctx, `SELECT coalesce(max(position), 0) FROM app.checkpoints`).Scan(&furthest); err != nil {
		return fmt.Errorf("read the checkpoints: %w", err)
	}
	tail, err := client.Tail(ctx)
	if err != nil {
		return fmt.Errorf("DAYBOOK_EVENTSTORE_URL: %w", err)
	}
	if uint64(furthest) > tail {
		return fmt.Errorf("the database has seen the event store at position %d, but the store ends at %d: it was restored from an older copy; restore the matching database, or see \"Moving to another event store\" in docs/runbook.md", furthest, tail)
	}
	return nil
}
