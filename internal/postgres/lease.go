package postgres

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

// ErrLeaseLost says that the connection which held a lease broke: another process
// may have it by now.
var ErrLeaseLost = errors.New("the lease is lost")

// Lease holds a session lock, so that one process at a time works on what the
// name stands for. It blocks until the lock is free. When the connection is lost,
// run's context ends with ErrLeaseLost as its cause, and so does Lease, once run
// has returned; otherwise Lease returns what run returns.
func Lease(ctx context.Context, pool *pgxpool.Pool, name string, run func(ctx context.Context) error) error {
	conn, err := pool.Acquire(ctx)
	if err != nil {
		return err
	}
	// The connection is not given back: closing it is what releases the lock
	// even if unlocking fails.
	raw := conn.Hijack()
	defer func() { _ = raw.Close(context.WithoutCancel(ctx)) }()
	if _, err := raw.Exec(ctx, `SELECT pg_advisory_lock(hashtextextended($1, 0))`, name); err != nil {
		return fmt.Errorf("wait for the lease of %s: %w", name, err)
	}
	return underLease(ctx, raw, run)
}

// underLease runs while the connection lives.
func underLease(ctx context.Context, raw *pgx.Conn, run func(ctx context.Context) error) error {
	held, lose := context.WithCancelCause(ctx)
	watching, stop := context.WithCancel(ctx)
	watched := make(chan struct{})
	go func() {
		defer close(watched)
		for watching.Err() == nil {
			// Nobody notifies this connection: it returns when the connection ends.
			if _, err := raw.WaitForNotification(watching); err != nil && watching.Err() == nil {
				lose(fmt.Errorf("%w: %w", ErrLeaseLost, err))
				return
			}
		}
	}()
	err := run(held)
	stop()
	<-watched
	if cause := context.Cause(held); errors.Is(cause, ErrLeaseLost) {
		return errors.Join(cause, err)
	}
	lose(nil)
	return err
}
