package email

import (
	"context"
	"fmt"
	"log/slog"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"

	"daybook/domain"
	"daybook/internal/postgres"
)

// Notices asks for mails that no event asks for. Make it with NewNotices.
type Notices struct {
	pool  *pgxpool.Pool
	queue *river.Client[pgx.Tx]
}

// NewNotices returns notices over the database. It does no I/O.
func NewNotices(pool *pgxpool.Pool, logger *slog.Logger) (*Notices, error) {
	queue, err := inserter(pool, logger)
	if err != nil {
		return nil, err
	}
	return &Notices{pool, queue}, nil
}

// AlreadyRegistered tells the owner of an active account that somebody tried to
// register the address, at most once in an hour. It returns when the job is
// stored, not when the mail is sent.
func (n *Notices) AlreadyRegistered(ctx context.Context, account domain.Account) error {
	job := registeredJob{Account: account.ID}
	told, err := n.toldLately(ctx, job)
	if err == nil && !told {
		// Of calls at the same moment, uniqueness lets one through.
		_, err = n.queue.Insert(ctx, job, nil)
	}
	if err != nil {
		return fmt.Errorf("ask for a notice to %s: %w", account.ID, err)
	}
	return nil
}

// toldLately makes of the queue's hour of the clock any hour.
func (n *Notices) toldLately(ctx context.Context, job registeredJob) (told bool, err error) {
	err = n.pool.QueryRow(ctx, `SELECT EXISTS (SELECT FROM `+postgres.QueueSchema+`.river_job
		WHERE kind = $1 AND args @> $2 AND created_at > now() - $3::interval)`, job.Kind(), job, noticeInterval).Scan(&told)
	return told, err
}

// inserter returns a client of the queue that works on no jobs.
func inserter(pool *pgxpool.Pool, logger *slog.Logger) (*river.Client[pgx.Tx], error) {
	queue, err := river.NewClient(riverpgxv5.New(pool), &river.Config{Schema: postgres.QueueSchema, Logger: logger})
	if err != nil {
		return nil, fmt.Errorf("open the mail queue: %w", err)
	}
	return queue, nil
}
