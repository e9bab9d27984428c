package node_test

import (
	"testing"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"

	"daybook/internal/eventstore/node/nodetest"
)

// TestGroupGoesOnFromCheckpoint restarts the node: what was settled doesn't come again,
// what wasn't does.
func TestGroupGoesOnFromCheckpoint(t *testing.T) {
	r := nodetest.Start(t, nodetest.OnDisk(t))
	c := r.Client(t)
	mustAppend(t, c, "s", esdb.NoStream{}, newEvent(), newEvent(), newEvent(), newEvent())
	createGroup(t, c, "s", defaults)
	w := connectGroup(t, c, "s", 10)
	zero, one, two := w.want(0, 0), w.want(1, 0), w.want(2, 0)
	w.ack(zero, two)
	awaitInfo(t, c, "s", "a checkpoint", func(i *esdb.PersistentSubscriptionInfo) bool {
		return i.Stats.LastCheckpointedEventRevision != nil && *i.Stats.LastCheckpointedEventRevision == 0
	})
	_ = one // stays open: the checkpoint must not pass it
	r.Restart(t)
	w = connectGroup(t, r.Client(t), "s", 10)
	w.want(1, 0)
	w.want(2, 0)
	w.want(3, 0)
}

func TestGroupOnAll(t *testing.T) {
	r := nodetest.Start(t, nodetest.OnDisk(t))
	c := r.Client(t)
	mustAppend(t, c, "other-1", esdb.NoStream{}, newEvent())
	mustAppend(t, c, "account-1", esdb.NoStream{}, newEvent())
	err := c.CreatePersistentSubscriptionToAll(t.Context(), workers, esdb.PersistentAllSubscriptionOptions{
		Settings: settings(defaults), StartFrom: esdb.Start{},
		Filter: &esdb.SubscriptionFilter{Type: esdb.StreamFilterType, Prefixes: []string{"account-"}},
	})
	if err != nil {
		t.Fatal(err)
	}
	connect := func(c *esdb.Client) *worker {
		sub, err := c.SubscribeToPersistentSubscriptionToAll(t.Context(), workers, esdb.SubscribeToPersistentSubscriptionOptions{})
		return startWorker(t, sub, err)
	}
	w := connect(c)
	first := w.next().Event
	w.ack(first)
	mustAppend(t, c, "other-1", esdb.Any{}, newEvent())
	second := mustAppend(t, c, "account-2", esdb.NoStream{}, newEvent())
	e := w.next().Event
	if first.Event.StreamID != "account-1" || e.Event.StreamID != "account-2" || e.Event.Position.Commit != second.CommitPosition {
		t.Errorf("events are of %s and %s", first.Event.StreamID, e.Event.StreamID)
	}
	w.ack(e)
	await(t, "a checkpoint", func() bool {
		info, err := c.GetPersistentSubscriptionInfoToAll(t.Context(), workers, esdb.GetPersistentSubscriptionOptions{})
		if err != nil {
			t.Fatal(err)
		}
		p := info.Stats.LastCheckpointedPosition
		return p != nil && p.Commit >= second.CommitPosition
	})
	r.Restart(t)
	c = r.Client(t)
	w = connect(c)
	third := mustAppend(t, c, "account-3", esdb.NoStream{}, newEvent())
	if e := w.next().Event; e.Event.Position.Commit != third.CommitPosition {
		t.Errorf("first event after the restart is %s at %d", e.Event.StreamID, e.Event.Position.Commit)
	}
}

// TestGroupStreamsAreHidden: what a group on $all writes must not come back to it.
func TestGroupStreamsAreHidden(t *testing.T) {
	c := nodetest.Start(t).Client(t)
	err := c.CreatePersistentSubscriptionToAll(t.Context(), workers, esdb.PersistentAllSubscriptionOptions{
		Settings: settings(defaults), StartFrom: esdb.Start{},
	})
	if err != nil {
		t.Fatal(err)
	}
	sub, err := c.SubscribeToPersistentSubscriptionToAll(t.Context(), workers, esdb.SubscribeToPersistentSubscriptionOptions{})
	w := startWorker(t, sub, err)
	w.ack(w.next().Event)                       // the server's $users
	w.nack(esdb.NackActionPark, w.next().Event) // its own $PersistentConfig
	await(t, "the link and the checkpoint to be written", func() bool {
		info, err := c.GetPersistentSubscriptionInfoToAll(t.Context(), workers, esdb.GetPersistentSubscriptionOptions{})
		if err != nil {
			t.Fatal(err)
		}
		return info.Stats.ParkedMessagesCount == 1 && info.Stats.LastCheckpointedPosition != nil
	})
	mustAppend(t, c, "s", esdb.NoStream{}, newEvent())
	if e := w.next().Event; e.Event.StreamID != "s" {
		t.Errorf("event of %s came", e.Event.StreamID)
	}
}

// TestGroupCheckpointsWhenItStops: a stop in order makes nothing come twice.
func TestGroupCheckpointsWhenItStops(t *testing.T) {
	r := nodetest.Start(t, nodetest.OnDisk(t))
	c := r.Client(t)
	mustAppend(t, c, "s", esdb.NoStream{}, newEvent(), newEvent(), newEvent())
	createGroup(t, c, "s", func(s *esdb.PersistentSubscriptionSettings) {
		s.CheckpointLowerBound, s.CheckpointUpperBound = 1000, 1000
	})
	w := connectGroup(t, c, "s", 2)
	w.ack(w.want(0, 0), w.want(1, 0))
	w.want(2, 0)
	r.Restart(t)
	connectGroup(t, r.Client(t), "s", 2).want(2, 0)
}

// TestReplayOutlivesAStop: events that were replayed and not settled are parked again.
func TestReplayOutlivesAStop(t *testing.T) {
	r := nodetest.Start(t, nodetest.OnDisk(t))
	c := r.Client(t)
	mustAppend(t, c, "s", esdb.NoStream{}, newEvent(), newEvent())
	createGroup(t, c, "s", defaults)
	w := connectGroup(t, c, "s", 1)
	w.nack(esdb.NackActionPark, w.want(0, 0))
	w.nack(esdb.NackActionPark, w.want(1, 0))
	parked := func(n int64) {
		t.Helper()
		awaitInfo(t, c, "s", "parked events", func(i *esdb.PersistentSubscriptionInfo) bool { return i.Stats.ParkedMessagesCount == n })
	}
	parked(2)
	if err := c.ReplayParkedMessages(t.Context(), "s", workers, esdb.ReplayParkedMessagesOptions{}); err != nil {
		t.Fatal(err)
	}
	w.next() // the other waits for room
	r.Restart(t)
	c = r.Client(t)
	parked(2)
	if err := c.ReplayParkedMessages(t.Context(), "s", workers, esdb.ReplayParkedMessagesOptions{}); err != nil {
		t.Fatal(err)
	}
	w = connectGroup(t, c, "s", 1)
	for revision := range uint64(2) {
		e := w.next().Event
		if e.Event.EventNumber != revision {
			t.Errorf("event %d came, want %d", e.Event.EventNumber, revision)
		}
		w.ack(e)
	}
}
