package messaging

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/segmentio/kafka-go"
)

// KafkaPublisherConfig says where messages go.
type KafkaPublisherConfig struct {
	Kafka Kafka
	// Key names the key of a message; messages of one key and topic keep
	// their order. Nil, or an empty key: any partition.
	Key func(topic string, m *message.Message) string
}

// KafkaPublisher writes messages to Kafka. It implements message.Publisher and
// is safe for concurrent use.
type KafkaPublisher struct {
	config    KafkaPublisherConfig
	transport *kafka.Transport
	writer    *kafka.Writer
	closed    atomic.Bool
	// topics are those that are known to exist.
	topics sync.Map
}

// NewKafkaPublisher checks the configuration. It does no I/O.
func NewKafkaPublisher(config KafkaPublisherConfig) (*KafkaPublisher, error) {
	var err error
	if config.Kafka, err = config.Kafka.withDefaults(); err != nil {
		return nil, err
	}
	if config.Key == nil {
		config.Key = func(string, *message.Message) string { return "" }
	}
	transport := config.Kafka.transport()
	return &KafkaPublisher{config: config, transport: transport, writer: &kafka.Writer{
		Addr: kafka.TCP(config.Kafka.Brokers...), Transport: transport,
		// Java's partitioner, so that others who write the topic agree.
		Balancer: kafka.Murmur2Balancer{},
		// kafka-go's default is none: losses would pass unseen.
		RequiredAcks: kafka.RequireAll,
		// How long a write waits for others to go with it; the default is 1 s.
		BatchTimeout: 2 * time.Millisecond,
	}}, nil
}

// Publish returns when all in-sync replicas have the messages. kafka-go has no
// idempotent producer: a lost answer makes it write a message twice, so that
// consumers must know repeated messages by their UUID. After an error some of
// the messages may have been written. The context of the first bounds all.
func (p *KafkaPublisher) Publish(topic string, messages ...*message.Message) error {
	if p.closed.Load() {
		return ErrClosed
	}
	if len(messages) == 0 {
		return nil
	}
	ctx := messages[0].Context()
	if err := p.ensureTopic(ctx, topic); err != nil {
		return fmt.Errorf("publish to kafka: %w", err)
	}
	records := make([]kafka.Message, len(messages))
	for i, m := range messages {
		var key []byte // an empty key would be one and the same partition
		if name := p.config.Key(topic, m); name != "" {
			key = []byte(name)
		}
		records[i] = kafkaMessage(topic, key, m)
	}
	if err := p.write(ctx, records); err != nil {
		return fmt.Errorf("publish to kafka topic %s: %w", topic, err)
	}
	return nil
}

// topicPatience is how long a new topic may take to become known everywhere.
const topicPatience = 5 * time.Second

// write repeats what failed because the topic is not known yet: then nothing
// was written. It differs from kafka.WriteErrors, which has an error for each
// message and which the Writer has repeated by itself already.
func (p *KafkaPublisher) write(ctx context.Context, records []kafka.Message) error {
	pauses := pauses(5*time.Millisecond, 500*time.Millisecond)
	for start := time.Now(); ; {
		err := p.writer.WriteMessages(ctx, records...)
		code, unwritten := errors.AsType[kafka.Error](err)
		if !unwritten || code != kafka.UnknownTopicOrPartition || time.Since(start) > topicPatience || ctx.Err() != nil {
			return err
		}
		sleep(ctx, pauses.NextBackOff())
	}
}

// ensureTopic makes a topic before the first message to it.
func (p *KafkaPublisher) ensureTopic(ctx context.Context, topic string) error {
	if _, known := p.topics.Load(topic); known || p.config.Kafka.Topic == nil {
		return nil
	}
	if err := p.config.Kafka.ensureTopic(ctx, topic); err != nil {
		return err
	}
	p.topics.Store(topic, nil)
	return nil
}

// Close waits for what is being written. It may be called more than once.
func (p *KafkaPublisher) Close() error {
	if p.closed.Swap(true) {
		return nil
	}
	err := p.writer.Close()
	p.transport.CloseIdleConnections()
	if err != nil {
		return fmt.Errorf("close kafka publisher: %w", err)
	}
	return nil
}
