package eventstore

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"

	"daybook/domain"
)

// Item is one thing a subscription has to say; one of its fields is set.
type Item struct {
	// Event is the next event.
	Event *domain.Stored
	// Checkpoint, when not 0, is a position up to which everything was
	// considered, though nothing was wanted: a good place to resume from.
	Checkpoint uint64
	// CaughtUp says that all that is in the store now has been delivered.
	CaughtUp bool
	// FellBehind says that this is no longer so.
	FellBehind bool
}

// Subscription delivers events in commit order, first those in the store and
// then new ones as they come. It ends with its context, with Close, with the
// Client, or when the connection breaks: then subscribe again behind the last
// position.
type Subscription struct {
	queue  *queue
	cancel context.CancelCauseFunc
}

// errSubscriptionClosed is what Next returns after Close.
var errSubscriptionClosed = errors.New("subscription closed")

// Subscribe delivers the events of all own streams behind a position
// (exclusive; 0 means from the start), or of those whose plain names begin with
// one of the prefixes. The server does the sorting out. It tries once and
// returns when the server has confirmed, at the latest after
// Config.AttemptTimeout. ctx bounds the whole subscription.
func (c *Client) Subscribe(ctx context.Context, after uint64, prefixes ...string) (*Subscription, error) {
	options := esdb.SubscribeToAllOptions{
		From: position(after), Filter: c.filter(prefixes),
		// A checkpoint for every few hundred events that are not wanted.
		MaxSearchWindow: 500, CheckpointInterval: 1,
	}
	s, err := c.subscribe(ctx, OpSubscribe, func(ctx context.Context, client *esdb.Client) (*esdb.Subscription, error) {
		return client.SubscribeToAll(ctx, options)
	})
	if err != nil {
		return nil, fmt.Errorf("subscribe: %w", err)
	}
	return s, nil
}

// SubscribeStream delivers the events of one stream behind a revision
// (exclusive; domain.NoStream means from the start). The stream need not
// exist. For the rest see Subscribe.
func (c *Client) SubscribeStream(ctx context.Context, stream string, after int64) (*Subscription, error) {
	options := esdb.SubscribeToStreamOptions{From: esdb.Start{}}
	if after > domain.NoStream {
		options.From = esdb.Revision(uint64(after))
	}
	s, err := c.subscribe(ctx, OpSubscribeStream, func(ctx context.Context, client *esdb.Client) (*esdb.Subscription, error) {
		return client.SubscribeToStream(ctx, c.fullName(stream), options)
	})
	if err != nil {
		return nil, fmt.Errorf("subscribe to %s: %w", stream, err)
	}
	return s, nil
}

func (c *Client) subscribe(ctx context.Context, operation Operation, open func(context.Context, *esdb.Client) (*esdb.Subscription, error)) (_ *Subscription, err error) {
	start := time.Now()
	defer func() { c.config.Observe(ctx, operation, time.Since(start), err) }()
	conn, err := c.acquire()
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancelCause(ctx)
	stop := context.AfterFunc(c.lifetime, func() { cancel(ErrClosed) })
	s := &Subscription{queue: newQueue(c.config.BufferBytes), cancel: cancel}
	confirmed := make(chan struct{})
	go func() {
		defer conn.release()
		defer stop()
		defer cancel(errSubscriptionClosed)
		s.queue.fail(conn.enter(ctx, func(ctx context.Context, client *esdb.Client) error {
			subscription, err := open(ctx, client)
			if err != nil {
				return err
			}
			close(confirmed)
			return c.deliver(ctx, subscription, s.queue)
		}))
	}()
	if err := s.await(ctx, confirmed, c.config.AttemptTimeout); err != nil {
		if errors.Is(err, errNoAnswer) {
			conn.retire()
		}
		s.Close()
		return nil, err
	}
	return s, nil
}

// await waits for the server's confirmation.
func (s *Subscription) await(ctx context.Context, confirmed <-chan struct{}, patience time.Duration) error {
	select {
	case <-confirmed:
		return nil
	case <-s.queue.failed:
		_, err := s.queue.pop(ctx, 1)
		return err
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-time.After(patience):
		return fmt.Errorf("%w: %w", ErrUnavailable, errNoAnswer)
	}
}

// deliver moves what the official client says into the queue.
func (c *Client) deliver(ctx context.Context, subscription *esdb.Subscription, queue *queue) error {
	defer func() { _ = subscription.Close() }() // always nil
	for {
		said := subscription.Recv()
		if said.SubscriptionDropped != nil {
			return dropped(ctx, said.SubscriptionDropped.Error)
		}
		item, size, ok := c.item(said)
		if !ok {
			continue
		}
		if err := queue.push(ctx, item, size); err != nil {
			return err
		}
	}
}

func dropped(ctx context.Context, cause error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return fmt.Errorf("subscription dropped: %w", cause)
}

// itemOverhead is about what an event occupies besides its data.
const itemOverhead = 256

func (c *Client) item(said *esdb.SubscriptionEvent) (item Item, size int, ok bool) {
	switch {
	case said.CheckPointReached != nil:
		return Item{Checkpoint: said.CheckPointReached.Commit}, itemOverhead, true
	case said.CaughtUp != nil:
		return Item{CaughtUp: true}, itemOverhead, true
	case said.FellBehind != nil:
		return Item{FellBehind: true}, itemOverhead, true
	}
	event := said.EventAppeared.OriginalEvent()
	s, ok := c.stored(event)
	return Item{Event: &s}, itemOverhead + len(s.Data) + len(s.Metadata), ok
}

// Next waits for the next item. It is for one goroutine at a time.
func (s *Subscription) Next(ctx context.Context) (Item, error) {
	items, err := s.queue.pop(ctx, 1)
	if err != nil {
		return Item{}, err
	}
	return items[0], nil
}

// NextBatch waits for an item and returns it with what else has come already,
// at most limit items. It is for one goroutine at a time.
func (s *Subscription) NextBatch(ctx context.Context, limit int) ([]Item, error) {
	return s.queue.pop(ctx, max(limit, 1))
}

// Close ends the subscription. What was not taken is lost.
func (s *Subscription) Close() { s.cancel(errSubscriptionClosed) }

// Buffered returns how many items have come and were not taken yet.
func (s *Subscription) Buffered() int { return s.queue.length() }
