package messaging

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"
)

// errEnding says that the subscription ended before the message was acked.
var errEnding = errors.New("subscription ends")

// deliver hands the batch out until it is acked.
func (s *subscription) deliver(batch Batch) error {
	pauses := pauses(s.config.NackBackoff, s.config.MaxNackBackoff)
	for try := 1; ; try++ {
		acked, err := s.handOut(batch)
		if acked || err != nil {
			return err
		}
		pause := pauses.NextBackOff()
		s.health.nacked()
		s.log.Warn("message nacked", slog.Uint64("position", s.position(batch)), slog.Int("try", try),
			slog.Duration("pause", pause))
		s.sleep(pause)
	}
}

// handOut offers the batch as one message and waits for its ack or nack. The
// message's context ends then; it outlives the subscription's own end by
// DrainTimeout, so that a handler can finish what it has begun.
func (s *subscription) handOut(batch Batch) (acked bool, err error) {
	m := newMessage(batch, s.config.Batch)
	ctx, cancel := context.WithCancel(context.WithValue(s.values, batchKey{}, batch))
	defer cancel()
	if !s.config.Batch {
		ctx = context.WithValue(ctx, eventKey{}, batch.Events[0])
	}
	m.SetContext(ctx)
	if s.running.Err() != nil {
		return false, errEnding
	}
	select {
	case s.output <- m:
	case <-s.running.Done():
		return false, errEnding
	}
	select {
	case <-m.Acked():
		return true, nil
	case <-m.Nacked():
		return false, nil
	case <-s.running.Done():
		return s.drain(m)
	}
}

func (s *subscription) drain(m *message.Message) (acked bool, err error) {
	select {
	case <-m.Acked():
		return true, nil
	case <-m.Nacked():
		return false, errEnding
	case <-time.After(s.config.DrainTimeout):
		return false, errEnding
	}
}
