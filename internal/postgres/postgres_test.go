package postgres_test

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"daybook/internal/postgres"
	"daybook/internal/testkit"
)

func TestMain(m *testing.M) { os.Exit(testkit.Main(m)) }

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// emptyDatabase is one that nobody has migrated.
func emptyDatabase(t *testing.T) string {
	t.Helper()
	address := testkit.DatabaseURL(t)
	name := "empty_" + strings.ReplaceAll(uuid.NewString(), "-", "")
	conn, err := pgx.Connect(t.Context(), address)
	must(t, err)
	_, err = conn.Exec(t.Context(), "CREATE DATABASE "+name)
	must(t, err)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		_, _ = conn.Exec(ctx, "DROP DATABASE "+name+" WITH (FORCE)")
		_ = conn.Close(ctx)
	})
	parsed, err := url.Parse(address)
	must(t, err)
	parsed.Path = "/" + name
	return parsed.String()
}

func open(t *testing.T, address string) *pgxpool.Pool {
	t.Helper()
	pool, err := postgres.Open(t.Context(), postgres.Config{Setting: "DAYBOOK_DATABASE_URL", URL: address})
	must(t, err)
	t.Cleanup(pool.Close)
	return pool
}

// TestMigrateAtOnceAndAgain: processes that start together do it once.
func TestMigrateAtOnceAndAgain(t *testing.T) {
	address := emptyDatabase(t)
	var all sync.WaitGroup
	for range 3 {
		pool := open(t, address)
		all.Go(func() {
			if err := postgres.Migrate(t.Context(), pool); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	pool := open(t, address)
	must(t, postgres.Migrate(t.Context(), pool))
	for _, table := range []string{"app.sessions", "vault.data_keys", "readmodel.accounts", "app.river_job"} {
		_, err := pool.Exec(t.Context(), "SELECT FROM "+table+" LIMIT 1")
		must(t, err)
	}
}

func TestOpenRefuses(t *testing.T) {
	parsed, err := url.Parse(testkit.DatabaseURL(t))
	must(t, err)
	nowhere := *parsed
	nowhere.User, nowhere.Path = url.UserPassword("postgres", "verysecret"), "/no_such_database"
	for name, address := range map[string]string{
		"no URL":           "://verysecret",
		"wrong setting":    "postgres://user:verysecret@localhost/db?sslmode=verysecret",
		"no such database": nowhere.String(),
		"no server":        "postgres://user:verysecret@127.0.0.1:1/db?connect_timeout=2",
	} {
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		_, err := postgres.Open(ctx, postgres.Config{Setting: "DAYBOOK_DATABASE_URL", URL: address})
		cancel()
		if err == nil || !strings.HasPrefix(err.Error(), "DAYBOOK_DATABASE_URL") || strings.Contains(err.Error(), "verysecret") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestPoolIsBounded(t *testing.T) {
	address := testkit.DatabaseURL(t)
	for given, want := range map[int32]int32{0: 16, 3: 3, 40: 40} {
		pool, err := postgres.Open(t.Context(), postgres.Config{URL: address, MaxConns: given})
		must(t, err)
		if got := pool.Config().MaxConns; got != want {
			t.Errorf("MaxConns %d gives %d", given, got)
		}
		pool.Close()
	}
}

func advance(t *testing.T, pool *pgxpool.Pool, c postgres.Checkpoint, to uint64) (postgres.Checkpoint, error) {
	t.Helper()
	var after postgres.Checkpoint
	err := pgx.BeginFunc(t.Context(), pool, func(tx pgx.Tx) (err error) {
		after, err = c.AdvanceIn(t.Context(), tx, to, 1)
		return err
	})
	return after, err
}

func TestCheckpoints(t *testing.T) {
	pool := testkit.Database(t)
	ctx := t.Context()
	_, err := postgres.TakeCheckpoint(ctx, pool, "view")
	if !errors.Is(err, postgres.ErrNoCheckpoint) || !strings.Contains(err.Error(), "view") {
		t.Fatalf("without a checkpoint: %v", err)
	}
	must(t, postgres.CreateCheckpoint(ctx, pool, "view", uuid.New(), 7))
	must(t, postgres.CreateCheckpoint(ctx, pool, "view", uuid.New(), 99))
	first, err := postgres.TakeCheckpoint(ctx, pool, "view")
	must(t, err)
	if first.Position != 7 || first.Name != "view" {
		t.Fatalf("took %+v", first)
	}
	moved, err := advance(t, pool, first, 10)
	must(t, err)
	if moved.Position != 10 || moved.Epoch != first.Epoch {
		t.Fatalf("moved to %+v", moved)
	}
	if _, err := advance(t, pool, first, 12); !errors.Is(err, postgres.ErrNotOwner) {
		t.Errorf("from a position that is not there: %v", err)
	}
	second, err := postgres.TakeCheckpoint(ctx, pool, "view")
	must(t, err)
	if second.Position != 10 || second.Epoch <= moved.Epoch {
		t.Errorf("took over %+v", second)
	}
	if _, err := advance(t, pool, moved, 11); !errors.Is(err, postgres.ErrNotOwner) {
		t.Errorf("by the former owner: %v", err)
	}
	if _, err := advance(t, pool, postgres.Checkpoint{Name: "nobody's"}, 1); !errors.Is(err, postgres.ErrNotOwner) {
		t.Errorf("without a checkpoint: %v", err)
	}
	_, err = advance(t, pool, second, 1<<62)
	must(t, err)
}

// TestCheckpointAndWorkAreOne: what a former owner did is undone with its move.
func TestCheckpointAndWorkAreOne(t *testing.T) {
	pool := testkit.Database(t)
	ctx := t.Context()
	must(t, postgres.CreateCheckpoint(ctx, pool, "view", uuid.New(), 0))
	former, err := postgres.TakeCheckpoint(ctx, pool, "view")
	must(t, err)
	work := func(c postgres.Checkpoint, to uint64) error {
		batch := &pgx.Batch{}
		batch.Queue(`INSERT INTO app.idempotency (command_id, fingerprint) VALUES (gen_random_uuid(), 'x')`)
		if moved := c.Advance(batch, to, 3); moved.Position != to {
			t.Errorf("moved to %+v", moved)
		}
		return pgx.BeginFunc(ctx, pool, func(tx pgx.Tx) error { return postgres.Explain(tx.SendBatch(ctx, batch).Close()) })
	}
	must(t, work(former, 5))
	owner, err := postgres.TakeCheckpoint(ctx, pool, "view")
	must(t, err)
	former.Position = 5
	if err := work(former, 6); !errors.Is(err, postgres.ErrNotOwner) {
		t.Errorf("the former owner: %v", err)
	}
	must(t, work(owner, 9))
	var done, position, events int
	must(t, pool.QueryRow(ctx, `SELECT (SELECT count(*) FROM app.idempotency), position, events FROM app.checkpoints`).Scan(&done, &position, &events))
	if done != 2 || position != 9 || events != 6 {
		t.Errorf("%d done, at %d, %d events", done, position, events)
	}
}

func TestHoles(t *testing.T) {
	pool := testkit.Database(t)
	for _, c := range []struct {
		current, first, last, want int64
		hole                       bool
	}{{-1, 0, 2, 2, false}, {2, 3, 3, 3, false}, {5, 3, 4, 5, false}, {2, 4, 5, 0, true}, {-1, 1, 1, 0, true}} {
		var got int64
		err := pool.QueryRow(t.Context(), `SELECT app.next_revision(gen_random_uuid(), $1, $2, $3)`, c.current, c.first, c.last).Scan(&got)
		if c.hole != errors.Is(postgres.Explain(err), postgres.ErrHole) || got != c.want {
			t.Errorf("%+v: %d, %v", c, got, err)
		}
	}
}

func TestTransient(t *testing.T) {
	pool := testkit.Database(t)
	ctx := t.Context()
	_, syntax := pool.Exec(ctx, "SELEC")
	_, unique := pool.Exec(ctx, `INSERT INTO app.store (store_id, namespace) VALUES (gen_random_uuid(), ''), (gen_random_uuid(), '')`)
	_, nul := pool.Exec(ctx, `SELECT $1::text`, "\x00")
	_, timeout := pool.Exec(ctx, `SET statement_timeout = 1; SELECT pg_sleep(5)`)
	ended := terminated(t, pool)
	var none int
	noRow := pool.QueryRow(ctx, `SELECT 1 WHERE false`).Scan(&none)
	cancelled, cancel := context.WithCancel(ctx)
	cancel()
	_, gone := pool.Exec(cancelled, "SELECT 1")
	_, refused := pgx.Connect(ctx, "postgres://user@127.0.0.1:1/db?sslmode=disable")
	for name, c := range map[string]struct {
		err  error
		want bool
	}{
		"syntax": {syntax, false}, "unique": {unique, false}, "NUL": {nul, false}, "no row": {noRow, false},
		"not the owner": {postgres.ErrNotOwner, false}, "any other error": {errors.New("unknown event"), false}, "none": {nil, false},
		"no code": {&pgconn.PgError{}, false}, "cancelled by the caller": {gone, false},
		"statement timeout": {timeout, true}, "session ended": {ended, true}, "no server": {refused, true},
		"deadline": {fmt.Errorf("query: %w", context.DeadlineExceeded), true},
		"deadlock": {&pgconn.PgError{Code: "40P01"}, true}, "disk full": {&pgconn.PgError{Code: "53100"}, true},
		"standby": {&pgconn.PgError{Code: "25006"}, true}, "starting": {fmt.Errorf("open: %w", &pgconn.PgError{Code: "57P03"}), true},
	} {
		if got := postgres.Transient(c.err); got != c.want {
			t.Errorf("%s: %v (%v)", name, got, c.err)
		}
	}
}

// terminated is what a statement says whose session is ended by the server.
func terminated(t *testing.T, pool *pgxpool.Pool) error {
	t.Helper()
	conn, err := pool.Acquire(t.Context())
	must(t, err)
	defer conn.Release()
	_, err = pool.Exec(t.Context(), `SELECT pg_terminate_backend($1, 5000)`, conn.Conn().PgConn().PID())
	must(t, err)
	_, err = conn.Exec(t.Context(), "SELECT 1")
	return err
}

// TestLease: one at a time, and handed on.
func TestLease(t *testing.T) {
	pool := testkit.Database(t)
	var mu sync.Mutex
	var all sync.WaitGroup
	turns := 0
	for range 4 {
		all.Go(func() {
			err := postgres.Lease(t.Context(), pool, "work", func(context.Context) error {
				if !mu.TryLock() {
					t.Error("two at a time")
					return nil
				}
				defer mu.Unlock()
				turns++
				return nil
			})
			if err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if turns != 4 {
		t.Errorf("%d turns", turns)
	}
	failure := errors.New("failed")
	if err := postgres.Lease(t.Context(), pool, "work", func(context.Context) error { return failure }); !errors.Is(err, failure) {
		t.Errorf("the work's error: %v", err)
	}
}

// TestLeaseEndsWithItsConnection: who has lost the lock must stop.
func TestLeaseEndsWithItsConnection(t *testing.T) {
	pool := testkit.Database(t)
	started, done := make(chan struct{}), make(chan error, 1)
	go func() {
		done <- postgres.Lease(t.Context(), pool, "work", func(ctx context.Context) error {
			close(started)
			<-ctx.Done()
			return ctx.Err()
		})
	}()
	<-started
	_, err := pool.Exec(t.Context(), `SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory' AND granted
		AND database = (SELECT oid FROM pg_database WHERE datname = current_database())`)
	must(t, err)
	select {
	case err := <-done:
		if err == nil {
			t.Error("no error, although the lease was lost")
		}
	case <-time.After(5 * time.Second):
		t.Fatal("the work goes on without the lease")
	}
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	must(t, postgres.Lease(ctx, pool, "work", func(context.Context) error { return nil }))
}

func TestWaitingForALeaseEnds(t *testing.T) {
	pool := testkit.Database(t)
	err := postgres.Lease(t.Context(), pool, "work", func(context.Context) error {
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer cancel()
		err := postgres.Lease(ctx, pool, "work", func(context.Context) error { t.Error("two at a time"); return nil })
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("waiting: %v", err)
		}
		return nil
	})
	must(t, err)
}
