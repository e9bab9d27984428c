package projections

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"pgregory.net/rapid"

	"daybook/domain"
	"daybook/internal/postgres"
	"daybook/internal/vault"
)

// longVariable makes the long tests long.
const longVariable = "DAYBOOK_TEST_LONG"

// chaosRuns is how many runs there are.
func chaosRuns() int {
	if os.Getenv(longVariable) != "" {
		return 1000
	}
	return 50
}

// breaker makes connections that break after so many steps: before a statement is
// sent, or after it was done and before its answer is read.
type breaker struct {
	steps atomic.Int64 // left; below zero nothing breaks
}

type breaking struct {
	net.Conn
	breaker *breaker
}

var errBroken = errors.New("the connection broke")

func (b *breaker) step() bool { return b.steps.Load() >= 0 && b.steps.Add(-1) == 0 }

func (c breaking) Read(p []byte) (int, error) {
	if c.breaker.step() {
		_ = c.Close()
		return 0, errBroken
	}
	return c.Conn.Read(p)
}

func (c breaking) Write(p []byte) (int, error) {
	if c.breaker.step() {
		_ = c.Close()
		return 0, errBroken
	}
	return c.Conn.Write(p)
}

// pool returns one to the same database whose connections break.
func (b *breaker) pool(t *testing.T, w *world) *pgxpool.Pool {
	t.Helper()
	b.steps.Store(-1)
	config := w.pool.Config()
	dial := config.ConnConfig.DialFunc
	config.ConnConfig.DialFunc = func(ctx context.Context, network, addr string) (net.Conn, error) {
		conn, err := dial(ctx, network, addr)
		return breaking{conn, b}, err
	}
	pool, err := pgxpool.NewWithConfig(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pool.Close)
	return pool
}

// TestChaos: connections break between any two steps, deliveries repeat, owners are
// lost, the key store is slow, an account cannot be read. In the end, with the
// account retried by a program that can read it, the rows are what the log says.
// A run is repeated with its number alone.
func TestChaos(t *testing.T) {
	for _, v := range viewChecks {
		t.Run(v.view.Name(), func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			b := &breaker{}
			fragile := b.pool(t, w)
			seen := map[string]int{}
			for run := range chaosRuns() / len(viewChecks) {
				c := &chaos{world: w, breaker: b, fragile: fragile, view: v.view, chance: rand.New(rand.NewPCG(uint64(run), 0)), seen: seen}
				c.run(t, run)
				v.check(t, w, c.log)
				if t.Failed() {
					t.Fatalf("run %d", run)
				}
			}
			t.Logf("%v", seen)
		})
	}
}

// chaos is one run.
type chaos struct {
	*world
	breaker *breaker
	fragile *pgxpool.Pool
	view    View
	chance  *rand.Rand
	seen    map[string]int // what happened, by name

	log    []domain.Recorded
	owners []*Projector // the last one is the owner
}

func (c *chaos) run(t *testing.T, run int) {
	t.Helper()
	c.reset(t, c.view, 0)
	events := rapid.Custom(func(r *rapid.T) []domain.Stored { return c.tell(r, 40) }).Example(run)
	c.log = c.recorded(t, events)
	delivered := events
	if len(events) > 0 && c.chance.IntN(2) == 0 {
		delivered = damaged(events, c.chance.IntN(len(events)))
	}
	c.takeOver(t)
	for c.position(t, c.view) < lastOf(events) {
		c.disturb(t)
		c.deliver(t, delivered)
		c.breaker.steps.Store(-1)
	}
	for _, parked := range c.parked(t, c.view) {
		c.seen["parked"]++
		if err := c.owners[len(c.owners)-1].Retry(c.ctx, parked.AccountID, logOf(events)); err != nil {
			t.Errorf("retry: %v", err)
		}
	}
}

func lastOf(events []domain.Stored) uint64 {
	if len(events) == 0 {
		return 0
	}
	return events[len(events)-1].Position
}

// takeOver starts a new owner, as often as it takes.
func (c *chaos) takeOver(t *testing.T) {
	t.Helper()
	for range 100 {
		p := &Projector{Pool: c.fragile, Vault: vault.New(c.fragile, c.masters), View: c.view, Logger: slog.New(slog.DiscardHandler)}
		if _, err := p.Start(c.ctx); err == nil {
			c.owners = append(c.owners, p)
			return
		}
		c.breaker.steps.Store(-1)
	}
	t.Fatal("nobody can start")
}

// disturb draws what goes wrong with the next delivery.
func (c *chaos) disturb(t *testing.T) {
	t.Helper()
	switch c.chance.IntN(4) {
	case 0:
		c.seen["break"]++
		c.breaker.steps.Store(int64(1 + c.chance.IntN(12)))
	case 1:
		c.seen["new owner"]++
		c.takeOver(t)
	case 2:
		c.seen["restart after a break"]++
		c.breaker.steps.Store(int64(1 + c.chance.IntN(12)))
		c.takeOver(t)
	}
}

// deliver gives a batch from at or before the checkpoint, perhaps to a former owner
// too, perhaps while keys cannot be had in time.
func (c *chaos) deliver(t *testing.T, events []domain.Stored) {
	t.Helper()
	position := c.position(t, c.view)
	at := slices.IndexFunc(events, func(e domain.Stored) bool { return e.Position > position })
	from := max(0, at-c.chance.IntN(4))
	batch := events[from:min(len(events), at+1+c.chance.IntN(20))]
	former := c.owners[c.chance.IntN(len(c.owners))]
	owner := c.owners[len(c.owners)-1]
	if former != owner {
		c.seen["former owner"]++
		if err := former.Apply(c.ctx, batch); err == nil && c.position(t, c.view) != position {
			t.Error("a former owner moved the checkpoint")
		}
	}
	ctx := c.ctx
	if c.chance.IntN(10) == 0 {
		c.seen["slow keys"]++
		release := c.lockKeys(t)
		defer release()
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, 5*time.Millisecond)
		defer cancel()
	}
	if err := owner.Apply(ctx, batch); err != nil {
		c.seen["failed"]++
		if errors.Is(err, postgres.ErrHole) || strings.Contains(err.Error(), "SQLSTATE 2") {
			t.Errorf("apply: %v", err)
		}
	}
}

// lockKeys has every query for keys wait until release.
func (c *chaos) lockKeys(t *testing.T) (release func()) {
	t.Helper()
	tx, err := c.pool.Begin(c.ctx)
	if err == nil {
		_, err = tx.Exec(c.ctx, `LOCK TABLE vault.data_keys IN ACCESS EXCLUSIVE MODE`)
	}
	if err != nil {
		t.Fatal(fmt.Errorf("lock the keys: %w", err))
	}
	return func() { _ = tx.Rollback(c.ctx) }
}
