package projections

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5/pgxpool"
)

// purgedAtOnce bounds the rows that one statement deletes and locks.
const purgedAtOnce = 1000

// PurgeActivity deletes sign-ins and sign-outs that are too old to be shown, at
// most 1,000, and returns how many.
func PurgeActivity(ctx context.Context, pool *pgxpool.Pool) (int64, error) {
	tag, err := pool.Exec(ctx, `
		DELETE FROM readmodel.activity WHERE event_id IN (
			SELECT event_id FROM readmodel.activity WHERE stream = 'access' AND at <= now() - $1::interval ORDER BY at LIMIT $2)`,
		accessShown, purgedAtOnce)
	if err != nil {
		return 0, fmt.Errorf("purge old activity: %w", err)
	}
	return tag.RowsAffected(), nil
}
