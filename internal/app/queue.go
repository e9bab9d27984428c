package app

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"daybook/internal/postgres"
	"daybook/workers/email"
)

// jobQueue is what waits in the mail queue.
type jobQueue struct {
	states map[string]int // jobs that are not done, by River's state
	due    int            // of those, available and not before their time
	oldest float64        // seconds that the oldest due one waits
	// stalled: due jobs wait and none is taken up.
	stalled bool
}

// queueOf asks about live jobs only: those that are done are many, and there is
// no index of when they were taken up. That is asked only when jobs wait too long.
func queueOf(ctx context.Context, pool *pgxpool.Pool) (jobQueue, error) {
	q := jobQueue{states: map[string]int{"available": 0, "running": 0, "retryable": 0, "scheduled": 0}}
	rows, err := pool.Query(ctx, `SELECT state::text, count(*)::int, count(*) FILTER (WHERE state = 'available' AND scheduled_at <= now())::int,
			coalesce(extract(epoch FROM now() - min(scheduled_at) FILTER (WHERE state = 'available')), 0)::float8
		FROM `+postgres.QueueSchema+`.river_job
		WHERE queue = $1 AND state IN ('available', 'running', 'retryable', 'scheduled', 'pending') GROUP BY state`, email.Queue)
	if err != nil {
		return jobQueue{}, fmt.Errorf("ask for the mail queue: %w", err)
	}
	var state string
	var jobs, due int
	var oldest float64
	_, err = pgx.ForEachRow(rows, []any{&state, &jobs, &due, &oldest}, func() error {
		q.states[state], q.due, q.oldest = jobs, q.due+due, max(q.oldest, oldest)
		return nil
	})
	if err == nil && q.oldest > patience.Seconds() {
		err = pool.QueryRow(ctx, `SELECT NOT EXISTS (SELECT FROM `+postgres.QueueSchema+`.river_job
			WHERE queue = $1 AND attempted_at > now() - $2::interval)`, email.Queue, patience).Scan(&q.stalled)
	}
	if err != nil {
		return jobQueue{}, fmt.Errorf("ask for the mail queue: %w", err)
	}
	return q, nil
}
