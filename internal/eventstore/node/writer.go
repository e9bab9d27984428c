package node

import (
	"context"
	"fmt"
	"log/slog"
	"runtime"
	"sync"
	"time"
)

const (
	// groupRequests and groupBytes bound what is committed at once, so that a flood
	// doesn't make the first of its requests wait for the last.
	groupRequests = 1024
	groupBytes    = 16 << 20
)

// plan decides about one request and adds its records to the draft. It runs on the
// writer's goroutine.
type plan func(*draft) error

// write is a request in the writer's queue.
type write struct {
	plan plan
	done chan error
}

// writer is the only one that changes the log.
type writer struct {
	storage storage
	log     *slog.Logger
	now     func() time.Time
	recent  *recentEvents
	// last is the position of the last record committed.
	last uint64

	queue chan write
	// stop is closed to end the writer, stopped when it has ended.
	stop, stopped chan struct{}

	mu        sync.Mutex
	published uint64
	// grown is closed and replaced each time the log grows.
	grown chan struct{}
	// failed is the first error of a commit. It is final: after a failed fsync nobody
	// knows what is on disk, and repeating it proves nothing.
	failed error
}

func newWriter(s storage, log *slog.Logger, now func() time.Time) (*writer, error) {
	w := &writer{
		storage: s, log: log, now: now, recent: newRecentEvents(recentCapacity),
		queue: make(chan write, groupRequests), stop: make(chan struct{}),
		stopped: make(chan struct{}), grown: make(chan struct{}),
	}
	err := s.view(w.recall)
	w.published = w.last
	return w, err
}

// recall finds the end of the log and fills the memory of recent events from it, so that
// a repetition with Any over a restart is most often recognised as well.
func (w *writer) recall(s snapshot) error {
	var recent []recentEvent
	for r, err := range s.all(lastPosition, backwards) {
		if err != nil {
			return fmt.Errorf("read the end of the log: %w", err)
		}
		w.last = max(w.last, r.position)
		recent = append(recent, w.recent.entry(r))
		if len(recent) == w.recent.capacity {
			break
		}
	}
	for i := len(recent) - 1; i >= 0; i-- {
		w.recent.put(recent[i])
	}
	return nil
}

// run serves the queue until close.
func (w *writer) run() {
	defer close(w.stopped)
	for {
		select {
		case first := <-w.queue:
			w.serve(first)
		case <-w.stop:
			return
		}
	}
}

// close ends the writer and waits for it. Requests left in the queue are refused.
func (w *writer) close() {
	close(w.stop)
	<-w.stopped
	for {
		select {
		case left := <-w.queue:
			left.done <- errStopping
		default:
			return
		}
	}
}

// submit has the plan carried out and returns when its records, if any, are durable and
// readable. When ctx ends first the outcome is unknown to the caller.
func (w *writer) submit(ctx context.Context, p plan) error {
	request, err := w.enqueue(ctx, p)
	if err != nil {
		return err
	}
	return w.await(ctx, request)
}

// enqueue puts the plan behind those already in the queue.
func (w *writer) enqueue(ctx context.Context, p plan) (write, error) {
	request := write{plan: p, done: make(chan error, 1)}
	select {
	case <-w.stop:
		return request, errStopping
	default:
	}
	select {
	case w.queue <- request:
		return request, nil
	case <-w.stop:
		return request, errStopping
	case <-ctx.Done():
		return request, ctx.Err()
	}
}

// await waits for the outcome of an enqueued plan.
func (w *writer) await(ctx context.Context, request write) error {
	select {
	case err := <-request.done:
		return err
	case <-w.stopped:
		return w.refused(request)
	case <-ctx.Done():
		return ctx.Err()
	}
}

// refused is the answer to a request that came into the queue as the writer ended,
// unless it was still served.
func (w *writer) refused(request write) error {
	select {
	case err := <-request.done:
		return err
	default:
		return errStopping
	}
}

// gather lets requests that are on their way come into the queue. Many writers that were
// answered at once write again at once; without this the first of them would have an
// fsync to itself and the others wait for it. It takes microseconds when none comes.
func (w *writer) gather() {
	for before := -1; before < len(w.queue); {
		before = len(w.queue)
		runtime.Gosched()
	}
}

// serve carries out the first request together with those that wait behind it. They
// share one fsync.
func (w *writer) serve(first write) {
	if err := w.failure(); err != nil {
		first.done <- err
		return
	}
	w.gather()
	group := []write{first}
	var outcomes []error
	var records []record
	err := w.storage.view(func(s snapshot) error {
		d := newDraft(s, w.last, w.recent, w.now())
		for len(outcomes) < len(group) {
			outcomes = append(outcomes, group[len(outcomes)].plan(d))
			if next, more := w.waiting(d, len(group)); more {
				group = append(group, next)
			}
		}
		records = d.records
		return nil
	})
	if err == nil {
		err = w.commit(records)
	}
	for i, request := range group {
		if err != nil {
			request.done <- err
			continue
		}
		request.done <- outcomes[i]
	}
}

// waiting takes the next request without waiting for one.
func (w *writer) waiting(d *draft, served int) (write, bool) {
	if served >= groupRequests || d.bytes >= groupBytes {
		return write{}, false
	}
	select {
	case request := <-w.queue:
		return request, true
	default:
		return write{}, false
	}
}

func (w *writer) commit(records []record) error {
	if len(records) == 0 {
		return nil
	}
	if err := w.storage.commit(records); err != nil {
		return w.fail(err)
	}
	w.last = records[len(records)-1].position
	w.publish()
	return nil
}

func (w *writer) fail(cause error) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.failed = unavailable("the event store can't write to its disk and accepts no more events")
	w.log.Error("event store can't write, appends are refused from now on", "error", cause)
	return w.failed
}

func (w *writer) failure() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.failed
}

func (w *writer) publish() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.published = w.last
	close(w.grown)
	w.grown = make(chan struct{})
}

// tail returns the position up to which events may be read, and a channel that is closed
// when there are more.
func (w *writer) tail() (uint64, <-chan struct{}) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.published, w.grown
}

// read calls do with what is public at this moment and returns how far that reaches.
func (w *writer) read(do func(view) error) error {
	limit, _ := w.tail()
	return w.storage.view(func(s snapshot) error { return do(view{snapshot: s, limit: limit}) })
}
