package messaging

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"

	"daybook/domain"
	"daybook/internal/eventstore"
	"daybook/internal/pause"
)

// subscription is one call of Subscribe.
type subscription struct {
	config SubscriberConfig
	client *eventstore.Client
	topic  string
	target Target
	log    *slog.Logger
	output chan *message.Message

	// values carries what message contexts inherit; running ends the work.
	values  context.Context
	running context.Context
	stop    func()
	health  health
}

func newSubscription(ctx context.Context, s *Subscriber, topic string, target Target) *subscription {
	running, cancel := context.WithCancel(ctx)
	detach := context.AfterFunc(s.lifetime, cancel)
	return &subscription{
		config: s.config, client: s.client, topic: topic, target: target,
		log:    s.config.Logger.With(slog.String("topic", topic)),
		output: make(chan *message.Message),
		values: context.WithoutCancel(ctx), running: running,
		stop:   func() { detach(); cancel() },
		health: health{since: time.Now(), status: Status{Since: time.Now()}},
	}
}

// run subscribes again and again until the subscription ends.
func (s *subscription) run() {
	defer close(s.output)
	defer s.stop()
	pauses := pauses(s.config.RetryBackoff, s.config.MaxRetryBackoff)
	for s.running.Err() == nil {
		acked := s.health.acks()
		err := s.runOnce()
		s.health.disconnected(err)
		if s.running.Err() != nil {
			return
		}
		if s.health.acks() > acked {
			pauses.Reset()
		}
		wait := pauses.NextBackOff()
		s.log.Warn("subscription interrupted", slog.Any("error", err), slog.Duration("pause", wait))
		pause.For(s.running, wait)
	}
}

// runOnce subscribes behind the checkpoint and delivers until the connection
// is lost or the subscription ends.
func (s *subscription) runOnce() error {
	after, found, release, err := s.start()
	defer release()
	if err != nil {
		return fmt.Errorf("start: %w", err)
	}
	events, err := s.open(s.running, after, found)
	if err != nil {
		return err
	}
	defer events.Close()
	s.health.connected()
	if s.config.Lanes > 1 {
		return newLanes(s, events).run()
	}
	source, stop := s.readAhead(events)
	defer stop()
	for {
		items, err := source.NextBatch(s.running, s.config.MaxBatch)
		if err != nil {
			return err
		}
		if err := s.handle(source, items); err != nil {
			return err
		}
	}
}

// readAhead gives what is to be prepared its head start. stop ends it.
func (s *subscription) readAhead(events source) (_ source, stop func()) {
	if s.config.Prepare == nil {
		return events, func() {}
	}
	ahead := newHeadStart(events, s.config.MaxBatch, s.config.Prepare)
	ctx, cancel := context.WithCancel(s.running)
	go ahead.run(ctx)
	return ahead, func() {
		cancel()
		<-ahead.failed
	}
}

// start asks where to begin. While it asks, the end of the subscription ends
// Config.Start; after that a lease is kept until release, because the message
// in hand may still be drained and its checkpoint saved.
func (s *subscription) start() (after uint64, found bool, release context.CancelFunc, err error) {
	if s.config.Start == nil {
		after, found = s.health.position()
		return after, found, func() {}, nil
	}
	ctx, release := context.WithCancel(context.WithoutCancel(s.running))
	attached := context.AfterFunc(s.running, release)
	after, found, err = s.config.Start(ctx, s.topic)
	attached()
	return after, found, release, err
}

func (s *subscription) open(ctx context.Context, after uint64, found bool) (*eventstore.Subscription, error) {
	if s.target.All {
		if !found {
			after = 0
		}
		return s.client.Subscribe(ctx, after, s.target.Prefixes...)
	}
	revision := domain.NoStream
	if found {
		revision = int64(after)
	}
	return s.client.SubscribeStream(ctx, s.target.Stream, revision)
}

// handle delivers the events among the items, which in event mode is one.
func (s *subscription) handle(source source, items []eventstore.Item) error {
	batch := Batch{Events: make([]domain.Stored, 0, len(items))}
	var considered uint64
	live := s.health.isLive()
	for _, item := range items {
		switch {
		case item.Event != nil:
			batch.Events, considered = append(batch.Events, *item.Event), 0
		case item.Checkpoint != 0:
			considered = item.Checkpoint
		default:
			live = item.CaughtUp
		}
	}
	if len(batch.Events) > 0 {
		s.health.received()
		batch.CaughtUp = live && source.Buffered() == 0
		if err := s.deliver(s.running, batch); err != nil {
			return err
		}
		s.acked(s.position(batch.Events[len(batch.Events)-1]))
	}
	if considered != 0 {
		s.acked(considered)
	}
	s.health.handled(live, source.Buffered() == 0)
	return nil
}

// deliver hands the batch out until it is acked, or not again after ending.
func (s *subscription) deliver(ending context.Context, batch Batch) error {
	ctx := context.WithValue(s.values, batchKey{}, batch)
	if !s.config.Batch {
		ctx = context.WithValue(ctx, eventKey{}, batch.Events[0])
	}
	d := delivery{
		output: s.output, ending: ending, closing: s.running, first: s.config.NackBackoff, most: s.config.MaxNackBackoff,
		drain: s.config.DrainTimeout, log: s.log, nacked: s.health.nacked,
	}
	return d.deliver(ctx, func() *message.Message { return newMessage(batch, s.config.Batch) })
}

func (s *subscription) position(event domain.Stored) uint64 {
	if s.target.All {
		return event.Position
	}
	return uint64(event.Revision)
}

func (s *subscription) acked(position uint64) {
	s.health.acked(position)
	s.save(position)
}

// save saves a position. It does so also while the subscription ends: the work is
// done and must not be repeated without need.
func (s *subscription) save(position uint64) {
	if s.config.Checkpoint == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(s.running), s.config.DrainTimeout)
	defer cancel()
	if err := s.config.Checkpoint(ctx, s.topic, position); err != nil {
		s.log.Error("checkpoint not saved", slog.Uint64("position", position), slog.Any("error", err))
	}
}
