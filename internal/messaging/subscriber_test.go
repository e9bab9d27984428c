package messaging_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/google/uuid"

	"daybook/domain"
	"daybook/internal/eventstore"
	"daybook/internal/eventstore/node/nodetest"
	"daybook/internal/messaging"
)

// patience is how long tests wait for what must happen.
const patience = 20 * time.Second

func await(t *testing.T, what string, holds func() bool) {
	t.Helper()
	deadline, tick := time.After(patience), time.NewTicker(5*time.Millisecond)
	defer tick.Stop()
	for !holds() {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("never: %s", what)
		}
	}
}

func receive(t *testing.T, messages <-chan *message.Message) *message.Message {
	t.Helper()
	select {
	case m, ok := <-messages:
		if !ok {
			t.Fatal("channel closed")
		}
		return m
	case <-time.After(patience):
		t.Fatal("no message")
		return nil
	}
}

func subscribe(t *testing.T, s *messaging.Subscriber, topic string) <-chan *message.Message {
	t.Helper()
	messages, err := s.Subscribe(t.Context(), topic)
	if err != nil {
		t.Fatal(err)
	}
	return messages
}

func appendTo(t *testing.T, c *eventstore.Client, stream string, count int) eventstore.Appended {
	t.Helper()
	events := make([]eventstore.Proposed, count)
	for i := range events {
		events[i] = eventstore.Proposed{ID: uuid.New(), Type: "Noted", Data: []byte(`{"a":1}`), Metadata: []byte(`{"schema":"1","n":2}`)}
	}
	done, err := c.Append(t.Context(), stream, eventstore.Any, events...)
	if err != nil {
		t.Fatal(err)
	}
	return done
}

func TestEventMode(t *testing.T) {
	client := newClient(t, eventstore.Config{})
	last := appendTo(t, client, "account-1", 1)
	s := newSubscriber(t, client, messaging.SubscriberConfig{})
	m := receive(t, subscribe(t, s, messaging.All))
	e, ok := messaging.EventFromContext(m.Context())
	if !ok || e.Stream != "account-1" || e.Position != last.Position || e.Type != "Noted" {
		t.Errorf("event %+v, %t", e, ok)
	}
	if m.UUID != e.ID.String() || string(m.Payload) != `{"a":1}` || m.Metadata["schema"] != "1" || m.Metadata["n"] != "2" {
		t.Errorf("message %+v", m)
	}
	if batch := messaging.BatchFromContext(m.Context()); len(batch.Events) != 1 {
		t.Errorf("batch of %d events", len(batch.Events))
	}
	if _, acked := s.Position(messaging.All); acked {
		t.Error("position before the ack")
	}
	m.Ack()
	await(t, "position of the ack", func() bool {
		position, acked := s.Position(messaging.All)
		return acked && position == last.Position
	})
}

func TestBatchesAdapt(t *testing.T) {
	client := newClient(t, eventstore.Config{})
	appendTo(t, client, "account-1", 250)
	s := newSubscriber(t, client, messaging.SubscriberConfig{Batch: true, MaxBatch: 100})
	messages := subscribe(t, s, messaging.All)
	largest := 0
	for seen := 0; seen < 250; {
		m := receive(t, messages)
		batch := messaging.BatchFromContext(m.Context())
		seen += len(batch.Events)
		largest = max(largest, len(batch.Events))
		if _, one := messaging.EventFromContext(m.Context()); one {
			t.Error("a batch passes for an event")
		}
		if batch.CaughtUp && seen < 250 {
			t.Errorf("caught up at %d events of 250", seen)
		}
		m.Ack()
	}
	if largest > 100 || largest < 2 {
		t.Errorf("largest batch %d", largest)
	}
	await(t, "caught up", func() bool { return s.Status()[0].CaughtUp })
	for range 3 {
		appendTo(t, client, "account-1", 1)
		m := receive(t, messages)
		if batch := messaging.BatchFromContext(m.Context()); len(batch.Events) != 1 || !batch.CaughtUp {
			t.Errorf("live batch of %d events, caught up: %t", len(batch.Events), batch.CaughtUp)
		}
		m.Ack()
	}
}

func TestStatus(t *testing.T) {
	running := nodetest.Start(t, nodetest.OnDisk(t))
	client := newClient(t, eventstore.Config{Socket: socket(running)})
	s := newSubscriber(t, client, messaging.SubscriberConfig{})
	messages := subscribe(t, s, "account-1")
	status := func() messaging.Status { return s.Status()[0] }
	await(t, "caught up with nothing", func() bool { return status().CaughtUp && status().Connected })
	last := appendTo(t, client, "account-1", 1)
	m := receive(t, messages)
	m.Nack()
	m = receive(t, messages)
	if now := status(); now.CaughtUp || now.Behind <= 0 || now.Nacks != 1 || now.Acked {
		t.Errorf("with a message in hand: %+v", now)
	}
	m.Ack()
	await(t, "caught up", func() bool { return status().CaughtUp })
	if now := status(); now.Topic != "account-1" || int64(now.Position) != last.Revision || now.Nacks != 0 || now.Behind != 0 {
		t.Errorf("after the ack: %+v", now)
	}
	running.Stop(t)
	await(t, "disconnected", func() bool { now := status(); return !now.Connected && !now.CaughtUp && now.Err != nil })
	running.Restart(t)
	await(t, "caught up again", func() bool { now := status(); return now.Connected && now.CaughtUp && now.Err == nil })
}

func TestRestartsOfTheNode(t *testing.T) {
	before := runtime.NumGoroutine()
	t.Run("load", func(t *testing.T) {
		running := nodetest.Start(t, nodetest.OnDisk(t))
		client := newClient(t, eventstore.Config{Socket: socket(running)})
		publisher := messaging.NewPublisher(client, messaging.PublisherConfig{})
		s := newSubscriber(t, client, messaging.SubscriberConfig{})
		messages := subscribe(t, s, messaging.All)
		const each, publishers = 150, 4
		var work sync.WaitGroup
		for p := range publishers {
			work.Go(func() {
				for i := range each {
					m := message.NewMessage(uuid.NewString(), fmt.Appendf(nil, "%d", i))
					if err := publisher.Publish(fmt.Sprintf("topic-%d", p), m); err != nil {
						t.Error(err)
					}
				}
			})
		}
		next := map[string]int64{}
		for seen := range publishers * each {
			m := receive(t, messages)
			e, _ := messaging.EventFromContext(m.Context())
			if e.Revision != next[e.Stream] {
				t.Fatalf("%s: revision %d, want %d", e.Stream, e.Revision, next[e.Stream])
			}
			next[e.Stream]++
			m.Ack()
			if seen%150 == 75 {
				running.Restart(t)
			}
		}
		work.Wait()
	})
	await(t, "goroutines gone", func() bool { return runtime.NumGoroutine() <= before })
}

// TestDrain: a handler keeps its context over Close and its ack counts.
func TestDrain(t *testing.T) {
	client := newClient(t, eventstore.Config{})
	appendTo(t, client, "account-1", 2)
	saved := make(chan uint64, 2)
	s := newSubscriber(t, client, messaging.SubscriberConfig{
		DrainTimeout: patience,
		Checkpoint:   func(_ context.Context, _ string, position uint64) error { saved <- position; return nil },
	})
	ctx, cancel := context.WithCancel(t.Context())
	messages, err := s.Subscribe(ctx, "account-1")
	if err != nil {
		t.Fatal(err)
	}
	m := receive(t, messages)
	cancel()
	closed := make(chan error)
	go func() { closed <- s.Close() }()
	if m.Context().Err() != nil {
		t.Error("context of a message in hand is over")
	}
	select {
	case <-closed:
		t.Fatal("Close did not wait for the handler")
	default:
	}
	m.Ack()
	if err := <-closed; err != nil {
		t.Error(err)
	}
	if position := <-saved; position != 0 {
		t.Errorf("saved %d", position)
	}
	if m.Context().Err() == nil {
		t.Error("context outlives the ack")
	}
	if _, open := <-messages; open {
		t.Error("another message after Close")
	}
	if _, err := s.Subscribe(t.Context(), "account-1"); !errors.Is(err, messaging.ErrClosed) {
		t.Errorf("subscribe after Close: %v", err)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}

func TestDrainTimeout(t *testing.T) {
	client := newClient(t, eventstore.Config{})
	appendTo(t, client, "account-1", 1)
	s := newSubscriber(t, client, messaging.SubscriberConfig{
		DrainTimeout: 30 * time.Millisecond,
		Checkpoint:   func(context.Context, string, uint64) error { t.Error("saved without an ack"); return nil },
	})
	m := receive(t, subscribe(t, s, "account-1"))
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	if m.Context().Err() == nil {
		t.Error("context outlives the drain timeout")
	}
}

// TestStart: a failing start is repeated, its position is exclusive, and it is
// asked again after a lost connection.
func TestStart(t *testing.T) {
	running := nodetest.Start(t, nodetest.OnDisk(t))
	client := newClient(t, eventstore.Config{Socket: socket(running)})
	appendTo(t, client, "account-1", 4)
	var mu sync.Mutex
	starts := 0
	s := newSubscriber(t, client, messaging.SubscriberConfig{
		Start: func(context.Context, string) (uint64, bool, error) {
			mu.Lock()
			defer mu.Unlock()
			starts++
			if starts == 1 {
				return 0, false, errors.New("no database")
			}
			return uint64(starts), true, nil
		},
	})
	messages := subscribe(t, s, "account-1")
	m := receive(t, messages)
	if e, _ := messaging.EventFromContext(m.Context()); e.Revision != 3 {
		t.Errorf("begins at revision %d, want 3", e.Revision)
	}
	running.Restart(t)
	appendTo(t, client, "account-1", 1)
	m.Ack()
	await(t, "another start", func() bool {
		mu.Lock()
		defer mu.Unlock()
		return starts == 3
	})
	m = receive(t, messages)
	if e, _ := messaging.EventFromContext(m.Context()); e.Revision != 4 {
		t.Errorf("goes on at revision %d, want 4", e.Revision)
	}
}

func TestTargets(t *testing.T) {
	client := newClient(t, eventstore.Config{})
	appendTo(t, client, "access-1", 1)
	appendTo(t, client, "account-1", 1)
	s := newSubscriber(t, client, messaging.SubscriberConfig{
		Target: func(topic string) (messaging.Target, error) {
			return messaging.Target{All: true, Prefixes: []string{topic + "-"}}, nil
		},
	})
	m := receive(t, subscribe(t, s, "account"))
	if e, _ := messaging.EventFromContext(m.Context()); e.Stream != "account-1" {
		t.Errorf("event of %s", e.Stream)
	}
	plain := newSubscriber(t, client, messaging.SubscriberConfig{})
	for _, topic := range []string{"", "$ce-account"} {
		if _, err := plain.Subscribe(t.Context(), topic); err == nil {
			t.Errorf("topic %q is accepted", topic)
		}
	}
}

func TestSubscriberConfig(t *testing.T) {
	client := newClient(t, eventstore.Config{})
	for _, config := range []messaging.SubscriberConfig{
		{MaxBatch: -1}, {NackBackoff: -1}, {DrainTimeout: -1}, {Prepare: func(context.Context, []domain.Stored) {}},
		{Lanes: -1}, {Window: -1}, {Lanes: 2, Batch: true},
	} {
		if _, err := messaging.NewSubscriber(client, config); err == nil {
			t.Errorf("%+v is accepted", config)
		}
	}
}

// TestCheckpointsOfNothing: positions of what is not wanted are saved, too.
func TestCheckpointsOfNothing(t *testing.T) {
	client := newClient(t, eventstore.Config{Prefixes: []string{"account-"}})
	first := appendTo(t, client, "unwanted", 1200)
	saved := make(chan uint64, 100)
	s := newSubscriber(t, client, messaging.SubscriberConfig{
		Checkpoint: func(_ context.Context, _ string, position uint64) error { saved <- position; return errors.New("lost") },
	})
	subscribe(t, s, messaging.All)
	for {
		select {
		case position := <-saved:
			if position >= first.Position-500 {
				return
			}
		case <-time.After(patience):
			t.Fatal("no checkpoint")
		}
	}
}

// TestPrepare: the next batch is prepared while one is in hand, and is not given
// out before that one is acked.
func TestPrepare(t *testing.T) {
	client := newClient(t, eventstore.Config{})
	appendTo(t, client, "account-1", 3)
	ready := make(chan int64, 3)
	s := newSubscriber(t, client, messaging.SubscriberConfig{
		Batch: true, MaxBatch: 1, Prepare: func(_ context.Context, events []domain.Stored) {
			for _, e := range events {
				ready <- e.Revision
			}
		},
	})
	messages := subscribe(t, s, "account-1")
	for revision := range int64(3) {
		m := receive(t, messages)
		if batch := messaging.BatchFromContext(m.Context()); len(batch.Events) != 1 || batch.Events[0].Revision != revision {
			t.Fatalf("batch %+v, want revision %d", batch, revision)
		}
		if revision == 0 {
			awaitPrepared(t, ready, 0)
		}
		if revision < 2 {
			awaitPrepared(t, ready, revision+1) // before this one is acked
		}
		select {
		case <-messages:
			t.Fatal("two messages in hand")
		default:
		}
		m.Ack()
	}
	await(t, "caught up", func() bool { return s.Status()[0].CaughtUp })
}

func awaitPrepared(t *testing.T, ready <-chan int64, want int64) {
	t.Helper()
	select {
	case revision := <-ready:
		if revision != want {
			t.Errorf("prepared revision %d, want %d", revision, want)
		}
	case <-time.After(patience):
		t.Fatalf("revision %d was not prepared", want)
	}
}
