package relay

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/jackc/pgx/v5/pgxpool"

	"daybook/domain"
	"daybook/internal/messaging"
	"daybook/internal/postgres"
)

// CheckpointName is under which the relay's place is kept. It is never created
// here: a relay that guessed its place would publish a whole history, or lose one.
const CheckpointName = "reactor:relay"

// stride is how many events are published at a time, and so the most that come
// again when a broker fails in between.
const stride = 250

// Relay publishes the events of accounts. It is a Watermill handler for batch
// messages in commit order. Make it with New.
type Relay struct {
	config    Config
	pool      *pgxpool.Pool
	publisher *messaging.KafkaPublisher

	mu         sync.Mutex
	checkpoint postgres.Checkpoint
}

// New returns a relay that keeps its place in the database. It does no I/O.
func New(config Config, pool *pgxpool.Pool) (*Relay, error) {
	if err := config.validate(); err != nil {
		return nil, err
	}
	config.Kafka.Topic, config.Kafka.Logger = &topic, config.Logger
	publisher, err := messaging.NewKafkaPublisher(messaging.KafkaPublisherConfig{Kafka: config.Kafka, Key: keyOf})
	if err != nil {
		return nil, err
	}
	return &Relay{config: config, pool: pool, publisher: publisher}, nil
}

// Start makes this relay the owner of the checkpoint and returns the position
// after which its events begin. An error is postgres.ErrNoCheckpoint when there is
// none.
func (r *Relay) Start(ctx context.Context) (after uint64, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.checkpoint, err = postgres.TakeCheckpoint(ctx, r.pool, CheckpointName)
	return r.checkpoint.Position, err
}

// Ping returns nil if a broker answers.
func (r *Relay) Ping(ctx context.Context) error { return r.publisher.Ping(ctx) }

// Close gives the connections to the brokers back. The error is that of a write
// whose end was not waited for; what it was to write is not passed by the
// checkpoint.
func (r *Relay) Close() error { return r.publisher.Close() }

// Handle publishes the batch of the message.
func (r *Relay) Handle(msg *message.Message) error {
	return r.Publish(msg.Context(), messaging.BatchFromContext(msg.Context()).Events)
}

// Publish publishes what is public of an ordered batch and moves the checkpoint
// behind it. Events from before the checkpoint are passed over. After an error the
// checkpoint stands behind what was acknowledged, and publishing all again goes on
// from there. Errors are postgres.ErrNotOwner when another relay has started, those
// of domain.Decode, and those of brokers or a database that does not answer.
func (r *Relay) Publish(ctx context.Context, events []domain.Stored) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	err := r.publishAll(ctx, events)
	if errors.Is(err, postgres.ErrNotOwner) && r.resume(ctx) {
		err = r.publishAll(ctx, events)
	}
	if err != nil {
		return fmt.Errorf("relay to %s: %w", r.config.Topic, err)
	}
	return nil
}

func (r *Relay) publishAll(ctx context.Context, events []domain.Stored) error {
	for some := range slices.Chunk(r.ahead(events), stride) {
		if err := r.publish(ctx, some); err != nil {
			return err
		}
	}
	return nil
}

func (r *Relay) ahead(events []domain.Stored) []domain.Stored {
	for len(events) > 0 && events[0].Position <= r.checkpoint.Position {
		events = events[1:]
	}
	return events
}

// publish publishes what comes before the first event that cannot be encoded, and
// then tells of that one.
func (r *Relay) publish(ctx context.Context, events []domain.Stored) error {
	messages, good, unreadable := r.encodeAll(ctx, events)
	if good == 0 {
		return unreadable
	}
	if err := r.publisher.Publish(r.config.Topic, messages...); err != nil {
		return err
	}
	return errors.Join(r.advance(ctx, events[good-1].Position, good), unreadable)
}

func (r *Relay) encodeAll(ctx context.Context, events []domain.Stored) (messages []*message.Message, good int, err error) {
	for i, event := range events {
		m, err := r.encode(event)
		if err != nil {
			return messages, i, err
		}
		if m != nil {
			m.SetContext(ctx)
			messages = append(messages, m)
		}
	}
	return messages, len(events), nil
}

// advance moves the checkpoint without waiting for the disk: if a crash loses the
// move, the events are published once more.
func (r *Relay) advance(ctx context.Context, to uint64, events int) error {
	moved, err := r.checkpoint.AdvanceUnsynchronised(ctx, r.pool, to, events)
	r.checkpoint = moved
	return err
}

// resume finds the checkpoint where a commit left it whose answer was lost, and
// reports whether it is still this relay's.
func (r *Relay) resume(ctx context.Context) bool {
	found, owned := r.checkpoint.Resume(ctx, r.pool)
	moved := owned && found.Position != r.checkpoint.Position
	r.checkpoint = found
	return moved
}
