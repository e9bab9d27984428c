package node_test

import (
	"testing"
	"time"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"
)

const workers = "workers"

// settings are a group's with short times and the change.
func settings(change func(*esdb.PersistentSubscriptionSettings)) *esdb.PersistentSubscriptionSettings {
	s := esdb.SubscriptionSettingsDefault()
	s.CheckpointLowerBound, s.CheckpointUpperBound = 1, 1
	s.MaxRetryCount = 2
	change(&s)
	return &s
}

func defaults(*esdb.PersistentSubscriptionSettings) {}

func createGroup(t *testing.T, c *esdb.Client, stream string, change func(*esdb.PersistentSubscriptionSettings)) {
	t.Helper()
	err := c.CreatePersistentSubscription(t.Context(), stream, workers, esdb.PersistentStreamSubscriptionOptions{
		Settings: settings(change), StartFrom: esdb.Start{},
	})
	if err != nil {
		t.Fatal(err)
	}
}

// worker is a consumer whose events come by a channel.
type worker struct {
	*testing.T
	sub    *esdb.PersistentSubscription
	events chan *esdb.EventAppeared
	ended  chan error
}

func connectGroup(t *testing.T, c *esdb.Client, stream string, buffer uint32) *worker {
	t.Helper()
	sub, err := c.SubscribeToPersistentSubscription(t.Context(), stream, workers, esdb.SubscribeToPersistentSubscriptionOptions{BufferSize: buffer})
	return startWorker(t, sub, err)
}

func startWorker(t *testing.T, sub *esdb.PersistentSubscription, err error) *worker {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = sub.Close() })
	w := &worker{T: t, sub: sub, events: make(chan *esdb.EventAppeared, 1000), ended: make(chan error, 1)}
	go func() {
		for {
			message := sub.Recv()
			if message.SubscriptionDropped != nil {
				w.ended <- message.SubscriptionDropped.Error
				return
			}
			w.events <- message.EventAppeared
		}
	}()
	return w
}

func (w *worker) next() *esdb.EventAppeared {
	w.Helper()
	select {
	case e := <-w.events:
		return e
	case err := <-w.ended:
		w.Fatalf("connection ended: %v", err)
	case <-time.After(10 * time.Second):
		w.Fatal("no event came")
	}
	return nil
}

// want takes the next event, which must have the revision and the retry count.
func (w *worker) want(revision uint64, retries int) *esdb.ResolvedEvent {
	w.Helper()
	e := w.next()
	if got := e.Event.OriginalEvent().EventNumber; got != revision || e.RetryCount != retries {
		w.Fatalf("event is revision %d, tried %d times, want %d and %d", got, e.RetryCount, revision, retries)
	}
	return e.Event
}

func (w *worker) ack(events ...*esdb.ResolvedEvent) {
	w.Helper()
	if err := w.sub.Ack(events...); err != nil {
		w.Fatal(err)
	}
}

func (w *worker) nack(action esdb.NackAction, e *esdb.ResolvedEvent) {
	w.Helper()
	if err := w.sub.Nack("because", action, e); err != nil {
		w.Fatal(err)
	}
}

// await asks until the condition holds.
func await(t *testing.T, what string, holds func() bool) {
	t.Helper()
	deadline := time.After(10 * time.Second)
	ticker := time.NewTicker(5 * time.Millisecond)
	defer ticker.Stop()
	for !holds() {
		select {
		case <-ticker.C:
		case <-deadline:
			t.Fatalf("waited in vain for %s", what)
		}
	}
}

func awaitInfo(t *testing.T, c *esdb.Client, stream, what string, holds func(*esdb.PersistentSubscriptionInfo) bool) {
	t.Helper()
	await(t, what, func() bool {
		info, err := c.GetPersistentSubscriptionInfo(t.Context(), stream, workers, esdb.GetPersistentSubscriptionOptions{})
		if err != nil {
			t.Fatal(err)
		}
		return holds(info)
	})
}
