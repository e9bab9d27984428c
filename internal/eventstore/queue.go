package eventstore

import (
	"context"
	"sync"
)

// queue is a first-in-first-out buffer for one writer and one reader. It is
// bounded by bytes, so that a slow reader costs no memory: the writer waits,
// and gRPC's flow control makes the server wait.
type queue struct {
	limit  int
	filled chan struct{}
	drawn  chan struct{}
	failed chan struct{}

	mu    sync.Mutex
	items []Item
	sizes []int
	bytes int
	err   error
}

func newQueue(limit int) *queue {
	return &queue{
		limit: limit, filled: make(chan struct{}, 1), drawn: make(chan struct{}, 1),
		failed: make(chan struct{}),
	}
}

// push waits for room. One item always finds room, however big.
func (q *queue) push(ctx context.Context, item Item, size int) error {
	for !q.tryPush(item, size) {
		select {
		case <-q.drawn:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	signal(q.filled)
	return nil
}

func (q *queue) tryPush(item Item, size int) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.bytes > 0 && q.bytes+size > q.limit {
		return false
	}
	q.items, q.sizes, q.bytes = append(q.items, item), append(q.sizes, size), q.bytes+size
	return true
}

// fail ends the queue: after what is in it comes err.
func (q *queue) fail(err error) {
	q.mu.Lock()
	q.err = err
	q.mu.Unlock()
	close(q.failed)
}

// pop waits for an item and takes up to limit.
func (q *queue) pop(ctx context.Context, limit int) ([]Item, error) {
	for {
		items, err := q.tryPop(limit)
		if len(items) > 0 || err != nil {
			return items, err
		}
		select {
		case <-q.filled:
		case <-q.failed:
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
}

func (q *queue) tryPop(limit int) ([]Item, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	count := min(limit, len(q.items))
	if count == 0 {
		return nil, q.err
	}
	taken := q.items[:count:count]
	for _, size := range q.sizes[:count] {
		q.bytes -= size
	}
	q.items, q.sizes = q.items[count:], q.sizes[count:]
	signal(q.drawn)
	return taken, nil
}

func signal(c chan<- struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

func (q *queue) length() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return len(q.items)
}
