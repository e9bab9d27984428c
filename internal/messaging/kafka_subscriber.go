package messaging

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"
)

// KafkaSubscriberConfig says what a KafkaSubscriber delivers, and how.
type KafkaSubscriberConfig struct {
	Kafka Kafka

	// Group shares the partitions of a topic among subscribers of the same
	// group and remembers what was acked. Empty: every subscriber gets all
	// records from the first, and nothing is remembered.
	Group string
	// CommitInterval is how often acks are saved; after a crash the acks of
	// such a time come again. Default 100 ms.
	CommitInterval time.Duration
	// Heartbeat decides how soon a change in the group is noticed. Default
	// 3 s.
	Heartbeat time.Duration
	// Session is how soon a dead member's partitions go to others. Default
	// 30 s; brokers take 6 s at least.
	Session time.Duration
	// JoinBackoff is the pause after a failed join. Default 1 s.
	JoinBackoff time.Duration

	// NackBackoff, MaxNackBackoff and DrainTimeout are as in
	// SubscriberConfig. DrainTimeout must be shorter than Session.
	NackBackoff, MaxNackBackoff, DrainTimeout time.Duration
}

func (c KafkaSubscriberConfig) withDefaults() KafkaSubscriberConfig {
	for d, standard := range map[*time.Duration]time.Duration{
		&c.CommitInterval: 100 * time.Millisecond, &c.Heartbeat: 3 * time.Second,
		&c.Session: 30 * time.Second, &c.JoinBackoff: time.Second,
		&c.NackBackoff: 100 * time.Millisecond, &c.MaxNackBackoff: 30 * time.Second,
		&c.DrainTimeout: 10 * time.Second,
	} {
		if *d == 0 {
			*d = standard
		}
	}
	c.MaxNackBackoff = max(c.MaxNackBackoff, c.NackBackoff)
	return c
}

func (c KafkaSubscriberConfig) validate() error {
	for _, d := range []time.Duration{c.CommitInterval, c.Heartbeat, c.Session, c.JoinBackoff, c.NackBackoff, c.MaxNackBackoff, c.DrainTimeout} {
		if d < 0 {
			return errors.New("kafka subscriber: a duration is negative")
		}
	}
	if c.DrainTimeout >= c.Session {
		return errors.New("kafka subscriber: draining must be shorter than the session")
	}
	return nil
}

// KafkaSubscriber delivers the records of Kafka topics. Each partition has one
// message in hand at a time, so that order within a partition, and so by key,
// is kept. It implements message.Subscriber and is safe for concurrent use.
type KafkaSubscriber struct {
	config KafkaSubscriberConfig

	lifetime context.Context
	end      context.CancelFunc

	mu   sync.Mutex
	work sync.WaitGroup
}

// NewKafkaSubscriber checks the configuration. It does no I/O.
func NewKafkaSubscriber(config KafkaSubscriberConfig) (*KafkaSubscriber, error) {
	config = config.withDefaults()
	if err := config.validate(); err != nil {
		return nil, err
	}
	var err error
	if config.Kafka, err = config.Kafka.withDefaults(); err != nil {
		return nil, err
	}
	s := &KafkaSubscriber{config: config}
	s.lifetime, s.end = context.WithCancel(context.Background())
	return s, nil
}

// Subscribe delivers the topic's records until ctx or the subscriber ends, and
// then closes the channel. It returns at once; connecting goes on behind it.
func (s *KafkaSubscriber) Subscribe(ctx context.Context, topic string) (<-chan *message.Message, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.lifetime.Err() != nil {
		return nil, ErrClosed
	}
	sub := newKafkaSubscription(ctx, s, topic)
	s.work.Go(sub.run)
	return sub.output, nil
}

// SubscribeInitialize makes the topic if Kafka.Topic says how; else it fails
// when there is none. It implements message.SubscribeInitializer.
func (s *KafkaSubscriber) SubscribeInitialize(topic string) error {
	return s.config.Kafka.ensureTopic(s.lifetime, topic)
}

// Close ends all subscriptions, saves what was acked and leaves the group. It
// returns when the channels are closed, and may be called more than once.
func (s *KafkaSubscriber) Close() error {
	s.mu.Lock()
	s.end()
	s.mu.Unlock()
	s.work.Wait()
	return nil
}
