package node

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// gatedStorage is a memory storage whose commits can be held or made to fail after the
// records are in: the state a disk is in between a write and its fsync.
type gatedStorage struct {
	*memoryStorage
	mu      sync.Mutex
	gate    chan error
	commits int
}

func (g *gatedStorage) commit(records []record) error {
	g.mu.Lock()
	g.commits++
	gate := g.gate
	g.mu.Unlock()
	if err := g.memoryStorage.commit(records); err != nil || gate == nil {
		return err
	}
	return <-gate
}

func startWriter(t *testing.T, s storage) *writer {
	t.Helper()
	w, err := newWriter(s, slog.New(slog.DiscardHandler), time.Now)
	if err != nil {
		t.Fatal(err)
	}
	go w.run()
	t.Cleanup(w.close)
	return w
}

// appendOne is a plan that writes one event at the end of the stream.
func appendOne(stream string) plan {
	return func(d *draft) error {
		_, err := planAppend(d, appendRequest{stream: stream, expected: expectAny, events: []newEvent{metadataEvent(nil)}})
		return err
	}
}

func visible(t *testing.T, w *writer) int {
	t.Helper()
	count := 0
	err := w.read(func(v view) error {
		for _, err := range v.all(0, forwards) {
			if err != nil {
				return err
			}
			count++
		}
		_, found, err := v.last("a")
		if found != (count > 0) {
			t.Errorf("$all shows %d events, but finding the last of the stream says %v", count, found)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return count
}

// TestWriterPublishesAfterCommit looks while a commit is under way.
func TestWriterPublishesAfterCommit(t *testing.T) {
	g := &gatedStorage{memoryStorage: newMemoryStorage(), gate: make(chan error)}
	w := startWriter(t, g)
	_, grown := w.tail()
	done := make(chan error, 1)
	go func() { done <- w.submit(t.Context(), appendOne("a")) }()
	await(t, "the commit to begin", func() bool { return g.stored() == 1 })
	if n := visible(t, w); n != 0 {
		t.Errorf("%d events are visible before they are durable", n)
	}
	select {
	case <-grown:
		t.Error("subscribers were woken before the commit was over")
	case err := <-done:
		t.Errorf("acknowledged (%v) before the commit was over", err)
	default:
	}
	g.gate <- nil
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	<-grown
	if n := visible(t, w); n != 1 {
		t.Errorf("%d events are visible after the acknowledgement, want 1", n)
	}
}

func (g *gatedStorage) stored() int {
	return len(g.table.snapshot().records)
}

func (g *gatedStorage) committed() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.commits
}

// TestWriterStopsAfterFailedCommit: what a failed fsync left behind is never shown, and
// nothing is accepted any more.
func TestWriterStopsAfterFailedCommit(t *testing.T) {
	g := &gatedStorage{memoryStorage: newMemoryStorage()}
	w := startWriter(t, g)
	if err := w.submit(t.Context(), appendOne("a")); err != nil {
		t.Fatal(err)
	}
	g.mu.Lock()
	g.gate = make(chan error, 1)
	g.gate <- errors.New("input/output error")
	g.mu.Unlock()
	for range 2 {
		err := w.submit(t.Context(), appendOne("a"))
		if f, ok := errors.AsType[*failure](err); !ok || f.code != codes.Unavailable {
			t.Errorf("append after the failure: %v, want unavailable", err)
		}
	}
	if g.committed() != 2 {
		t.Errorf("%d commits were tried, want the good one and the failed one", g.committed())
	}
	if n := visible(t, w); n != 1 {
		t.Errorf("%d events are visible, want only the durable one", n)
	}
}

// TestWriterGroups: requests that come in during a commit share the next one.
func TestWriterGroups(t *testing.T) {
	g := &gatedStorage{memoryStorage: newMemoryStorage(), gate: make(chan error)}
	w := startWriter(t, g)
	const waiting = 50
	done := make(chan error, waiting+1)
	submit := func() { done <- w.submit(t.Context(), appendOne("a")) }
	go submit()
	await(t, "the first commit to begin", func() bool { return g.stored() == 1 })
	for range waiting {
		go submit()
	}
	await(t, "the requests to queue up", func() bool { return len(w.queue) == waiting })
	g.gate <- nil
	g.gate <- nil
	for range waiting + 1 {
		if err := <-done; err != nil {
			t.Fatal(err)
		}
	}
	if g.committed() != 2 {
		t.Errorf("%d appends took %d commits, want 2", waiting+1, g.committed())
	}
	if n := visible(t, w); n != waiting+1 {
		t.Errorf("%d events are there, want %d", n, waiting+1)
	}
}

func TestWriterLetsCallersGo(t *testing.T) {
	g := &gatedStorage{memoryStorage: newMemoryStorage(), gate: make(chan error)}
	w := startWriter(t, g)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- w.submit(ctx, appendOne("a")) }()
	await(t, "the commit to begin", func() bool { return g.stored() == 1 })
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled submit: %v", err)
	}
	g.gate <- nil
}

// TestWriterRemembersOverRestart: recent ids come back from the log.
func TestWriterRemembersOverRestart(t *testing.T) {
	s := newMemoryStorage()
	request := appendRequest{stream: "a", expected: expectAny, events: []newEvent{metadataEvent(nil)}}
	for range 2 {
		w, err := newWriter(s, slog.New(slog.DiscardHandler), time.Now)
		if err != nil {
			t.Fatal(err)
		}
		go w.run()
		var result appendResult
		err = w.submit(t.Context(), func(d *draft) (err error) {
			result, err = planAppend(d, request)
			return err
		})
		if err != nil || result.revision != 0 || result.position != 1 {
			t.Errorf("append gave revision %d at %d (%v), want 0 at 1", result.revision, result.position, err)
		}
		w.close()
		if err := w.submit(t.Context(), appendOne("a")); status.Code(err) != codes.Unavailable {
			t.Errorf("submit after close: %v, want unavailable", err)
		}
	}
}

func TestRecentEventsAreBounded(t *testing.T) {
	recent := newRecentEvents(3)
	records := []record{testRecord(1, "a", 0), testRecord(2, "a", 1), testRecord(3, "a", 2), testRecord(4, "a", 3)}
	for _, r := range records[:3] {
		recent.add(r)
	}
	if _, known := recent.find("a", records[0].id); !known {
		t.Error("an event was forgotten too early")
	}
	recent.add(records[3])
	if _, known := recent.find("a", records[0].id); known {
		t.Error("the event written longest ago was kept")
	}
	for _, r := range records[1:] {
		if e, known := recent.find("a", r.id); !known || e.position != r.position || e.revision != r.revision {
			t.Errorf("event %d is remembered as %+v (%v)", r.position, e, known)
		}
	}
	moved := records[3]
	moved.position = 9
	recent.add(moved)
	if e, _ := recent.find("a", moved.id); e.position != 9 {
		t.Errorf("an event written again is remembered at %d, want 9", e.position)
	}
	if _, known := recent.find("b", records[1].id); known {
		t.Error("an event was found in another stream")
	}
	if len(recent.places) != 3 || len(recent.ring) != 3 {
		t.Errorf("%d entries are kept, want 3", len(recent.ring))
	}
}

// await asks until the condition holds.
func await(t *testing.T, what string, holds func() bool) {
	t.Helper()
	deadline := time.After(10 * time.Second)
	ticker := time.NewTicker(time.Millisecond)
	defer ticker.Stop()
	for !holds() {
		select {
		case <-ticker.C:
		case <-deadline:
			t.Fatalf("waited in vain for %s", what)
		}
	}
}
