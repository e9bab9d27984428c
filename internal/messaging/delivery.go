package messaging

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/cenkalti/backoff/v5"

	"daybook/internal/pause"
)

// errEnding says that the subscription ended before the message was acked.
var errEnding = errors.New("subscription ends")

// delivery hands messages to a handler, one at a time.
type delivery struct {
	output chan<- *message.Message
	// ending is done when no new message may be handed out, closing when the one
	// in hand is waited for no longer than drain. Often they are the same.
	ending, closing context.Context
	// first and most are the pauses after nacks.
	first, most time.Duration
	// drain is for how long a message in hand is waited for after closing.
	drain  time.Duration
	log    *slog.Logger
	nacked func()
}

// deliver hands a message out until it is acked: a new one with each try,
// because a message can be acked or nacked only once. Its context is over when
// this returns; it outlives closing by drain, so that a handler can finish what
// it has begun.
func (d delivery) deliver(ctx context.Context, create func() *message.Message) error {
	pauses := pauses(d.first, d.most)
	for try := 1; ; try++ {
		m := create()
		acked, err := d.handOut(ctx, m)
		if acked || err != nil {
			return err
		}
		wait := pauses.NextBackOff()
		d.nacked()
		d.log.Warn("message nacked", slog.String("message", m.UUID), slog.Int("try", try), slog.Duration("pause", wait))
		pause.For(d.ending, wait)
	}
}

// handOut offers the message and waits for its ack or nack.
func (d delivery) handOut(ctx context.Context, m *message.Message) (acked bool, err error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	m.SetContext(ctx)
	if d.ending.Err() != nil {
		return false, errEnding
	}
	select {
	case d.output <- m:
	case <-d.ending.Done():
		return false, errEnding
	}
	select {
	case <-m.Acked():
		return true, nil
	case <-m.Nacked():
		return false, nil
	case <-d.closing.Done():
	}
	select {
	case <-m.Acked():
		return true, nil
	case <-m.Nacked():
	case <-time.After(d.drain):
	}
	return false, errEnding
}

// pauses grow from the first to at most the second, jittered by half.
func pauses(first, most time.Duration) *backoff.ExponentialBackOff {
	b := &backoff.ExponentialBackOff{
		InitialInterval: first, MaxInterval: most, RandomizationFactor: 0.5, Multiplier: 2,
	}
	b.Reset()
	return b
}
