package projections

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"daybook/internal/pause"
)

// channel is the Postgres channel on which projectors notify within their
// transaction: it is heard exactly at commit.
const channel = "daybook_views"

// Changes wakes queries that wait for a view. One connection of a process
// listens for all of them.
type Changes struct {
	Pool   *pgxpool.Pool
	Logger *slog.Logger

	mu   sync.Mutex
	next chan struct{}
}

// Next returns a channel that is closed at the next change of any view. It must
// be asked for before the view is read.
func (c *Changes) Next() <-chan struct{} {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.next == nil {
		c.next = make(chan struct{})
	}
	return c.next
}

func (c *Changes) wake() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.next != nil {
		close(c.next)
		c.next = nil
	}
}

// Run listens until the context ends, connecting again when it must. A missed
// notification costs a query its waiting time and nothing else.
func (c *Changes) Run(ctx context.Context) error {
	for ctx.Err() == nil {
		if err := c.listen(ctx); err != nil && ctx.Err() == nil {
			c.Logger.WarnContext(ctx, "listening for view changes was interrupted", slog.Any("error", err))
			pause.For(ctx, time.Second)
		}
	}
	return nil
}

func (c *Changes) listen(ctx context.Context) error {
	conn, err := c.Pool.Acquire(ctx)
	if err != nil {
		return err
	}
	raw := conn.Hijack() // a listening connection is no use to others
	defer func() { _ = raw.Close(context.WithoutCancel(ctx)) }()
	if _, err := raw.Exec(ctx, "LISTEN "+channel); err != nil {
		return err
	}
	c.wake()
	for {
		if _, err := raw.WaitForNotification(ctx); err != nil {
			return err
		}
		c.wake()
	}
}
