package messaging_test

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/google/uuid"
	"pgregory.net/rapid"

	"daybook/domain"
	"daybook/internal/eventstore"
	"daybook/internal/eventstore/node/nodetest"
	"daybook/internal/messaging"
)

// TestLanes: whatever is nacked, however long handlers take and wherever the
// consumer crashes, the events of a key come one after the other and in order, the
// checkpoint never passes one that is not acked, and in the end all are.
func TestLanes(t *testing.T) {
	path := socket(nodetest.Start(t))
	rapid.Check(t, func(r *rapid.T) {
		client, err := eventstore.NewClient(eventstore.Config{Socket: path, Namespace: uuid.NewString()})
		if err != nil {
			r.Fatal(err)
		}
		defer client.Close()
		plan := drawPlan(r)
		plan.publish(r, client, slices.Concat(plan.before, plan.after))
		ledger := &ledger{acked: map[uint64]bool{}, next: map[string]int64{}}
		for e, err := range client.ReadAll(t.Context(), 0) {
			if err != nil {
				r.Fatal(err)
			}
			ledger.all = append(ledger.all, e)
		}
		lanes, window := rapid.IntRange(2, 5).Draw(r, "lanes"), rapid.IntRange(1, 20).Draw(r, "window")
		for run := 0; ledger.left() > 0; run++ {
			crash := rapid.IntRange(0, 30).Draw(r, "crash after")
			if run > 10 {
				crash = len(ledger.all) * 2 // let it end
			}
			ledger.run(r, client, lanes, window, crash)
			if r.Failed() {
				return
			}
		}
	})
}

// ledger is what happened to the events of a case.
type ledger struct {
	all []domain.Stored

	mu    sync.Mutex
	acked map[uint64]bool
	// next is of each key the revision that has not been acked yet.
	next  map[string]int64
	saved uint64
	// hands are the keys of which a message is in hand, of this run.
	hands map[string]bool
	nacks int
}

func (l *ledger) left() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.all) - len(l.acked)
}

// run consumes until all is acked, or until so many messages were taken: those in
// hand by then are neither acked nor nacked.
func (l *ledger) run(r *rapid.T, client *eventstore.Client, lanes, window, crash int) {
	l.hands = map[string]bool{}
	s, err := messaging.NewSubscriber(client, messaging.SubscriberConfig{
		Lanes: lanes, Window: window, NackBackoff: time.Microsecond, MaxNackBackoff: time.Millisecond, DrainTimeout: time.Millisecond,
		Start:      func(context.Context, string) (uint64, bool, error) { return l.position(), l.position() > 0, nil },
		Checkpoint: func(_ context.Context, _ string, position uint64) error { return l.save(r, position) },
	})
	if err != nil {
		r.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	messages, err := s.Subscribe(context.Background(), messaging.All)
	if err != nil {
		r.Fatal(err)
	}
	var handlers sync.WaitGroup
	defer handlers.Wait()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	deadline := time.After(patience)
	for taken := 0; taken < crash && l.left() > 0; {
		select {
		case m := <-messages:
			taken++
			l.take(r, m)
			handlers.Go(func() { l.handle(m) })
		case <-tick.C: // perhaps all is acked by now
		case <-deadline:
			r.Fatalf("%d events are left", l.left())
		}
	}
}

func (l *ledger) position() uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.saved
}

func (l *ledger) save(r *rapid.T, position uint64) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if position < l.saved {
		r.Errorf("checkpoint back from %d to %d", l.saved, position)
	}
	for _, e := range l.all {
		if e.Position <= position && !l.acked[e.Position] {
			r.Errorf("checkpoint at %d, and %d is not acked", position, e.Position)
		}
	}
	l.saved = position
	return nil
}

// take notes a message in hand. What was acked before a crash may come again, but
// none before its time.
func (l *ledger) take(r *rapid.T, m *message.Message) {
	e, _ := messaging.EventFromContext(m.Context())
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.hands[e.Stream] {
		r.Errorf("two messages of %s in hand", e.Stream)
	}
	l.hands[e.Stream] = true
	if e.Revision > l.next[e.Stream] {
		r.Errorf("%s@%d comes before %d", e.Stream, e.Revision, l.next[e.Stream])
	}
}

// handle acks all but every third message that comes, which it nacks; those of one
// stream take longer.
func (l *ledger) handle(m *message.Message) {
	e, _ := messaging.EventFromContext(m.Context())
	if e.Stream == "account-0" {
		select {
		case <-time.After(200 * time.Microsecond):
		case <-m.Context().Done(): // crashed
			return
		}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if m.Context().Err() != nil {
		return // crashed: what it did does not count
	}
	l.hands[e.Stream] = false
	if l.nacks++; l.nacks%3 == 0 {
		m.Nack()
		return
	}
	l.acked[e.Position] = true
	l.next[e.Stream] = max(l.next[e.Stream], e.Revision+1)
	m.Ack()
}

// TestLanesGoOn: a message that is nacked again and again holds up its lane and no
// other, until the window is full; the checkpoint stays before it.
func TestLanesGoOn(t *testing.T) {
	client := newClient(t, eventstore.Config{})
	appendTo(t, client, "account-bad", 1)
	const good, window = 60, 20
	for i := range good {
		appendTo(t, client, fmt.Sprintf("account-%d", i), 1)
	}
	s := newSubscriber(t, client, messaging.SubscriberConfig{Lanes: 4, Window: window, Checkpoint: func(context.Context, string, uint64) error {
		return nil
	}})
	messages := subscribe(t, s, messaging.All)
	acked, alone := 0, 0
	for alone < 10 { // nacks in a row while nothing else comes
		m := receive(t, messages)
		if e, _ := messaging.EventFromContext(m.Context()); e.Stream == "account-bad" {
			m.Nack()
			alone++
			continue
		}
		m.Ack()
		acked, alone = acked+1, 0
	}
	if acked == 0 || acked > window-1 {
		t.Errorf("%d events were handled beyond one that is not acked, with a window of %d", acked, window)
	}
	if position, some := s.Position(messaging.All); some || s.Status()[0].CaughtUp || s.Status()[0].Nacks < 10 {
		t.Errorf("position %d, %+v", position, s.Status()[0])
	}
	for ; acked < good+1; acked++ {
		receive(t, messages).Ack()
	}
	await(t, "caught up", func() bool { return s.Status()[0].CaughtUp })
}

// TestLanesOverRestarts: when the node comes and goes, a message in hand is waited
// for, longer than for draining, so that no key has two in hand; and nothing is
// lost.
func TestLanesOverRestarts(t *testing.T) {
	running := nodetest.Start(t, nodetest.OnDisk(t))
	client := newClient(t, eventstore.Config{Socket: socket(running)})
	const streams, each = 4, 5
	for range each {
		for i := range streams {
			appendTo(t, client, fmt.Sprintf("account-%d", i), 1)
		}
	}
	s := newSubscriber(t, client, messaging.SubscriberConfig{Lanes: 4, DrainTimeout: time.Millisecond})
	messages := subscribe(t, s, messaging.All)
	held := receive(t, messages)
	first, _ := messaging.EventFromContext(held.Context())
	running.Restart(t)
	next := map[string]int64{}
	take := func(m *message.Message) {
		e, _ := messaging.EventFromContext(m.Context())
		if e.Revision > next[e.Stream] {
			t.Fatalf("%s@%d comes before %d", e.Stream, e.Revision, next[e.Stream])
		}
		next[e.Stream] = max(next[e.Stream], e.Revision+1)
		m.Ack()
	}
	for idle := false; !idle; { // what else was on its way to other lanes
		select {
		case m := <-messages:
			if e, _ := messaging.EventFromContext(m.Context()); e.Stream == first.Stream {
				t.Fatal("a second message of the stream while one is in hand")
			}
			take(m)
		case <-held.Context().Done():
			t.Fatal("the message in hand was given up")
		case <-time.After(200 * time.Millisecond):
			idle = true
		}
	}
	take(held)
	done := func() (n int64) {
		for _, revisions := range next {
			n += revisions
		}
		return n
	}
	for done() < streams*each {
		take(receive(t, messages))
	}
	appendTo(t, client, "account-0", 1)
	take(receiveStream(t, messages, "account-0", each))
}

// receiveStream acks what comes again until it is that event.
func receiveStream(t *testing.T, messages <-chan *message.Message, stream string, revision int64) *message.Message {
	t.Helper()
	for {
		m := receive(t, messages)
		if e, _ := messaging.EventFromContext(m.Context()); e.Stream == stream && e.Revision == revision {
			return m
		}
		m.Ack()
	}
}

// TestLanesDrain: Close waits for what is in hand in every lane and saves how far
// all is done.
func TestLanesDrain(t *testing.T) {
	client := newClient(t, eventstore.Config{})
	var last eventstore.Appended
	for i := range 3 {
		last = appendTo(t, client, fmt.Sprintf("account-%d", i), 1)
	}
	var mu sync.Mutex
	var saved uint64
	s := newSubscriber(t, client, messaging.SubscriberConfig{
		Lanes: 3, DrainTimeout: patience, Key: func(e domain.Stored) string { return []string{"a", "c", "g"}[e.Stream[len(e.Stream)-1]-'0'] },
		Checkpoint: func(_ context.Context, _ string, position uint64) error {
			mu.Lock()
			defer mu.Unlock()
			saved = position
			return nil
		},
	})
	messages := subscribe(t, s, messaging.All)
	var hands []*message.Message
	for range 3 { // "a", "c" and "g" have a lane each
		hands = append(hands, receive(t, messages))
	}
	closed := make(chan error)
	go func() { closed <- s.Close() }()
	for _, m := range slices.Backward(hands) {
		select {
		case <-closed:
			t.Fatal("Close did not wait")
		case <-m.Context().Done():
			t.Fatal("a context is over before its ack")
		default:
		}
		m.Ack()
	}
	if err := <-closed; err != nil {
		t.Error(err)
	}
	if _, open := <-messages; open {
		t.Error("another message after Close")
	}
	mu.Lock()
	defer mu.Unlock()
	if saved != last.Position {
		t.Errorf("saved %d, want %d", saved, last.Position)
	}
}
