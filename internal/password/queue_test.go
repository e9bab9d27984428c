package password

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"daybook/internal/testkit"
)

// TestQueueIsBounded: never more at work than workers, never more in line than
// places; everybody else is shed at once.
func TestQueueIsBounded(t *testing.T) {
	const workers, places = 2, 2 * (1 + waitersPerWorker)
	q := newQueue(workers)
	release, entered := make(chan struct{}), make(chan struct{}, places)
	var working, most atomic.Int64
	var all sync.WaitGroup
	for range places {
		all.Go(func() {
			leave, err := q.enter(t.Context())
			if err != nil {
				t.Errorf("shed although there was a place: %v", err)
				return
			}
			defer leave()
			if now := working.Add(1); now > most.Load() {
				most.Store(now)
			}
			entered <- struct{}{}
			<-release
			working.Add(-1)
		})
	}
	testkit.Await(t, 10*time.Second, "all are in line", func() bool { return len(q.waiting) == places && len(entered) == workers })
	for range 20 {
		start := time.Now()
		if _, err := q.enter(t.Context()); !errors.Is(err, ErrBusy) {
			t.Fatalf("no place is left, but: %v", err)
		}
		if waited := time.Since(start); waited > 50*time.Millisecond {
			t.Errorf("shed after %v", waited)
		}
	}
	close(release)
	all.Wait()
	if most.Load() != workers {
		t.Errorf("%d at work at once", most.Load())
	}
	leave, err := q.enter(t.Context())
	if err != nil {
		t.Fatalf("places were not given back: %v", err)
	}
	leave()
}

func TestWaitingEndsWithTheCaller(t *testing.T) {
	q := newQueue(1)
	leave, err := q.enter(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for range 3 * waitersPerWorker {
		if _, err := q.enter(ctx); !errors.Is(err, context.Canceled) {
			t.Fatalf("a waiter whose caller is gone: %v", err)
		}
	}
	leave()
	if _, err := q.enter(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// TestAdmittedHasItsPlace: who was admitted enters a full line and takes no second
// place; nobody else is admitted.
func TestAdmittedHasItsPlace(t *testing.T) {
	q, other := newQueue(1), newQueue(1)
	var leaves []func()
	admitted, first, err := q.admit(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for range waitersPerWorker {
		_, leave, err := q.admit(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		leaves = append(leaves, leave)
	}
	if _, _, err := q.admit(t.Context()); !errors.Is(err, ErrBusy) {
		t.Errorf("one too many: %v", err)
	}
	if _, err := q.enter(t.Context()); !errors.Is(err, ErrBusy) {
		t.Errorf("without a place: %v", err)
	}
	leave, err := q.enter(admitted)
	if err != nil || len(q.waiting) != cap(q.waiting) {
		t.Fatalf("with a place: %v, %d of %d", err, len(q.waiting), cap(q.waiting))
	}
	leave()
	if leave, err = other.enter(admitted); err != nil || len(other.waiting) != 1 {
		t.Fatalf("a place in another line: %v, %d", err, len(other.waiting))
	}
	leave()
	for _, leave := range append(leaves, first) {
		leave()
	}
	if len(q.waiting)+len(q.working)+len(other.waiting)+len(other.working) != 0 {
		t.Error("places were not given back")
	}
}
