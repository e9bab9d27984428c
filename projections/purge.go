package projections

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5/pgxpool"
)

// purgedAtOnce bounds the rows that one statement deletes and locks.
const purgedAtOnce = 1000

// PurgeActivity deletes sign-ins and sign-outs that are too old to be shown, at
// most 1,000 of each version of the view, and returns how many.
func PurgeActivity(ctx context.Context, pool *pgxpool.Pool) (purged int64, err error) {
	for _, v := range []Version{Shown, Previous} {
		there, err := v.exists(ctx, pool, Activity{})
		if err != nil || !there {
			return purged, err
		}
		tag, err := pool.Exec(ctx, v.sql(purgeSQL), accessShown, purgedAtOnce)
		if err != nil {
			return purged, fmt.Errorf("purge old activity: %w", err)
		}
		purged += tag.RowsAffected()
	}
	return purged, nil
}

const purgeSQL = `
DELETE FROM readmodel.activity WHERE event_id IN (
	SELECT event_id FROM readmodel.activity WHERE stream = 'access' AND at <= now() - $1::interval ORDER BY at LIMIT $2)`
