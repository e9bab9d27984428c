package node_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"daybook/internal/eventstore/node/nodetest"
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

// ackAll settles all events and reports their revisions afterwards.
func (w *worker) ackAll(settled chan<- uint64) {
	for {
		select {
		case e := <-w.events:
			if w.sub.Ack(e.Event) != nil {
				return
			}
			settled <- e.Event.OriginalEvent().EventNumber
		case <-w.Context().Done():
			return
		}
	}
}

// none fails the test if an event is there already. It is for use after something that
// must have come later.
func (w *worker) none() {
	w.Helper()
	select {
	case e := <-w.events:
		w.Errorf("event %d came unasked", e.Event.OriginalEvent().EventNumber)
	default:
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

func TestGroupManagement(t *testing.T) {
	c := nodetest.Start(t).Client(t)
	createGroup(t, c, "s", func(s *esdb.PersistentSubscriptionSettings) { s.MaxSubscriberCount = 1 })
	err := c.CreatePersistentSubscription(t.Context(), "s", workers, esdb.PersistentStreamSubscriptionOptions{})
	wantErrorCode(t, "created twice", err, esdb.ErrorCodeResourceAlreadyExists)
	w := connectGroup(t, c, "s", 1)
	if _, err := c.SubscribeToPersistentSubscription(t.Context(), "s", workers, esdb.SubscribeToPersistentSubscriptionOptions{}); err == nil || !strings.Contains(err.Error(), "maximum") {
		t.Errorf("second of one consumers: %v", err)
	}
	_, err = c.SubscribeToPersistentSubscription(t.Context(), "absent", workers, esdb.SubscribeToPersistentSubscriptionOptions{})
	wantErrorCode(t, "connect to none", err, esdb.ErrorCodeResourceNotFound)
	err = c.UpdatePersistentSubscription(t.Context(), "s", workers, esdb.PersistentStreamSubscriptionOptions{
		StartFrom: esdb.Start{},
		Settings:  settings(func(s *esdb.PersistentSubscriptionSettings) { s.MaxRetryCount = 77 }),
	})
	if err != nil {
		t.Fatal(err)
	}
	w.wantDropped()
	awaitInfo(t, c, "s", "the update", func(i *esdb.PersistentSubscriptionInfo) bool {
		return i.Settings.MaxRetryCount == 77 && i.EventSource == "s" && i.GroupName == workers
	})
	for stream, want := range map[string]int{"s": 1, "absent": 0} {
		all, err := c.ListPersistentSubscriptionsForStream(t.Context(), stream, esdb.ListPersistentSubscriptionsOptions{})
		if len(all) != want || (err == nil) != (want > 0) {
			t.Errorf("groups of %s: %v (%v), want %d", stream, all, err, want)
		}
	}
	w = connectGroup(t, c, "s", 1)
	if err := c.DeletePersistentSubscription(t.Context(), "s", workers, esdb.DeletePersistentSubscriptionOptions{}); err != nil {
		t.Fatal(err)
	}
	w.wantDropped()
	err = c.DeletePersistentSubscription(t.Context(), "s", workers, esdb.DeletePersistentSubscriptionOptions{})
	wantErrorCode(t, "deleted twice", err, esdb.ErrorCodeResourceNotFound)
	if all, err := c.ListAllPersistentSubscriptions(t.Context(), esdb.ListPersistentSubscriptionsOptions{}); err != nil || len(all) != 0 {
		t.Errorf("after deletion there are %v (%v)", all, err)
	}
}

func (w *worker) wantDropped() {
	w.Helper()
	select {
	case err := <-w.ended:
		if status.Code(err) != codes.Canceled {
			w.Errorf("connection ended with %v, want cancelled", err)
		}
	case <-time.After(10 * time.Second):
		w.Fatal("connection wasn't dropped")
	}
}

func wantErrorCode(t *testing.T, what string, err error, want esdb.ErrorCode) {
	t.Helper()
	if e, ok := errors.AsType[*esdb.Error](err); !ok || e.Code() != want {
		t.Errorf("%s: %v, want code %d", what, err, want)
	}
}

// TestGroupMadeAnewBeginsAnew: a checkpoint dies with its group.
func TestGroupMadeAnewBeginsAnew(t *testing.T) {
	c := nodetest.Start(t).Client(t)
	mustAppend(t, c, "s", esdb.NoStream{}, newEvent())
	for range 2 {
		createGroup(t, c, "s", defaults)
		w := connectGroup(t, c, "s", 1)
		w.ack(w.want(0, 0))
		awaitInfo(t, c, "s", "a checkpoint", func(i *esdb.PersistentSubscriptionInfo) bool {
			return i.Stats.LastCheckpointedEventRevision != nil
		})
		if err := c.DeletePersistentSubscription(t.Context(), "s", workers, esdb.DeletePersistentSubscriptionOptions{}); err != nil {
			t.Fatal(err)
		}
	}
}

func TestGroupRefusesSettings(t *testing.T) {
	c := nodetest.Start(t).Client(t)
	for name, change := range map[string]func(*esdb.PersistentSubscriptionSettings){
		"batch as large as the buffer": func(s *esdb.PersistentSubscriptionSettings) { s.ReadBatchSize = s.HistoryBufferSize },
		"negative retries":             func(s *esdb.PersistentSubscriptionSettings) { s.MaxRetryCount = -1 },
		"negative timeout":             func(s *esdb.PersistentSubscriptionSettings) { s.MessageTimeout = -1 },
	} {
		err := c.CreatePersistentSubscription(t.Context(), "s", workers, esdb.PersistentStreamSubscriptionOptions{
			Settings: settings(change), StartFrom: esdb.Start{},
		})
		if err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	err := c.CreatePersistentSubscriptionToAll(t.Context(), workers, esdb.PersistentAllSubscriptionOptions{
		Settings: settings(defaults), StartFrom: esdb.Position{Commit: 99, Prepare: 99},
	})
	if err == nil {
		t.Error("a start beyond the log was accepted")
	}
}

// TestGroupStrategies looks who gets what of two streams' events.
func TestGroupStrategies(t *testing.T) {
	for strategy, check := range map[esdb.ConsumerStrategy]func(a, b []string) bool{
		esdb.ConsumerStrategyRoundRobin:       func(a, b []string) bool { return len(a) == 10 && len(b) == 10 },
		esdb.ConsumerStrategyDispatchToSingle: func(a, b []string) bool { return len(a) == 20 && len(b) == 0 },
		esdb.ConsumerStrategyPinned: func(a, b []string) bool {
			both := slices.ContainsFunc(a, func(s string) bool { return slices.Contains(b, s) })
			return !both && len(a)+len(b) == 20 && len(a) > 0 && len(b) > 0
		},
	} {
		t.Run(string(strategy), func(t *testing.T) {
			c := nodetest.Start(t).Client(t)
			err := c.CreatePersistentSubscriptionToAll(t.Context(), workers, esdb.PersistentAllSubscriptionOptions{
				Settings:  settings(func(s *esdb.PersistentSubscriptionSettings) { s.ConsumerStrategyName = strategy }),
				StartFrom: esdb.Start{},
				Filter:    &esdb.SubscriptionFilter{Type: esdb.StreamFilterType, Prefixes: []string{"s"}},
			})
			if err != nil {
				t.Fatal(err)
			}
			var consumers [2]*worker
			for i := range consumers {
				sub, err := c.SubscribeToPersistentSubscriptionToAll(t.Context(), workers, esdb.SubscribeToPersistentSubscriptionOptions{BufferSize: 50})
				consumers[i] = startWorker(t, sub, err)
			}
			for i := range 20 {
				mustAppend(t, c, fmt.Sprintf("s%d", i%10), esdb.Any{}, newEvent())
			}
			var got [2][]string
			for range 20 {
				select {
				case e := <-consumers[0].events:
					got[0] = append(got[0], e.Event.OriginalEvent().StreamID)
				case e := <-consumers[1].events:
					got[1] = append(got[1], e.Event.OriginalEvent().StreamID)
				case <-time.After(10 * time.Second):
					t.Fatalf("only %d and %d events came", len(got[0]), len(got[1]))
				}
			}
			if !check(got[0], got[1]) {
				t.Errorf("one consumer got %v, the other %v", got[0], got[1])
			}
		})
	}
}
