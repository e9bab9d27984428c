package messaging

import (
	"context"
	"fmt"
	"sync"

	"github.com/ThreeDotsLabs/watermill/message"

	"daybook/internal/eventstore"
)

// Subscriber delivers stored events. It implements message.Subscriber and is
// safe for concurrent use.
type Subscriber struct {
	client *eventstore.Client
	config SubscriberConfig

	lifetime context.Context
	end      context.CancelFunc

	mu     sync.Mutex
	topics map[string]*subscription // the newest of each topic
	work   sync.WaitGroup
}

// NewSubscriber checks the configuration. It does no I/O.
func NewSubscriber(client *eventstore.Client, config SubscriberConfig) (*Subscriber, error) {
	if err := config.validate(); err != nil {
		return nil, err
	}
	s := &Subscriber{client: client, config: config.withDefaults(), topics: map[string]*subscription{}}
	s.lifetime, s.end = context.WithCancel(context.Background())
	return s, nil
}

// Subscribe delivers the topic's events until ctx or the Subscriber ends, and
// then closes the channel. It returns at once; connecting, and reconnecting,
// goes on behind it, and Status tells how. Message contexts keep ctx's values.
func (s *Subscriber) Subscribe(ctx context.Context, topic string) (<-chan *message.Message, error) {
	target, err := s.config.Target(topic)
	if err != nil {
		return nil, fmt.Errorf("subscribe: %w", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.lifetime.Err() != nil {
		return nil, ErrClosed
	}
	sub := newSubscription(ctx, s, topic, target)
	s.topics[topic] = sub
	s.work.Go(sub.run)
	return sub.output, nil
}

// Close ends all subscriptions and returns when their channels are closed, at
// the latest after Config.DrainTimeout and a last checkpoint. It may be called
// more than once, also at the same time.
func (s *Subscriber) Close() error {
	s.mu.Lock()
	s.end()
	s.mu.Unlock()
	s.work.Wait()
	return nil
}
