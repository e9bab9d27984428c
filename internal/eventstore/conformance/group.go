package conformance

import (
	"context"
	"slices"
	"strings"
	"sync"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"
)

var groupCases = []testCase{
	{"history and live events", groupDelivers},
	{"competing consumers", groupShares},
	{"buffer size", groupBuffer},
	{"begins at the end", groupEnd},
	{"begins at a revision", groupRevision},
	{"nack counts, park and replay", groupRetries},
	{"nack actions", groupNacks},
	{"replay stops", groupReplayStops},
	{"timeout", groupTimeout},
	{"timeouts count as tries", groupTimeoutParks},
	{"checkpoint after a time", groupCheckpointTime},
	{"disconnect", groupDisconnect},
	{"same id twice", groupSameID},
	{"links", groupLinks},
	{"restart of the subsystem", groupRestart},
	{"update", groupUpdate},
	{"management", groupManagement},
	{"all", groupAll},
}

func groupDelivers(s *suite) {
	s.write(esdb.NoStream{}, events(2)...)
	s.group(defaults)
	c := s.connect(10)
	c.ack(c.want(0, 0), c.want(1, 0))
	s.write(esdb.Revision(1), event("live"))
	c.ack(c.want(2, 0))
	s.awaitCheckpoint(2)
}

// groupShares has three consumers share 300 events.
func groupShares(s *suite) {
	s.group(defaults)
	var mu sync.Mutex
	count, share := map[uint64]int{}, [3]int{}
	for i := range share {
		c := s.connect(5)
		go func() {
			for e := range c.events {
				if c.sub.Ack(e.Event) != nil {
					return
				}
				mu.Lock()
				count[e.Event.OriginalEvent().EventNumber]++
				share[i]++
				mu.Unlock()
			}
		}()
	}
	s.write(esdb.NoStream{}, events(300)...)
	s.await("all events", func() bool {
		mu.Lock()
		defer mu.Unlock()
		return len(count) == 300
	})
	s.awaitSettled()
	mu.Lock()
	defer mu.Unlock()
	if slices.Contains(share[:], 0) || share[0]+share[1]+share[2] != 300 {
		s.Errorf("the consumers had %v of 300 events", share)
	}
}

func groupBuffer(s *suite) {
	s.write(esdb.NoStream{}, events(4)...)
	s.group(defaults)
	c := s.connect(2)
	first, second := c.want(0, 0), c.want(1, 0)
	s.awaitInfo("two events in flight", func(i *esdb.PersistentSubscriptionInfo) bool {
		return i.Stats.TotalInFlightMessages == 2 && i.Connections[0].AvailableSlots == 0
	})
	c.none()
	c.ack(first)
	third := c.want(2, 0)
	c.ack(second, third)
	c.ack(c.want(3, 0))
}

func groupEnd(s *suite) {
	s.write(esdb.NoStream{}, events(3)...)
	s.groupFrom(esdb.End{}, defaults)
	c := s.connect(10)
	s.write(esdb.Revision(2), event("live"))
	c.ack(c.want(3, 0))
}

// groupRevision: the start is the first event wanted, other than in a subscription.
func groupRevision(s *suite) {
	s.write(esdb.NoStream{}, events(3)...)
	s.groupFrom(esdb.Revision(1), defaults)
	c := s.connect(10)
	c.ack(c.want(1, 0), c.want(2, 0))
}

func groupRetries(s *suite) {
	s.write(esdb.NoStream{}, events(2)...)
	s.group(defaults)
	c := s.connect(1)
	for retries := range 3 {
		c.nack(esdb.NackActionRetry, c.want(0, retries))
	}
	c.nack(esdb.NackActionSkip, c.want(1, 0))
	s.awaitParked(1)
	parked, err := s.readFrom("$persistentsubscription-"+s.stream+"::"+workers+"-parked", esdb.ReadStreamOptions{ResolveLinkTos: true}, 10)
	if err != nil || len(parked) != 1 || parked[0].Event == nil || parked[0].Event.StreamID != s.stream ||
		!strings.Contains(string(parked[0].Link.UserMetadata), `"reason"`) {
		s.Fatalf("parked is %+v (%v)", parked, err)
	}
	s.replay(esdb.ReplayParkedMessagesOptions{})
	again := c.want(0, 0)
	if again.Link == nil || again.Event == nil || again.Event.EventID != parked[0].Event.EventID {
		s.Errorf("replayed event is %+v", again)
	}
	c.ack(again)
	s.awaitParked(0)
	s.awaitSettled()
}

// groupNacks: every action but retry and park means that the event is done.
func groupNacks(s *suite) {
	s.write(esdb.NoStream{}, events(4)...)
	s.group(defaults)
	c := s.connect(1)
	c.nack(esdb.NackActionUnknown, c.want(0, 0))
	c.nack(esdb.NackActionSkip, c.want(0, 1))
	c.nack(esdb.NackActionStop, c.want(1, 0))
	c.nack(esdb.NackActionPark, c.want(2, 0))
	c.ack(c.want(3, 0))
	s.awaitParked(1)
	s.awaitCheckpoint(3)
}

func groupReplayStops(s *suite) {
	s.write(esdb.NoStream{}, events(3)...)
	s.group(defaults)
	c := s.connect(10)
	for i := range 3 {
		c.nack(esdb.NackActionPark, c.want(uint64(i), 0))
	}
	s.awaitParked(3)
	s.replay(esdb.ReplayParkedMessagesOptions{StopAt: 2})
	c.ack(c.next().Event, c.next().Event)
	s.awaitParked(1)
	s.awaitSettled()
	c.none()
	if err := s.client.ReplayParkedMessages(s.ctx, s.stream, workers, esdb.ReplayParkedMessagesOptions{StopAt: -1}); err == nil {
		s.Error("a negative stop was accepted")
	}
}

func groupTimeout(s *suite) {
	s.write(esdb.NoStream{}, event("a"))
	s.group(func(g *esdb.PersistentSubscriptionSettings) { g.MessageTimeout = 500 })
	c := s.connect(1)
	late := c.want(0, 0)
	c.want(0, 1)
	c.ack(late) // settles the second delivery
	s.awaitSettled()
}

func groupTimeoutParks(s *suite) {
	s.write(esdb.NoStream{}, event("a"))
	s.group(func(g *esdb.PersistentSubscriptionSettings) { g.MessageTimeout, g.MaxRetryCount = 200, 1 })
	c := s.connect(1)
	c.want(0, 0)
	c.want(0, 1)
	s.awaitParked(1)
	s.awaitSettled()
}

// groupCheckpointTime: few events are noted when they have waited long enough, though
// they are not many.
func groupCheckpointTime(s *suite) {
	s.write(esdb.NoStream{}, events(2)...)
	s.group(func(g *esdb.PersistentSubscriptionSettings) {
		g.CheckpointLowerBound, g.CheckpointUpperBound, g.CheckpointAfter = 1, 1000, 500
	})
	c := s.connect(10)
	c.ack(c.want(0, 0), c.want(1, 0))
	s.awaitCheckpoint(1)
}

func groupDisconnect(s *suite) {
	s.write(esdb.NoStream{}, events(3)...)
	s.group(defaults)
	first := s.connect(3)
	for i := range 3 {
		first.want(uint64(i), 0)
	}
	second := s.connect(3)
	if err := first.sub.Close(); err != nil {
		s.Fatal(err)
	}
	for i := range 3 {
		second.ack(second.want(uint64(i), 1))
	}
	s.awaitCheckpoint(2)
}

// groupSameID: two events that can't be told apart when one is settled; the second is
// passed over.
func groupSameID(s *suite) {
	one, other := event("a"), event("b")
	s.write(esdb.NoStream{}, one, other)
	again := event("again")
	again.EventID = one.EventID
	s.write(esdb.Revision(1), again, event("c"))
	s.group(defaults)
	c := s.connect(10)
	got := []*esdb.ResolvedEvent{c.want(0, 0), c.want(1, 0), c.want(3, 0)}
	c.ack(got...)
	s.awaitSettled()
	s.awaitCheckpoint(3)
}

// groupLinks: a link is settled by its own id.
func groupLinks(s *suite) {
	target := s.stream + "-target"
	s.writeTo(target, esdb.NoStream{}, event("target"))
	link := event("$>")
	link.Data, link.ContentType = []byte("0@"+target), esdb.ContentTypeBinary
	s.write(esdb.NoStream{}, link)
	s.group(func(g *esdb.PersistentSubscriptionSettings) { g.ResolveLinkTos = true })
	c := s.connect(10)
	e := c.want(0, 0)
	if e.Event == nil || e.Event.EventType != "target" || e.Link == nil || e.Link.EventID != link.EventID {
		s.Fatalf("link came as %+v", e)
	}
	c.ack(e)
	s.awaitSettled()
	s.awaitCheckpoint(0)
}

// groupRestart: what was settled doesn't come again, what wasn't does.
func groupRestart(s *suite) {
	s.write(esdb.NoStream{}, events(4)...)
	s.group(defaults)
	c := s.connect(10)
	zero, one, two := c.want(0, 0), c.want(1, 0), c.want(2, 0)
	c.ack(zero, two)
	s.awaitCheckpoint(0) // one stays open: the checkpoint must not pass it
	if err := s.client.RestartPersistentSubscriptionSubsystem(s.ctx, esdb.RestartPersistentSubscriptionSubsystemOptions{}); err != nil {
		s.Fatal(err)
	}
	c.wantDropped()
	var again *consumer
	s.await("the subsystem", func() bool {
		options := esdb.SubscribeToPersistentSubscriptionOptions{BufferSize: 10}
		sub, err := s.client.SubscribeToPersistentSubscription(s.ctx, s.stream, workers, options)
		if err == nil {
			again = s.consume(sub, nil)
		}
		return err == nil
	})
	if e := again.next().Event.OriginalEvent(); e.EventID != one.OriginalEvent().EventID {
		s.Errorf("first event after the restart is revision %d, want 1", e.EventNumber)
	}
	if got, _ := again.sortedRevisions(2); !slices.Equal(got, []uint64{2, 3}) {
		s.Errorf("after the restart came %v as well, want 2 and 3", got)
	}
}

// groupUpdate: consumers are dropped, the checkpoint stays.
func groupUpdate(s *suite) {
	s.write(esdb.NoStream{}, events(2)...)
	s.group(defaults)
	c := s.connect(1)
	c.ack(c.want(0, 0))
	s.awaitCheckpoint(0)
	err := s.client.UpdatePersistentSubscription(s.ctx, s.stream, workers, esdb.PersistentStreamSubscriptionOptions{
		StartFrom: esdb.Start{},
		Settings:  groupSettings(func(g *esdb.PersistentSubscriptionSettings) { g.MaxRetryCount, g.MessageTimeout = 77, 12_345 }),
	})
	if err != nil {
		s.Fatal(err)
	}
	c.wantDropped()
	if i := s.info(); i.Settings.MaxRetryCount != 77 || i.Settings.MessageTimeout != 12_345 || i.EventSource != s.stream || i.GroupName != workers {
		s.Errorf("after the update the group is %+v", i)
	}
	again := s.connect(1)
	again.ack(again.want(1, 0))
}

func groupManagement(s *suite) {
	s.group(func(g *esdb.PersistentSubscriptionSettings) { g.MaxSubscriberCount = 1 })
	err := s.client.CreatePersistentSubscription(s.ctx, s.stream, workers, esdb.PersistentStreamSubscriptionOptions{})
	s.wantCode(err, esdb.ErrorCodeResourceAlreadyExists)
	c := s.connect(1)
	if _, err := s.client.SubscribeToPersistentSubscription(s.ctx, s.stream, workers, esdb.SubscribeToPersistentSubscriptionOptions{}); err == nil || !strings.Contains(strings.ToLower(err.Error()), "maximum") {
		s.Errorf("second of one consumers: %v", err)
	}
	all, err := s.client.ListPersistentSubscriptionsForStream(s.ctx, s.stream, esdb.ListPersistentSubscriptionsOptions{})
	if err != nil || len(all) != 1 || len(all[0].Connections) != 1 {
		s.Errorf("groups of the stream are %v (%v)", all, err)
	}
	everywhere, err := s.client.ListAllPersistentSubscriptions(s.ctx, esdb.ListPersistentSubscriptionsOptions{})
	if err != nil || !slices.ContainsFunc(everywhere, func(i esdb.PersistentSubscriptionInfo) bool { return i.EventSource == s.stream }) {
		s.Errorf("the group is not among all (%v)", err)
	}
	if err := s.client.DeletePersistentSubscription(s.ctx, s.stream, workers, esdb.DeletePersistentSubscriptionOptions{}); err != nil {
		s.Fatal(err)
	}
	c.wantDropped()
	err = s.client.DeletePersistentSubscription(s.ctx, s.stream, workers, esdb.DeletePersistentSubscriptionOptions{})
	s.wantCode(err, esdb.ErrorCodeResourceNotFound)
	_, err = s.client.SubscribeToPersistentSubscription(s.ctx, s.stream, workers, esdb.SubscribeToPersistentSubscriptionOptions{})
	s.wantCode(err, esdb.ErrorCodeResourceNotFound)
}

// groupOnAll creates a group for the events of streams that begin with the test's name
// and "-wanted".
func (s *suite) groupOnAll() (group string) {
	s.Helper()
	group = workers + s.stream
	err := s.client.CreatePersistentSubscriptionToAll(s.ctx, group, esdb.PersistentAllSubscriptionOptions{
		Settings: groupSettings(defaults), StartFrom: esdb.Start{},
		Filter: &esdb.SubscriptionFilter{Type: esdb.StreamFilterType, Prefixes: []string{s.stream + "-wanted"}},
	})
	if err != nil {
		s.Fatal(err)
	}
	s.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		_ = s.client.DeletePersistentSubscriptionToAll(ctx, group, esdb.DeletePersistentSubscriptionOptions{})
	})
	return group
}

func groupAll(s *suite) {
	s.writeTo(s.stream+"-other", esdb.NoStream{}, event("a"))
	s.writeTo(s.stream+"-wanted", esdb.NoStream{}, event("first"))
	group := s.groupOnAll()
	connect := func() *consumer {
		return s.consume(s.client.SubscribeToPersistentSubscriptionToAll(s.ctx, group, esdb.SubscribeToPersistentSubscriptionOptions{}))
	}
	c := connect()
	c.ack(c.next().Event)
	s.writeTo(s.stream+"-other", esdb.Any{}, event("b"))
	last := s.writeTo(s.stream+"-wanted", esdb.Any{}, event("second"))
	e := c.next().Event
	if e.Event.EventType != "second" || e.Event.Position.Commit != last.CommitPosition {
		s.Errorf("second event is %+v", e.Event)
	}
	c.ack(e)
	s.await("the checkpoint", func() bool {
		info, err := s.client.GetPersistentSubscriptionInfoToAll(s.ctx, group, esdb.GetPersistentSubscriptionOptions{})
		if err != nil {
			s.Fatal(err)
		}
		p := info.Stats.LastCheckpointedPosition
		return p != nil && p.Commit >= last.CommitPosition
	})
	// An update keeps the filter, and the place.
	err := s.client.UpdatePersistentSubscriptionToAll(s.ctx, group, esdb.PersistentAllSubscriptionOptions{
		Settings: groupSettings(defaults), StartFrom: esdb.Start{},
	})
	if err != nil {
		s.Fatal(err)
	}
	c.wantDropped()
	c = connect()
	s.writeTo(s.stream+"-other", esdb.Any{}, event("c"))
	s.writeTo(s.stream+"-wanted", esdb.Any{}, event("third"))
	e = c.next().Event
	if e.Event.EventType != "third" {
		s.Errorf("after the update came %+v", e.Event)
	}
	c.ack(e)
}
