package projections

import (
	"context"
	"log/slog"
	"testing"
	"time"

	"daybook/domain"
)

// queries returns them listening, until the test ends.
func (w *world) queries(t testing.TB) *Queries {
	t.Helper()
	changes := &Changes{Pool: w.pool, Logger: slog.New(slog.DiscardHandler)}
	listening := changes.Next()
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- changes.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("Run after cancellation: %v", err)
		}
	})
	select {
	case <-listening:
	case <-time.After(10 * time.Second):
		t.Fatal("it does not listen")
	}
	return &Queries{Pool: w.pool, Changes: changes}
}

func TestAQueryWaitsForTheView(t *testing.T) {
	w := newWorld(t)
	events := w.person(t)
	id, _ := domain.StreamSubject(events[0].Stream)
	q, p := w.queries(t), w.projector(t, Accounts{})
	apply(t, w, p, events[:3])

	began := time.Now()
	if _, found, err := q.AwaitAccount(t.Context(), id, 3); err != nil || found {
		t.Errorf("it found what is not there: %t, %v", found, err)
	}
	if waited := time.Since(began); waited < awaitFor {
		t.Errorf("it waited for %v only", waited)
	}

	applied := make(chan error, 1)
	next := q.Changes.Next()
	go func() { applied <- p.Apply(t.Context(), events[3:]) }()
	select {
	case <-next: // at commit
	case <-time.After(10 * time.Second):
		t.Fatal("nobody was woken")
	}
	account, found, err := q.AwaitAccount(t.Context(), id, 4)
	if err != nil || !found || !account.Staff || !account.Active() || account.LastName != canary {
		t.Errorf("%s, %t, %v", readable(account), found, err)
	}
	if err := <-applied; err != nil {
		t.Error(err)
	}
}
