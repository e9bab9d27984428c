package conformance

import (
	"context"
	"slices"
	"time"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// workers is the name of the group on the test's stream.
const workers = "workers"

// group creates a group on the test's stream, with a checkpoint after each event and two
// retries, and the change.
func (s *suite) group(change func(*esdb.PersistentSubscriptionSettings)) {
	s.Helper()
	s.groupFrom(esdb.Start{}, change)
}

func (s *suite) groupFrom(start esdb.StreamPosition, change func(*esdb.PersistentSubscriptionSettings)) {
	s.Helper()
	options := esdb.PersistentStreamSubscriptionOptions{Settings: groupSettings(change), StartFrom: start}
	if err := s.client.CreatePersistentSubscription(s.ctx, s.stream, workers, options); err != nil {
		s.Fatal(err)
	}
	s.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		_ = s.client.DeletePersistentSubscription(ctx, s.stream, workers, esdb.DeletePersistentSubscriptionOptions{})
	})
}

func groupSettings(change func(*esdb.PersistentSubscriptionSettings)) *esdb.PersistentSubscriptionSettings {
	settings := esdb.SubscriptionSettingsDefault()
	settings.CheckpointLowerBound, settings.CheckpointUpperBound = 1, 1
	settings.MaxRetryCount = 2
	change(&settings)
	return &settings
}

func defaults(*esdb.PersistentSubscriptionSettings) {}

// consumer is a connection to a group whose events come by a channel.
type consumer struct {
	*suite
	sub    *esdb.PersistentSubscription
	events chan *esdb.EventAppeared
	ended  chan error
}

func (s *suite) connect(buffer uint32) *consumer {
	s.Helper()
	options := esdb.SubscribeToPersistentSubscriptionOptions{BufferSize: buffer}
	return s.consume(s.client.SubscribeToPersistentSubscription(s.ctx, s.stream, workers, options))
}

func (s *suite) consume(sub *esdb.PersistentSubscription, err error) *consumer {
	s.Helper()
	if err != nil {
		s.Fatalf("connect to the group: %v", err)
	}
	s.Cleanup(func() { _ = sub.Close() })
	c := &consumer{suite: s, sub: sub, events: make(chan *esdb.EventAppeared, 1000), ended: make(chan error, 1)}
	go func() {
		for {
			message := sub.Recv()
			if message.SubscriptionDropped != nil {
				c.ended <- message.SubscriptionDropped.Error
				return
			}
			c.events <- message.EventAppeared
		}
	}()
	return c
}

func (c *consumer) next() *esdb.EventAppeared {
	c.Helper()
	select {
	case e := <-c.events:
		return e
	case err := <-c.ended:
		c.Fatalf("connection ended: %v", err)
	case <-time.After(patience):
		c.Fatal("no event came")
	}
	return nil
}

// want takes the next event, which must have the revision and the retry count.
func (c *consumer) want(revision uint64, retries int) *esdb.ResolvedEvent {
	c.Helper()
	e := c.next()
	if got := e.Event.OriginalEvent().EventNumber; got != revision || e.RetryCount != retries {
		c.Fatalf("event is revision %d, tried %d times, want %d and %d", got, e.RetryCount, revision, retries)
	}
	return e.Event
}

func (c *consumer) ack(events ...*esdb.ResolvedEvent) {
	c.Helper()
	if err := c.sub.Ack(events...); err != nil {
		c.Fatal(err)
	}
}

func (c *consumer) nack(action esdb.NackAction, e *esdb.ResolvedEvent) {
	c.Helper()
	if err := c.sub.Nack("because", action, e); err != nil {
		c.Fatal(err)
	}
}

// none fails the test if an event is there already. It is for use after something that
// must have come later.
func (c *consumer) none() {
	c.Helper()
	select {
	case e := <-c.events:
		c.Errorf("event %d came unasked", e.Event.OriginalEvent().EventNumber)
	default:
	}
}

func (c *consumer) wantDropped() {
	c.Helper()
	select {
	case err := <-c.ended:
		if status.Code(err) != codes.Canceled {
			c.Errorf("connection ended with %v, want cancelled", err)
		}
	case <-time.After(patience):
		c.Fatal("connection wasn't dropped")
	}
}

func (s *suite) info() *esdb.PersistentSubscriptionInfo {
	s.Helper()
	info, err := s.client.GetPersistentSubscriptionInfo(s.ctx, s.stream, workers, esdb.GetPersistentSubscriptionOptions{})
	if err != nil {
		s.Fatal(err)
	}
	return info
}

func (s *suite) awaitInfo(what string, holds func(*esdb.PersistentSubscriptionInfo) bool) {
	s.Helper()
	s.await(what, func() bool { return holds(s.info()) })
}

func (s *suite) awaitParked(count int64) {
	s.Helper()
	s.awaitInfo("parked events", func(i *esdb.PersistentSubscriptionInfo) bool { return i.Stats.ParkedMessagesCount == count })
}

func (s *suite) awaitCheckpoint(revision uint64) {
	s.Helper()
	s.awaitInfo("the checkpoint", func(i *esdb.PersistentSubscriptionInfo) bool {
		return i.Stats.LastCheckpointedEventRevision != nil && *i.Stats.LastCheckpointedEventRevision == revision
	})
}

func (s *suite) awaitSettled() {
	s.Helper()
	s.awaitInfo("nothing in flight", func(i *esdb.PersistentSubscriptionInfo) bool { return i.Stats.TotalInFlightMessages == 0 })
}

func (s *suite) replay(options esdb.ReplayParkedMessagesOptions) {
	s.Helper()
	if err := s.client.ReplayParkedMessages(s.ctx, s.stream, workers, options); err != nil {
		s.Fatal(err)
	}
}

// sortedRevisions are those of the next events, however they are ordered.
func (c *consumer) sortedRevisions(count int) (found []uint64, events []*esdb.ResolvedEvent) {
	c.Helper()
	for range count {
		e := c.next().Event
		found, events = append(found, e.OriginalEvent().EventNumber), append(events, e)
	}
	slices.Sort(found)
	return found, events
}
