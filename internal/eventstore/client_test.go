package eventstore_test

import (
	"cmp"
	"context"
	"errors"
	"maps"
	"slices"
	"sync"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"

	"daybook/domain"
	"daybook/internal/eventstore"
	"daybook/internal/eventstore/node"
	"daybook/internal/eventstore/node/nodetest"
)

func TestAppendAndRead(t *testing.T) {
	checkGoroutines(t)
	running := nodetest.Start(t)
	client := newClient(t, eventstore.Config{Socket: socket(running)})
	events := proposed(3)
	first := mustAppend(t, client, "account-1", domain.NoStream, events[:2]...)
	last := mustAppend(t, client, "account-1", first.Revision, events[2])
	if first.Revision != 1 || last.Revision != 2 || last.Position <= first.Position {
		t.Errorf("appended %+v, then %+v", first, last)
	}

	all := collect(t, client.ReadStream(t.Context(), "account-1", 0))
	if len(all) != 3 {
		t.Fatalf("read %d events", len(all))
	}
	want := domain.Stored{
		Stream: "account-1", Revision: 2, Position: last.Position, ID: events[2].ID,
		Type: "Noted", Data: events[2].Data, Metadata: events[2].Metadata,
	}
	if diff := gocmp.Diff(want, all[2]); diff != "" {
		t.Error(diff)
	}
	if diff := gocmp.Diff(all[1:], collect(t, client.ReadStream(t.Context(), "account-1", 1))); diff != "" {
		t.Error(diff)
	}
	slices.Reverse(all)
	if diff := gocmp.Diff(all[:2], collect(t, client.ReadStreamBackwards(t.Context(), "account-1", 2))); diff != "" {
		t.Error(diff)
	}
	if tail, err := client.Tail(t.Context()); err != nil || tail != last.Position {
		t.Errorf("tail %d, %v; want %d", tail, err, last.Position)
	}
}

func TestMissingStreamHasNoEvents(t *testing.T) {
	client := newClient(t, eventstore.Config{Socket: socket(nodetest.Start(t))})
	if got := collect(t, client.ReadStream(t.Context(), "account-none", 0)); got != nil {
		t.Errorf("forwards: %v", got)
	}
	if got := collect(t, client.ReadStreamBackwards(t.Context(), "account-none", 5)); got != nil {
		t.Errorf("backwards: %v", got)
	}
	if tail, err := client.Tail(t.Context()); err != nil || tail != 1 {
		t.Errorf("tail of a new store: %d, %v, want that of $users", tail, err)
	}
}

func TestConflict(t *testing.T) {
	client := newClient(t, eventstore.Config{Socket: socket(nodetest.Start(t)), Namespace: "ns"})
	mustAppend(t, client, "account-1", domain.NoStream, proposed(2)...)
	for _, c := range []eventstore.ConflictError{
		{Stream: "account-1", Expected: domain.NoStream, Actual: 1},
		{Stream: "account-1", Expected: 0, Actual: 1},
		{Stream: "account-1", Expected: 7, Actual: 1},
		{Stream: "account-2", Expected: 0, Actual: domain.NoStream},
	} {
		_, err := client.Append(t.Context(), c.Stream, c.Expected, proposed(1)...)
		if got, ok := errors.AsType[*eventstore.ConflictError](err); !ok || *got != c {
			t.Errorf("got %v, want %v", err, &c)
		}
	}
	mustAppend(t, client, "account-1", eventstore.Any, proposed(1)...)
}

func TestRepeatedAppendIsTheSameAppend(t *testing.T) {
	client := newClient(t, eventstore.Config{Socket: socket(nodetest.Start(t))})
	events := proposed(2)
	first := mustAppend(t, client, "account-1", domain.NoStream, events...)
	mustAppend(t, client, "account-1", 1, proposed(1)...)
	if again := mustAppend(t, client, "account-1", domain.NoStream, events...); again != first {
		t.Errorf("again %+v, first %+v", again, first)
	}
}

func TestRefusedAppends(t *testing.T) {
	client := newClient(t, eventstore.Config{Socket: socket(nodetest.Start(t))})
	big := proposed(1)
	big[0].Data = make([]byte, 2<<20)
	for name, call := range map[string]func() error{
		"no events": func() error { _, err := client.Append(t.Context(), "account-1", eventstore.Any); return err },
		"no stream": func() error { _, err := client.Append(t.Context(), "", eventstore.Any, proposed(1)...); return err },
		"revision":  func() error { _, err := client.Append(t.Context(), "account-1", -3, proposed(1)...); return err },
		"too big":   func() error { _, err := client.Append(t.Context(), "account-1", eventstore.Any, big...); return err },
		"age":       func() error { return client.SetMaxAge(t.Context(), "access-1", time.Millisecond) },
	} {
		if err := call(); err == nil || errors.Is(err, eventstore.ErrUnavailable) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestNamespaceAndForeignStreams(t *testing.T) {
	running := nodetest.Start(t)
	ours := newClient(t, eventstore.Config{Socket: socket(running), Namespace: "ours", Prefixes: []string{"account-", "access-"}})
	theirs := newClient(t, eventstore.Config{Socket: socket(running), Namespace: "theirs"})
	everyone := newClient(t, eventstore.Config{Socket: socket(running)})
	mustAppend(t, theirs, "account-1", domain.NoStream, proposed(1)...)
	mustAppend(t, ours, "account-1", domain.NoStream, proposed(1)...)
	mustAppend(t, ours, "orders-1", domain.NoStream, proposed(1)...)
	if err := ours.SetMaxAge(t.Context(), "access-1", time.Hour); err != nil {
		t.Fatal(err)
	}
	last := mustAppend(t, ours, "access-1", eventstore.Any, proposed(1)...)
	mustAppend(t, theirs, "account-2", domain.NoStream, proposed(1)...)

	for _, c := range []struct {
		client *eventstore.Client
		want   []string
	}{
		{ours, []string{"account-1", "access-1"}},
		{theirs, []string{"account-1", "account-2"}},
		{everyone, []string{"theirs.account-1", "ours.account-1", "ours.orders-1", "ours.access-1", "theirs.account-2"}},
	} {
		if got := streams(collect(t, c.client.ReadAll(t.Context(), 0))); !slices.Equal(got, c.want) {
			t.Errorf("read %v, want %v", got, c.want)
		}
		if got := streams(untilCaughtUp(t, c.client, 0)); !slices.Equal(got, c.want) {
			t.Errorf("subscribed to %v, want %v", got, c.want)
		}
	}
	if got := collect(t, ours.ReadAll(t.Context(), last.Position)); got != nil {
		t.Errorf("behind the last event: %v", got)
	}
	if got := streams(untilCaughtUp(t, ours, 0, "access-")); !slices.Equal(got, []string{"access-1"}) {
		t.Errorf("filtered subscription got %v", got)
	}
}

func streams(events []domain.Stored) []string {
	names := make([]string, len(events))
	for i, e := range events {
		names[i] = e.Stream
	}
	return names
}

func untilCaughtUp(t *testing.T, c *eventstore.Client, after uint64, prefixes ...string) (events []domain.Stored) {
	t.Helper()
	ctx := within(t, patience)
	s, err := c.Subscribe(ctx, after, prefixes...)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	for {
		item, err := s.Next(ctx)
		if err != nil {
			t.Fatal(err)
		}
		if item.CaughtUp {
			return events
		}
		if item.Event != nil {
			events = append(events, *item.Event)
		}
	}
}

func TestMaxAge(t *testing.T) {
	now := time.Now()
	var mu sync.Mutex
	clock := nodetest.With(func(c *node.Config) {
		c.Now = func() time.Time { mu.Lock(); defer mu.Unlock(); return now }
	})
	client := newClient(t, eventstore.Config{Socket: socket(nodetest.Start(t, clock))})
	if err := client.SetMaxAge(t.Context(), "access-1", time.Hour); err != nil {
		t.Fatal(err)
	}
	mustAppend(t, client, "access-1", eventstore.Any, proposed(1)...)
	if got := collect(t, client.ReadStream(t.Context(), "access-1", 0)); len(got) != 1 {
		t.Errorf("read %d events before their age", len(got))
	}
	mu.Lock()
	now = now.Add(2 * time.Hour)
	mu.Unlock()
	if got := collect(t, client.ReadStream(t.Context(), "access-1", 0)); len(got) != 0 {
		t.Errorf("read %d events past their age", len(got))
	}
}

func TestSubscriptionSwitchesToLive(t *testing.T) {
	checkGoroutines(t)
	running := nodetest.Start(t)
	// A small buffer makes the server wait for the reader.
	client := newClient(t, eventstore.Config{Socket: socket(running), BufferBytes: 4096})
	const each = 300
	mustAppend(t, client, "account-old", domain.NoStream, proposed(each)...)
	ctx := within(t, patience)
	all, err := client.Subscribe(ctx, 0)
	if err != nil {
		t.Fatal(err)
	}
	one, err := client.SubscribeStream(ctx, "account-new", domain.NoStream)
	if err != nil {
		t.Fatal(err)
	}
	for i := range each {
		mustAppend(t, client, "account-new", int64(i)-1, proposed(1)...)
	}
	if got := take(t, all, 2*each); !inOrder(got) {
		t.Error("events of all streams are out of order")
	}
	got := take(t, one, each)
	if !inOrder(got) || got[0].Revision != 0 {
		t.Error("events of one stream are out of order")
	}
	resumed, err := client.SubscribeStream(ctx, "account-new", got[each/2].Revision)
	if err != nil {
		t.Fatal(err)
	}
	if next := take(t, resumed, 1); next[0].ID != got[each/2+1].ID {
		t.Errorf("resumed at revision %d", next[0].Revision)
	}
}

// take reads items in batches until it has n events.
func take(t *testing.T, s *eventstore.Subscription, n int) (events []domain.Stored) {
	t.Helper()
	for len(events) < n {
		items, err := s.NextBatch(within(t, patience), 50)
		if err != nil {
			t.Fatal(err)
		}
		for _, i := range items {
			if i.Event != nil {
				events = append(events, *i.Event)
			}
		}
	}
	return events
}

func inOrder(events []domain.Stored) bool {
	return slices.IsSortedFunc(events, func(a, b domain.Stored) int {
		return cmp.Or(cmp.Compare(a.Position, b.Position), 1) // equal is out of order, too
	})
}

func TestCheckpointsPassWhatIsNotWanted(t *testing.T) {
	client := newClient(t, eventstore.Config{Socket: socket(nodetest.Start(t))})
	last := mustAppend(t, client, "unwanted-1", domain.NoStream, proposed(1500)...)
	ctx := within(t, patience)
	s, err := client.Subscribe(ctx, 0, "account-")
	if err != nil {
		t.Fatal(err)
	}
	for {
		item, err := s.Next(ctx)
		if err != nil {
			t.Fatal(err)
		}
		if item.Checkpoint >= last.Position-500 {
			return
		}
	}
}

func TestCloseEndsEverything(t *testing.T) {
	checkGoroutines(t)
	client := newClient(t, eventstore.Config{Socket: socket(nodetest.Start(t))})
	s, err := client.Subscribe(t.Context(), 0)
	if err != nil {
		t.Fatal(err)
	}
	failed := make(chan error)
	go func() {
		for {
			if _, err := s.Next(context.Background()); err != nil {
				failed <- err
				return
			}
		}
	}()
	client.Close()
	client.Close()
	if err := <-failed; !errors.Is(err, eventstore.ErrClosed) {
		t.Errorf("subscription ended with %v", err)
	}
	if _, err := client.Append(t.Context(), "account-1", eventstore.Any, proposed(1)...); !errors.Is(err, eventstore.ErrClosed) {
		t.Errorf("append after Close: %v", err)
	}
	if _, err := client.Subscribe(t.Context(), 0); !errors.Is(err, eventstore.ErrClosed) {
		t.Errorf("subscribe after Close: %v", err)
	}
	if err := client.Ping(t.Context()); !errors.Is(err, eventstore.ErrClosed) {
		t.Errorf("ping after Close: %v", err)
	}
}

func TestObserveCountsRoundTrips(t *testing.T) {
	var mu sync.Mutex
	count := map[eventstore.Operation]int{}
	client := newClient(t, eventstore.Config{
		Socket: socket(nodetest.Start(t)),
		Observe: func(_ context.Context, o eventstore.Operation, _ time.Duration, _ error) {
			mu.Lock()
			defer mu.Unlock()
			count[o]++
		},
	})
	mustAppend(t, client, "account-1", domain.NoStream, proposed(1)...)
	collect(t, client.ReadStream(t.Context(), "account-1", 0))
	if _, err := client.Append(t.Context(), "account-1", 5, proposed(1)...); err == nil {
		t.Error("no conflict")
	}
	mu.Lock()
	defer mu.Unlock()
	if want := map[eventstore.Operation]int{eventstore.OpAppend: 2, eventstore.OpReadStream: 1}; !maps.Equal(count, want) {
		t.Errorf("round trips %v, want %v", count, want)
	}
}
