package messaging

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/segmentio/kafka-go"

	"daybook/internal/pause"
)

// kafkaSubscription is one call of KafkaSubscriber.Subscribe.
type kafkaSubscription struct {
	config KafkaSubscriberConfig
	topic  string
	log    *slog.Logger
	output chan *message.Message

	values  context.Context
	running context.Context
	stop    func()
}

func newKafkaSubscription(ctx context.Context, s *KafkaSubscriber, topic string) *kafkaSubscription {
	running, cancel := context.WithCancel(ctx)
	detach := context.AfterFunc(s.lifetime, cancel)
	return &kafkaSubscription{
		config: s.config, topic: topic,
		log:    s.config.Kafka.Logger.With(slog.String("topic", topic), slog.String("group", s.config.Group)),
		output: make(chan *message.Message),
		values: context.WithoutCancel(ctx), running: running,
		stop: func() { detach(); cancel() },
	}
}

func (s *kafkaSubscription) run() {
	defer close(s.output)
	defer s.stop()
	work := s.runGroup
	if s.config.Group == "" {
		work = s.runAll
	}
	pauses := pauses(50*time.Millisecond, 5*time.Second)
	for s.running.Err() == nil {
		err := s.config.Kafka.ensureTopic(s.running, s.topic)
		if err == nil {
			pauses.Reset()
			err = work()
		}
		if s.running.Err() == nil {
			s.log.Warn("kafka subscription interrupted", slog.Any("error", err))
			pause.For(s.running, pauses.NextBackOff())
		}
	}
}

// runAll reads every partition from its first record.
func (s *kafkaSubscription) runAll() error {
	partitions, err := s.config.Kafka.partitions(s.running, s.topic)
	if err != nil {
		return err
	}
	var work sync.WaitGroup
	for _, p := range partitions {
		work.Go(func() { s.consume(s.running, p.ID, kafka.FirstOffset, func(int64) {}) })
	}
	work.Wait()
	return s.running.Err()
}

// runGroup reads the partitions the group assigns, one generation of
// assignments after the other. kafka-go's Reader would do it in one queue for
// all partitions, which a slow message holds up, and would commit for
// partitions it has lost.
func (s *kafkaSubscription) runGroup() error {
	group, err := kafka.NewConsumerGroup(kafka.ConsumerGroupConfig{
		ID: s.config.Group, Brokers: s.config.Kafka.Brokers, Topics: []string{s.topic}, Dialer: s.config.Kafka.dialer(),
		HeartbeatInterval: s.config.Heartbeat, SessionTimeout: s.config.Session, RebalanceTimeout: s.config.Session,
		JoinGroupBackoff: s.config.JoinBackoff, StartOffset: kafka.FirstOffset, WatchPartitionChanges: true,
	})
	if err != nil {
		return fmt.Errorf("join group %s: %w", s.config.Group, err)
	}
	// Close waits for the functions of the generation, which drain and commit.
	defer func() { _ = group.Close() }() // leaving fails only if nobody notices
	for {
		generation, err := group.Next(s.running)
		switch {
		case s.running.Err() != nil:
			return s.running.Err()
		case err != nil:
			// It tries again by itself. Closing it now would leave a member
			// behind that others of the group wait for.
			s.log.Debug("kafka group not joined", slog.Any("error", err))
		default:
			s.start(generation)
		}
	}
}

func (s *kafkaSubscription) start(generation *kafka.Generation) {
	c := &commits{topic: s.topic, log: s.log, save: generation.CommitOffsets, pending: map[int]int64{}}
	generation.Start(func(ctx context.Context) { c.run(ctx, s.config.CommitInterval) })
	for _, assigned := range generation.Assignments[s.topic] {
		generation.Start(func(ctx context.Context) {
			ending, cancel := context.WithCancel(ctx)
			defer cancel()
			defer context.AfterFunc(s.running, cancel)()
			defer c.flush()
			s.consume(ending, assigned.ID, assigned.Offset, func(offset int64) { c.acked(assigned.ID, offset) })
		})
	}
}

// consume delivers a partition's records until ending.
func (s *kafkaSubscription) consume(ending context.Context, partition int, offset int64, acked func(offset int64)) {
	log := s.log.With(slog.Int("partition", partition))
	reader := kafka.NewReader(kafka.ReaderConfig{
		Brokers: s.config.Kafka.Brokers, Topic: s.topic, Partition: partition, Dialer: s.config.Kafka.dialer(),
		// MaxWait is also how long closing a reader takes.
		MinBytes: 1, MaxBytes: 10 << 20, MaxWait: 250 * time.Millisecond, ReadBackoffMin: 10 * time.Millisecond,
	})
	defer func() { _ = reader.Close() }() // it was only read from
	if err := reader.SetOffset(offset); err != nil {
		log.Error("kafka partition not read", slog.Int64("offset", offset), slog.Any("error", err))
		return
	}
	d := delivery{
		output: s.output, ending: ending, closing: ending, first: s.config.NackBackoff, most: s.config.MaxNackBackoff,
		drain: s.config.DrainTimeout, log: log, nacked: func() {},
	}
	for ending.Err() == nil {
		record, err := reader.FetchMessage(ending)
		if err != nil {
			// The reader reconnects by itself, with pauses of its own. Its errors
			// queue up before its records: a pause here for each would go on long
			// after the broker is back.
			log.Debug("kafka partition not read", slog.Any("error", err))
			continue
		}
		ctx := context.WithValue(s.values, kafkaRecordKey{}, KafkaRecord{
			record.Topic, record.Partition, record.Offset, record.Key, record.Time,
		})
		if d.deliver(ctx, func() *message.Message { return fromKafka(record) }) == nil {
			acked(record.Offset)
		}
	}
}

// commits gathers acks and saves them together: a commit for each would allow
// some hundred messages a second.
type commits struct {
	topic string
	log   *slog.Logger
	save  func(map[string]map[int]int64) error

	mu      sync.Mutex
	pending map[int]int64
}

// acked notes the last offset done of a partition.
func (c *commits) acked(partition int, offset int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.pending[partition] = offset + 1
}

func (c *commits) run(ctx context.Context, interval time.Duration) {
	tick := time.NewTicker(interval)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			c.flush()
		case <-ctx.Done():
			return
		}
	}
}

// flush saves what is pending. It keeps the lock meanwhile: of two commits the
// later must come later, or the group goes back.
func (c *commits) flush() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.pending) == 0 {
		return
	}
	if err := c.save(map[string]map[int]int64{c.topic: c.pending}); err != nil {
		c.log.Warn("kafka acks not saved", slog.Any("error", err))
		return
	}
	c.pending = map[int]int64{}
}
