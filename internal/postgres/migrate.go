package postgres

import (
	"context"
	"embed"
	"fmt"
	"io/fs"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"
	"github.com/riverqueue/river/rivermigrate"
)

//go:embed migrations/*.sql
var migrations embed.FS

// QueueSchema is where the job queue keeps its tables.
const QueueSchema = "app"

// Migrate brings the schema up to date. Several processes may call it at once,
// the others wait for the first; it is repeatable.
func Migrate(ctx context.Context, pool *pgxpool.Pool) error {
	// The lease covers both histories: the queue's migrator has no lock, and the
	// library's own lock is polled for every five seconds.
	return Lease(ctx, pool, "migrate", func(ctx context.Context) error {
		if err := migrateSchemas(ctx, pool); err != nil {
			return err
		}
		if err := migrateQueue(ctx, pool); err != nil {
			return err
		}
		return grantRoles(ctx, pool)
	})
}

func migrateSchemas(ctx context.Context, pool *pgxpool.Pool) error {
	db := stdlib.OpenDBFromPool(pool)
	defer func() { _ = db.Close() }()
	files, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return err
	}
	provider, err := goose.NewProvider(goose.DialectPostgres, db, files)
	if err != nil {
		return fmt.Errorf("read migrations: %w", err)
	}
	if _, err := provider.Up(ctx); err != nil {
		return fmt.Errorf("migrate the database: %w", err)
	}
	return nil
}

func migrateQueue(ctx context.Context, pool *pgxpool.Pool) error {
	migrator, err := rivermigrate.New(riverpgxv5.New(pool), &rivermigrate.Config{Schema: QueueSchema})
	if err != nil {
		return fmt.Errorf("read queue migrations: %w", err)
	}
	if _, err := migrator.Migrate(ctx, rivermigrate.DirectionUp, nil); err != nil {
		return fmt.Errorf("migrate the queue: %w", err)
	}
	return nil
}
