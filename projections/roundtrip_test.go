package projections

import (
	"context"
	"errors"
	"io"
	"net"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"daybook/internal/postgres"
	"daybook/internal/testkit"
)

// counter counts what goes to the database.
type counter struct{ queries, batches atomic.Int32 }

func (c *counter) TraceQueryStart(ctx context.Context, _ *pgx.Conn, _ pgx.TraceQueryStartData) context.Context {
	c.queries.Add(1)
	return ctx
}

func (*counter) TraceQueryEnd(context.Context, *pgx.Conn, pgx.TraceQueryEndData) {}

func (c *counter) TraceBatchStart(ctx context.Context, _ *pgx.Conn, _ pgx.TraceBatchStartData) context.Context {
	c.batches.Add(1)
	return ctx
}

func (*counter) TraceBatchQuery(context.Context, *pgx.Conn, pgx.TraceBatchQueryData) {}

func (*counter) TraceBatchEnd(context.Context, *pgx.Conn, pgx.TraceBatchEndData) {}

func TestABatchIsOneRoundTripAndAtMostOneKeyQuery(t *testing.T) {
	count := &counter{}
	pool, err := postgres.Open(t.Context(), postgres.Config{Setting: "the test database", URL: testkit.DatabaseURL(t), Tracer: count})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pool.Close)
	w := worldOver(t, pool)
	events := w.person(t)
	events = append(events, w.person(t)...)
	for _, v := range viewChecks {
		w.freshVault()
		p := w.projector(t, v.view)
		keyQueries := int32(0)
		if v.view.Personal() {
			keyQueries = 1
		}
		for _, batch := range []int{7, len(events)} { // then all keys are known
			count.queries.Store(0)
			count.batches.Store(0)
			apply(t, w, p, events[:batch])
			if queries, batches := count.queries.Load(), count.batches.Load(); queries != keyQueries || batches != 1 {
				t.Errorf("%s: %d queries and %d batches, want %d and 1", v.view.Name(), queries, batches, keyQueries)
			}
			keyQueries = 0
		}
	}
}

// cutter is a connection that loses answers once it is told to.
type cutter struct {
	net.Conn
	lose *atomic.Bool
}

func (c cutter) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	if c.lose.Load() {
		_ = c.Close()
		return 0, io.ErrUnexpectedEOF
	}
	return n, err
}

// TestALostAnswerIsMadeUpFor cuts the connection between commit and answer.
func TestALostAnswerIsMadeUpFor(t *testing.T) {
	w := newWorld(t)
	events := w.person(t)
	p, lose := w.projector(t, Accounts{}), &atomic.Bool{}
	config := w.pool.Config()
	dial := config.ConnConfig.DialFunc
	config.ConnConfig.DialFunc = func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := dial(ctx, network, address)
		return cutter{conn, lose}, err
	}
	pool, err := pgxpool.NewWithConfig(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pool.Close)
	p.Pool = pool
	apply(t, w, p, events[:2]) // its statements are prepared now
	lose.Store(true)
	err = p.Apply(t.Context(), events[2:4])
	if _, answered := errors.AsType[*pgconn.PgError](err); err == nil || answered {
		t.Fatalf("Apply: %v, want no answer", err)
	}
	lose.Store(false)
	testkit.Await(t, 10*time.Second, "the server has committed", func() bool { return w.position(t, Accounts{}) == events[3].Position })
	apply(t, w, p, events[2:4])
	apply(t, w, p, events[2:])
	checkAccounts(t, w, w.recorded(t, events))
}
