package messaging

import (
	"context"
	"sync"

	"daybook/domain"
	"daybook/internal/eventstore"
)

// source is where a subscription gets its items from.
type source interface {
	NextBatch(ctx context.Context, limit int) ([]eventstore.Item, error)
	Buffered() int
}

// headStart reads ahead of the handler, at most limit items, and has them
// prepared. What came while the handler was busy is given out together, so that
// batches adapt as without it.
type headStart struct {
	source  source
	limit   int
	prepare func(ctx context.Context, events []domain.Stored)

	filled chan struct{}
	drawn  chan struct{}
	failed chan struct{}

	mu    sync.Mutex
	ready []eventstore.Item
	err   error
}

func newHeadStart(s source, limit int, prepare func(ctx context.Context, events []domain.Stored)) *headStart {
	return &headStart{
		source: s, limit: limit, prepare: prepare,
		filled: make(chan struct{}, 1), drawn: make(chan struct{}, 1), failed: make(chan struct{}),
	}
}

// run reads until the source or ctx ends.
func (h *headStart) run(ctx context.Context) {
	defer close(h.failed)
	for {
		room, err := h.room(ctx)
		if err == nil {
			var items []eventstore.Item
			if items, err = h.source.NextBatch(ctx, room); err == nil {
				h.put(ctx, items)
				continue
			}
		}
		h.mu.Lock()
		h.err = err
		h.mu.Unlock()
		return
	}
}

// room waits until there is room for more items and returns for how many.
func (h *headStart) room(ctx context.Context) (room int, err error) {
	for {
		h.mu.Lock()
		room = h.limit - len(h.ready)
		h.mu.Unlock()
		if room > 0 {
			return room, nil
		}
		select {
		case <-h.drawn:
		case <-ctx.Done():
			return 0, context.Cause(ctx)
		}
	}
}

func (h *headStart) put(ctx context.Context, items []eventstore.Item) {
	events := make([]domain.Stored, 0, len(items))
	for _, item := range items {
		if item.Event != nil {
			events = append(events, *item.Event)
		}
	}
	if len(events) > 0 {
		h.prepare(ctx, events)
	}
	h.mu.Lock()
	h.ready = append(h.ready, items...)
	h.mu.Unlock()
	signal(h.filled)
}

// NextBatch waits for an item and returns it with all others that are ready.
func (h *headStart) NextBatch(ctx context.Context, limit int) ([]eventstore.Item, error) {
	for {
		items, err := h.take(limit)
		if len(items) > 0 || err != nil {
			return items, err
		}
		select {
		case <-h.filled:
		case <-h.failed:
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
}

func (h *headStart) take(limit int) ([]eventstore.Item, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	count := min(limit, len(h.ready))
	if count == 0 {
		return nil, h.err
	}
	items := h.ready[:count:count]
	h.ready = h.ready[count:]
	signal(h.drawn)
	return items, nil
}

// Buffered returns how many items have come and were not taken yet, apart from
// those that are being prepared just now.
func (h *headStart) Buffered() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.ready) + h.source.Buffered()
}

func signal(c chan<- struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}
