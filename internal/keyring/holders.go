package keyring

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgxpool"
)

// Life is how long a process counts as alive after it has told of itself.
const Life = 15 * time.Second

// Holders is the table of what each process knows.
type Holders struct{ Pool *pgxpool.Pool }

// Tell says which keys the process knows and uses, as kind:id. Rows of processes that
// are long gone are deleted. Nothing is lost with the last seconds before a crash of the
// server, so nobody waits for the disk.
func (h Holders) Tell(ctx context.Context, process uuid.UUID, known, current []string) error {
	_, err := h.Pool.Exec(ctx, `
		WITH unsynchronised AS MATERIALIZED (SELECT set_config('synchronous_commit', 'off', true)),
		gone AS (DELETE FROM app.key_holders WHERE seen_at < now() - 20 * $4::interval AND process_id <> $1)
		INSERT INTO app.key_holders (process_id, known, current, seen_at) SELECT $1, $2, $3, now() FROM unsynchronised
		ON CONFLICT (process_id) DO UPDATE SET known = $2, current = $3, seen_at = now()`, process, known, current, Life)
	if err != nil {
		return fmt.Errorf("tell which keys are known: %w", err)
	}
	return nil
}

// Leave removes the process, which ends.
func (h Holders) Leave(ctx context.Context, process uuid.UUID) error {
	_, err := h.Pool.Exec(ctx, `DELETE FROM app.key_holders WHERE process_id = $1`, process)
	return err
}

// Ignorant counts the living processes that do not know the key yet.
func (h Holders) Ignorant(ctx context.Context, key string) (n int, err error) {
	err = h.Pool.QueryRow(ctx, `SELECT count(*) FROM app.key_holders WHERE seen_at > now() - $2::interval AND NOT $1 = ANY(known)`, key, Life).Scan(&n)
	return n, err
}

// Behind counts the living processes that do not use the key as current yet.
func (h Holders) Behind(ctx context.Context, key string) (n int, err error) {
	err = h.Pool.QueryRow(ctx, `SELECT count(*) FROM app.key_holders WHERE seen_at > now() - $2::interval AND NOT $1 = ANY(current)`, key, Life).Scan(&n)
	return n, err
}
