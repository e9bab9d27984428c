package throttle_test

import (
	"context"
	"log/slog"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"daybook/internal/postgres"
	"daybook/internal/testkit"
	"daybook/internal/throttle"
)

func TestMain(m *testing.M) { os.Exit(testkit.Main(m)) }

func newStore(t *testing.T) *throttle.Store {
	t.Helper()
	pool, err := postgres.Open(t.Context(), postgres.Config{Setting: "test", URL: testkit.SharedDatabaseURL(t)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pool.Close)
	return &throttle.Store{Pool: pool, Key: []byte(t.Name()), Logger: slog.New(slog.DiscardHandler)}
}

func reserve(t *testing.T, s *throttle.Store, tries ...throttle.Try) time.Duration {
	t.Helper()
	wait, err := s.Reserve(t.Context(), tries...)
	if err != nil {
		t.Fatal(err)
	}
	return wait
}

// TestParallelTriesKeepTheLimit over two stores, which stand for two processes.
func TestParallelTriesKeepTheLimit(t *testing.T) {
	one := newStore(t)
	two := newStore(t)
	const limit, rivals = 20, 200
	var allowed atomic.Int64
	var all sync.WaitGroup
	for i := range rivals {
		store := []*throttle.Store{one, two}[i%2]
		all.Go(func() {
			wait, err := store.Reserve(context.Background(), throttle.Try{Key: "source", Limit: throttle.Limit{Tries: limit, Window: time.Hour}})
			if err != nil {
				t.Error(err)
			}
			if wait == 0 {
				allowed.Add(1)
			}
		})
	}
	all.Wait()
	if allowed.Load() != limit {
		t.Errorf("%d of %d tries were allowed, want %d", allowed.Load(), rivals, limit)
	}
}

func TestWaitIsTold(t *testing.T) {
	s := newStore(t)
	try := throttle.Try{Key: "x", Limit: throttle.Limit{Tries: 1, Window: time.Hour}}
	if wait := reserve(t, s, try); wait != 0 {
		t.Fatalf("the first must wait %v", wait)
	}
	if wait := reserve(t, s, try); wait < 59*time.Minute || wait > time.Hour {
		t.Errorf("the second must wait %v", wait)
	}
	move(t, s.Pool, `UPDATE app.throttles SET window_start = now() - interval '61 minutes' WHERE starts_with(key, 'limit:')`)
	if wait := reserve(t, s, try); wait != 0 {
		t.Errorf("in the next window one must wait %v", wait)
	}
}

// TestAUsedUpSourceChargesNobodyElse: one source cannot use up what all share.
func TestAUsedUpSourceChargesNobodyElse(t *testing.T) {
	s := newStore(t)
	total := throttle.Try{Key: "total", Limit: throttle.Limit{Tries: 5, Window: time.Hour}}
	loud := throttle.Try{Key: "loud", Limit: throttle.Limit{Tries: 2, Window: time.Hour}}
	for range 20 {
		reserve(t, s, loud, total)
	}
	for i := range 3 {
		if wait := reserve(t, s, throttle.Try{Key: "quiet"}, total); wait != 0 {
			t.Errorf("somebody else's try %d must wait %v", i+1, wait)
		}
	}
	if reserve(t, s, total) == 0 {
		t.Error("the total is not kept")
	}
}

func TestNoLimitIsNoStatement(t *testing.T) {
	s := &throttle.Store{} // no database: a statement would panic
	if wait := reserve(t, s, throttle.Try{Key: "a"}, throttle.Try{Key: "b"}); wait != 0 {
		t.Errorf("must wait %v", wait)
	}
}

func TestPurgeAndWhatIsStored(t *testing.T) {
	s := newStore(t)
	move(t, s.Pool, `TRUNCATE app.throttles`)
	reserve(t, s, throttle.Try{Key: "192.0.2.7", Limit: throttle.Limit{Tries: 1, Window: time.Minute}})
	move(t, s.Pool, `SELECT app.reserve_try('sign-in:address', 10, '1 minute')`)
	var stored string
	if err := s.Pool.QueryRow(t.Context(), `SELECT string_agg(key, ' ') FROM app.throttles`).Scan(&stored); err != nil || strings.Contains(stored, "192.0.2.7") {
		t.Errorf("stored %q, %v", stored, err)
	}
	if n, err := s.Purge(t.Context(), time.Hour); n != 0 || err != nil {
		t.Errorf("purged %d young ones, %v", n, err)
	}
	move(t, s.Pool, `UPDATE app.throttles SET window_start = now() - interval '2 hours'`)
	if n, err := s.Purge(t.Context(), time.Hour); n != 1 || err != nil {
		t.Errorf("purged %d, want only the own one, %v", n, err)
	}
}

func move(t *testing.T, pool *pgxpool.Pool, sql string) {
	t.Helper()
	if _, err := pool.Exec(t.Context(), sql); err != nil {
		t.Fatal(err)
	}
}
