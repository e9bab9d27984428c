package housekeeping_test

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"

	"daybook/domain"
	"daybook/internal/idempotency"
	"daybook/internal/testkit"
	"daybook/projections"
	"daybook/workers/housekeeping"
)

// TestOneKeepsHouseAtATime and another takes over; what fails is tried again.
func TestOneKeepsHouseAtATime(t *testing.T) {
	pool := emptied(t)
	var inside, together, failed atomic.Int64
	var ran [2]atomic.Int64
	var ends [2]context.CancelFunc
	var running sync.WaitGroup
	for i := range 2 {
		var ctx context.Context
		ctx, ends[i] = context.WithCancel(t.Context())
		house := &housekeeping.Housekeeper{Pool: pool, Logger: slog.New(slog.DiscardHandler),
			Tasks: []housekeeping.Task{
				{Name: "work", Every: time.Millisecond, Run: func(context.Context) (int, error) {
					if inside.Add(1) > 1 {
						together.Add(1)
					}
					defer inside.Add(-1)
					ran[i].Add(1)
					return 1, nil
				}},
				{Name: "fail", Every: time.Millisecond, Run: func(context.Context) (int, error) { return 0, errors.New("broken") }},
			},
			Observe: func(task string, done int, _ time.Duration, err error) {
				if task == "fail" && err != nil && done == 0 {
					failed.Add(1)
				}
			},
		}
		running.Go(func() {
			if err := house.Run(ctx); err != nil {
				t.Error(err)
			}
		})
	}
	testkit.Await(t, 10*time.Second, "one works", func() bool { return ran[0].Load()+ran[1].Load() > 20 && failed.Load() > 20 })
	owner := 0
	if ran[1].Load() > 0 {
		owner = 1
	}
	if other := ran[1-owner].Load(); other > 0 {
		t.Errorf("both worked: %d", other)
	}
	ends[owner]()
	testkit.Await(t, 10*time.Second, "the other takes over", func() bool { return ran[1-owner].Load() > 20 })
	ends[1-owner]()
	running.Wait()
	if together.Load() > 0 {
		t.Errorf("%d runs at the same time", together.Load())
	}
}

func TestBadTasksAreRefused(t *testing.T) {
	run := func(context.Context) (int, error) { return 0, nil }
	for _, tasks := range [][]housekeeping.Task{nil, {{Every: time.Hour, Run: run}}, {{Name: "x", Run: run}}, {{Name: "x", Every: time.Hour}}} {
		if err := (&housekeeping.Housekeeper{Tasks: tasks}).Run(t.Context()); err == nil {
			t.Errorf("%+v", tasks)
		}
	}
}

// TestPurges delete all that is over, however much it is, and nothing else.
func TestPurges(t *testing.T) {
	w := newWorld(t)
	w.active(ada)
	keys := &idempotency.Store{Pool: w.pool, Key: []byte("0123456789abcdef0123456789abcdef")}
	const many = 2500 // more than one statement deletes
	w.exec(`INSERT INTO app.idempotency (command_id, fingerprint, created_at)
		SELECT gen_random_uuid(), 'x', now() - interval '25 hours' FROM generate_series(1, $1::int)`, many)
	w.exec(`INSERT INTO app.idempotency (command_id, fingerprint) VALUES (gen_random_uuid(), 'x')`)
	if !w.signsIn(ada, secret) {
		t.Fatal("not signed in")
	}
	w.exec(`INSERT INTO app.sessions (token_hash, session_id, account_id, credential_revision, account_revision, user_agent, expires_at)
		SELECT decode(lpad(to_hex(n), 8, '0'), 'hex'), gen_random_uuid(), $1, 9, 9, '', now() - interval '1 second' FROM generate_series(1, $2::int) n`,
		w.claim(ada).Holder, many)
	w.run(housekeeping.Purge("keys", time.Hour, keys.Purge), many)
	w.run(housekeeping.Purge("keys", time.Hour, keys.Purge), 0)
	w.run(housekeeping.Purge("sessions", time.Hour, w.sessions.Purge), many)
	if n := scalar[int](w, `SELECT count(*) FROM app.idempotency`) + scalar[int](w, `SELECT count(*) FROM app.sessions`); n != 2 {
		t.Errorf("%d rows are left of a key and a session in use", n)
	}
}

// TestOldAccessIsPurged for as long as nobody is shown it; the account's own history
// stays.
func TestOldAccessIsPurged(t *testing.T) {
	w := newWorld(t)
	account := w.active(ada)
	w.ahead.Store(-int64(181 * 24 * time.Hour))
	w.append(domain.AccessStream(account.ID), domain.AnyRevision, domain.SignedOut{SessionID: uuid.New(), Cause: "old"})
	w.ahead.Store(-int64(179 * 24 * time.Hour))
	w.append(domain.AccessStream(account.ID), domain.AnyRevision, domain.SignedOut{SessionID: uuid.New(), Cause: "young"})
	w.project()
	w.exec(`UPDATE readmodel.activity SET at = at - interval '400 days' WHERE stream = 'account'`)
	before := scalar[int](w, `SELECT count(*) FROM readmodel.activity`)
	purge := housekeeping.Purge("activity", time.Hour, func(ctx context.Context) (int64, error) { return projections.PurgeActivity(ctx, w.pool) })
	w.run(purge, 1)
	w.run(purge, 0)
	causes := w.names(`SELECT cause FROM readmodel.activity WHERE stream = 'access'`)
	if after := scalar[int](w, `SELECT count(*) FROM readmodel.activity`); after != before-1 || len(causes) != 1 || causes[0] != "young" {
		t.Errorf("%d of %d rows, %v", after, before, causes)
	}
	// The view goes on behind what is gone.
	w.append(domain.AccessStream(account.ID), domain.AnyRevision, domain.SignedOut{SessionID: uuid.New(), Cause: "next"})
	w.project()
}
