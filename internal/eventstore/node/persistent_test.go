package node_test

import (
	"strings"
	"testing"
	"time"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"

	"daybook/internal/eventstore/node/nodetest"
)

func TestGroupDeliversHistoryAndLive(t *testing.T) {
	c := nodetest.Start(t).Client(t)
	mustAppend(t, c, "s", esdb.NoStream{}, newEvent(), newEvent())
	createGroup(t, c, "s", defaults)
	w := connectGroup(t, c, "s", 10)
	w.ack(w.want(0, 0), w.want(1, 0))
	mustAppend(t, c, "s", esdb.Revision(1), newEvent())
	w.ack(w.want(2, 0))
}

// TestGroupShares has three consumers share 300 events.
func TestGroupShares(t *testing.T) {
	c := nodetest.Start(t).Client(t)
	createGroup(t, c, "s", defaults)
	seen := make(chan uint64, 300)
	for range 3 {
		w := connectGroup(t, c, "s", 5)
		go w.ackAll(seen)
	}
	var events []esdb.EventData
	for range 300 {
		events = append(events, newEvent())
	}
	mustAppend(t, c, "s", esdb.NoStream{}, events...)
	count := map[uint64]int{}
	for range 300 {
		select {
		case revision := <-seen:
			count[revision]++
		case <-time.After(10 * time.Second):
			t.Fatalf("only %d events came", len(count))
		}
	}
	if len(count) != 300 {
		t.Errorf("%d different events came, want 300", len(count))
	}
}

func TestGroupHoldsToBufferSize(t *testing.T) {
	c := nodetest.Start(t).Client(t)
	mustAppend(t, c, "s", esdb.NoStream{}, newEvent(), newEvent(), newEvent(), newEvent())
	createGroup(t, c, "s", defaults)
	w := connectGroup(t, c, "s", 2)
	first, second := w.want(0, 0), w.want(1, 0)
	awaitInfo(t, c, "s", "two events in flight", func(i *esdb.PersistentSubscriptionInfo) bool {
		return i.Stats.TotalInFlightMessages == 2 && i.Connections[0].AvailableSlots == 0
	})
	w.none()
	w.ack(first)
	third := w.want(2, 0)
	w.ack(second, third)
	w.ack(w.want(3, 0))
}

func TestGroupRetriesThenParks(t *testing.T) {
	c := nodetest.Start(t).Client(t)
	mustAppend(t, c, "s", esdb.NoStream{}, newEvent(), newEvent())
	createGroup(t, c, "s", defaults)
	w := connectGroup(t, c, "s", 1)
	for retries := range 3 {
		w.nack(esdb.NackActionRetry, w.want(0, retries))
	}
	w.nack(esdb.NackActionSkip, w.want(1, 0))
	awaitInfo(t, c, "s", "one parked event", func(i *esdb.PersistentSubscriptionInfo) bool { return i.Stats.ParkedMessagesCount == 1 })
	parked, err := c.ReadStream(t.Context(), "$persistentsubscription-s::workers-parked", esdb.ReadStreamOptions{ResolveLinkTos: true}, 10)
	if err != nil {
		t.Fatal(err)
	}
	defer parked.Close()
	e, err := parked.Recv()
	if err != nil || e.Event == nil || e.Event.StreamID != "s" || !strings.Contains(string(e.Link.UserMetadata), `"reason":"because"`) {
		t.Fatalf("parked event is %+v (%v)", e, err)
	}
	if err := c.ReplayParkedMessages(t.Context(), "s", workers, esdb.ReplayParkedMessagesOptions{}); err != nil {
		t.Fatal(err)
	}
	again := w.want(0, 0)
	if again.Link == nil || again.Event == nil || again.Event.EventID != e.Event.EventID {
		t.Errorf("replayed event is %+v", again)
	}
	w.ack(again)
	awaitInfo(t, c, "s", "no parked event", func(i *esdb.PersistentSubscriptionInfo) bool {
		return i.Stats.ParkedMessagesCount == 0 && i.Stats.TotalInFlightMessages == 0
	})
}

func TestGroupReplayStops(t *testing.T) {
	c := nodetest.Start(t).Client(t)
	mustAppend(t, c, "s", esdb.NoStream{}, newEvent(), newEvent(), newEvent())
	createGroup(t, c, "s", defaults)
	w := connectGroup(t, c, "s", 10)
	for i := range 3 {
		w.nack(esdb.NackActionPark, w.want(uint64(i), 0))
	}
	awaitInfo(t, c, "s", "three parked events", func(i *esdb.PersistentSubscriptionInfo) bool { return i.Stats.ParkedMessagesCount == 3 })
	if err := c.ReplayParkedMessages(t.Context(), "s", workers, esdb.ReplayParkedMessagesOptions{StopAt: 2}); err != nil {
		t.Fatal(err)
	}
	w.ack(w.next().Event, w.next().Event)
	awaitInfo(t, c, "s", "one parked event left", func(i *esdb.PersistentSubscriptionInfo) bool {
		return i.Stats.ParkedMessagesCount == 1 && i.Stats.TotalInFlightMessages == 0
	})
	w.none()
	if err := c.ReplayParkedMessages(t.Context(), "s", workers, esdb.ReplayParkedMessagesOptions{StopAt: -1}); err == nil {
		t.Error("a negative stop was accepted")
	}
}

func TestGroupTimeout(t *testing.T) {
	c := nodetest.Start(t).Client(t)
	mustAppend(t, c, "s", esdb.NoStream{}, newEvent())
	createGroup(t, c, "s", func(s *esdb.PersistentSubscriptionSettings) { s.MessageTimeout = 50 })
	silent := connectGroup(t, c, "s", 1)
	late := silent.want(0, 0)
	silent.want(0, 1)
	silent.ack(late) // settles the second delivery
	awaitInfo(t, c, "s", "nothing in flight", func(i *esdb.PersistentSubscriptionInfo) bool { return i.Stats.TotalInFlightMessages == 0 })
}

func TestGroupDisconnect(t *testing.T) {
	c := nodetest.Start(t).Client(t)
	mustAppend(t, c, "s", esdb.NoStream{}, newEvent(), newEvent(), newEvent())
	createGroup(t, c, "s", defaults)
	first := connectGroup(t, c, "s", 3)
	for i := range 3 {
		first.want(uint64(i), 0)
	}
	second := connectGroup(t, c, "s", 3)
	if err := first.sub.Close(); err != nil {
		t.Fatal(err)
	}
	for i := range 3 {
		second.ack(second.want(uint64(i), 1))
	}
}

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
