package app

import (
	"context"
	"fmt"
	"slices"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"daybook/internal/eventstore"
	"daybook/internal/postgres"
)

// followCopy gives a database to the copy of the event store that it belonged to.
// Checkpoints are positions of the old store: they go, and with them the views,
// which are made of nothing but events. Keys, credentials and sessions stay.
func followCopy(ctx context.Context, pool *pgxpool.Pool, client *eventstore.Client, identity eventstore.Identity) error {
	if err := postgres.Migrate(ctx, pool); err != nil {
		return err
	}
	err := pgx.BeginFunc(ctx, pool, func(tx pgx.Tx) error {
		var known uuid.UUID
		if err := tx.QueryRow(ctx, `SELECT store_id FROM app.store FOR UPDATE`).Scan(&known); err != nil {
			return err
		}
		if known == identity.StoreID {
			return nil
		}
		if !slices.Contains(identity.Former, known) {
			return fmt.Errorf("event store %s is no copy of %s, which the database belongs to", identity.StoreID, known)
		}
		return forgetPositions(ctx, tx, identity.StoreID)
	})
	if err != nil {
		return fmt.Errorf("follow the copy of the event store: %w", err)
	}
	return bindDatabase(ctx, pool, client, identity)
}

// forgetPositions removes everything that a position of the old store is part of.
func forgetPositions(ctx context.Context, tx pgx.Tx, store uuid.UUID) error {
	// A view that was being built and the one before are of no use any more.
	rows, err := tx.Query(ctx, `
		SELECT CASE schemaname WHEN 'readmodel' THEN 'TRUNCATE ' ELSE 'DROP TABLE ' END || format('%I.%I CASCADE', schemaname, tablename)
		FROM pg_tables WHERE schemaname IN ('readmodel', 'readmodel_next', 'readmodel_previous')`)
	if err != nil {
		return err
	}
	statements, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return err
	}
	for _, statement := range statements {
		if _, err := tx.Exec(ctx, statement); err != nil {
			return err
		}
	}
	for _, table := range []string{"parked_accounts", "checkpoints"} {
		if _, err := tx.Exec(ctx, `DELETE FROM `+pgx.Identifier{"app", table}.Sanitize()); err != nil {
			return err
		}
	}
	_, err = tx.Exec(ctx, `UPDATE app.store SET store_id = $1`, store)
	return err
}
