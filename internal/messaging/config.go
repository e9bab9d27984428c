package messaging

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"daybook/domain"
)

// All is the topic of the events of all own streams.
const All = "$all"

// Target is what a topic stands for: one stream, or all own streams.
type Target struct {
	// Stream is the name of one stream. Positions of such a topic are
	// revisions of the stream.
	Stream string
	// All means all own streams. Positions of such a topic are commit
	// positions of the store.
	All bool
	// Prefixes narrow All to streams whose names begin with one of them.
	Prefixes []string
}

// defaultTarget is Target of a topic when Config.Target is nil.
func defaultTarget(topic string) (Target, error) {
	if topic == All {
		return Target{All: true}, nil
	}
	if topic == "" || strings.HasPrefix(topic, "$") {
		return Target{}, fmt.Errorf("topic %q is no stream of ours", topic)
	}
	return Target{Stream: topic}, nil
}

// SubscriberConfig says what a Subscriber delivers, and how.
type SubscriberConfig struct {
	// Target maps topics. Nil: All is all own streams, every other topic is
	// the stream of that name.
	Target func(topic string) (Target, error)

	// Batch makes one message of all events that have come, at most MaxBatch
	// (default 1000). Read them with BatchFromContext.
	Batch    bool
	MaxBatch int

	// Lanes, when more than one, has events handled side by side in event mode:
	// those of one key one after the other, those of others meanwhile. A nacked
	// message holds up its lane only, until Window events lie between it and the
	// newest. Positions, of Checkpoint too, are those below which everything is
	// acked: what was acked beyond comes again after a restart or a lost
	// connection.
	Lanes int
	// Key says which events stay in order. Nil: those of one stream.
	Key func(event domain.Stored) string
	// Window bounds how many events may be out, waiting or done, behind the first
	// that is not acked. Default 1000.
	Window int

	// Prepare, when set, is called in batch mode with events that will be
	// delivered next, in their order, while the message before is still in a
	// handler's hands: what needs no transaction, such as decoding, is then done
	// when their message comes. It is a head start and no more: what it could not
	// do is left to the handler. It is called by one goroutine at a time; ctx ends
	// with the subscription or its connection.
	Prepare func(ctx context.Context, events []domain.Stored)

	// Start says behind which position to begin; found is false when there is
	// no checkpoint, which means from the start. It is called whenever a topic
	// is subscribed to, also after a lost connection, and may block, as for a
	// lease. Its ctx ends when the run that begins with it is over, its last
	// checkpoint saved, so that a lease can be given back by
	// context.AfterFunc. An error is tried again. Nil means from the start,
	// and after a lost connection behind the last ack.
	Start func(ctx context.Context, topic string) (after uint64, found bool, err error)

	// Checkpoint, when set, saves a position after the ack, for consumers that
	// do not save it with their own work. A failure is logged; a later ack
	// makes up for it.
	Checkpoint func(ctx context.Context, topic string, position uint64) error

	// NackBackoff is the first pause before a nacked message comes again; it
	// doubles up to MaxNackBackoff and is jittered by half. Defaults 100 ms
	// and 30 s.
	NackBackoff, MaxNackBackoff time.Duration
	// RetryBackoff is the like for subscribing again. Defaults 50 ms and 5 s.
	RetryBackoff, MaxRetryBackoff time.Duration
	// DrainTimeout is how long a handler may go on with its message when the
	// subscription ends. Default 10 s.
	DrainTimeout time.Duration

	// Logger gets lost connections, failing starts and checkpoints, and nacks.
	// Nil means silence.
	Logger *slog.Logger
}

func (c SubscriberConfig) withDefaults() SubscriberConfig {
	if c.Target == nil {
		c.Target = defaultTarget
	}
	if c.MaxBatch == 0 {
		c.MaxBatch = 1000
	}
	if !c.Batch {
		c.MaxBatch = 1
	}
	if c.Key == nil {
		c.Key = func(event domain.Stored) string { return event.Stream }
	}
	c.Window = cmp.Or(c.Window, 1000)
	for d, standard := range map[*time.Duration]time.Duration{
		&c.NackBackoff: 100 * time.Millisecond, &c.MaxNackBackoff: 30 * time.Second,
		&c.RetryBackoff: 50 * time.Millisecond, &c.MaxRetryBackoff: 5 * time.Second,
		&c.DrainTimeout: 10 * time.Second,
	} {
		if *d == 0 {
			*d = standard
		}
	}
	c.MaxNackBackoff = max(c.MaxNackBackoff, c.NackBackoff)
	c.MaxRetryBackoff = max(c.MaxRetryBackoff, c.RetryBackoff)
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	return c
}

func (c SubscriberConfig) validate() error {
	if c.MaxBatch < 0 || c.Lanes < 0 || c.Window < 0 {
		return fmt.Errorf("subscriber: batches of %d events, %d lanes, a window of %d", c.MaxBatch, c.Lanes, c.Window)
	}
	if c.Lanes > 1 && c.Batch {
		return errors.New("subscriber: batches have no lanes")
	}
	if c.Prepare != nil && !c.Batch {
		return errors.New("subscriber: only batches can be prepared")
	}
	for _, d := range []time.Duration{c.NackBackoff, c.MaxNackBackoff, c.RetryBackoff, c.MaxRetryBackoff, c.DrainTimeout} {
		if d < 0 {
			return errors.New("subscriber: a duration is negative")
		}
	}
	return nil
}
