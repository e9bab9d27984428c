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

	"daybook/internal/pause"
)

// KafkaPublisherConfig names the brokers and what keeps messages in order.
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
		BatchSize:    pieceMessages, BatchBytes: 2 * pieceBytes,
		// The default of 10 takes many seconds that no context ends; callers
		// try again anyway.
		MaxAttempts: 3,
	}}, nil
}

// Publish returns when all in-sync replicas have the messages. kafka-go has no
// idempotent producer: a lost answer makes it write a message twice, so that
// consumers must know repeated messages by their UUID. After an error some of
// the messages may have been written, but of each key none before those that
// precede it: publishing all again keeps the order of the first of each. The
// context of the first bounds all.
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
	for _, piece := range pieces(records) {
		if err := p.write(ctx, piece); err != nil {
			p.topics.Delete(topic) // somebody may have deleted it
			return fmt.Errorf("publish to kafka topic %s: %w", topic, err)
		}
	}
	return nil
}

// A piece is what one write may hold. The Writer makes one record batch of it
// for each partition, which Kafka appends whole or not at all. Of more than one
// batch it would write the second also when the first has failed.
const (
	pieceMessages = 500
	pieceBytes    = 512 << 10 // brokers take 1 MiB
)

func pieces(records []kafka.Message) (cut [][]kafka.Message) {
	start, size := 0, 0
	for i, record := range records {
		more := sizeOf(record)
		if i > start && (i-start == pieceMessages || size+more > pieceBytes) {
			cut = append(cut, records[start:i])
			start, size = i, 0
		}
		size += more
	}
	return append(cut, records[start:])
}

// sizeOf is not less than what the Writer counts, in bytes.
func sizeOf(record kafka.Message) int {
	size := 64 + len(record.Key) + len(record.Value)
	for _, header := range record.Headers {
		size += 16 + len(header.Key) + len(header.Value)
	}
	return size
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
		pause.For(ctx, pauses.NextBackOff())
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

// closePatience is how long Close waits for writes that were given up.
const closePatience = time.Second

// Close waits for what is being written, for a second at most: kafka-go has no
// way to end a write to a broker that does not answer, which ends by itself
// later. It may be called more than once.
func (p *KafkaPublisher) Close() error {
	if p.closed.Swap(true) {
		return nil
	}
	closed := make(chan error, 1)
	go func() {
		err := p.writer.Close()
		p.transport.CloseIdleConnections()
		closed <- err
	}()
	var err error
	select {
	case err = <-closed:
	case <-time.After(closePatience):
		err = errors.New("a broker does not answer")
	}
	if err != nil {
		return fmt.Errorf("close kafka publisher: %w", err)
	}
	return nil
}
