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
