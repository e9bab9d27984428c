package eventstore

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"time"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"
	"github.com/cenkalti/backoff/v5"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"daybook/internal/pause"
)

// errNoAnswer says that one try took longer than Config.AttemptTimeout.
var errNoAnswer = errors.New("no answer in time")

// attempt makes one round trip. It returns with ctx even if the official
// client does not; what the call yields then is dropped.
func attempt[T any](ctx context.Context, c *Client, operation Operation, call func(context.Context, *esdb.Client) (T, error)) (T, error) {
	type outcome struct {
		value T
		err   error
	}
	start := time.Now()
	conn, err := c.acquire()
	if err != nil {
		var none T
		return none, err
	}
	done := make(chan outcome, 1)
	go func() {
		defer conn.release()
		var o outcome
		o.err = conn.enter(ctx, func(ctx context.Context, client *esdb.Client) (err error) {
			o.value, err = call(ctx, client)
			return err
		})
		done <- o
	}()
	var o outcome
	select {
	case o = <-done:
	case <-ctx.Done():
		o.err = context.Cause(ctx)
	}
	if o.err != nil && errors.Is(context.Cause(ctx), errNoAnswer) {
		conn.retire()
	}
	c.config.Observe(ctx, operation, time.Since(start), o.err)
	return o.value, o.err
}

// tries decides whether and when a call is repeated.
type tries struct {
	client *Client
	pauses *backoff.ExponentialBackOff
	// giveUp bounds calls whose context has no deadline.
	giveUp  time.Time
	bounded bool
	doubts  int
}

func (c *Client) newTries(ctx context.Context) *tries {
	t := &tries{client: c, pauses: &backoff.ExponentialBackOff{
		InitialInterval: c.config.Backoff, MaxInterval: c.config.MaxBackoff,
		RandomizationFactor: 0.5, Multiplier: 2,
	}}
	_, t.bounded = ctx.Deadline()
	t.progress()
	return t
}

// progress starts the patience afresh.
func (t *tries) progress() {
	t.doubts = 0
	t.giveUp = time.Now().Add(t.client.config.Timeout)
	t.pauses.Reset()
}

// limit bounds one try.
func (t *tries) limit(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeoutCause(ctx, t.client.config.AttemptTimeout, errNoAnswer)
}

// again returns nil when the failed try is to be repeated, after the pause; or
// the error for the caller.
func (t *tries) again(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return ended(ctx, err)
	}
	switch hope := judge(err); {
	case errors.Is(err, errReplaced):
		return nil
	case hope == hopeless, hope == doubtful && t.doubts >= maxDoubts:
		return err
	case hope == doubtful:
		t.doubts++
	}
	wait := t.pauses.NextBackOff()
	if !t.bounded && time.Now().Add(wait).After(t.giveUp) {
		return fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	t.client.config.Logger.Debug("event store call repeated", slog.Duration("pause", wait), slog.Any("error", err))
	if !pause.For(ctx, wait) {
		return ended(ctx, err)
	}
	return nil
}

// ended says why the context of a call that kept failing is over.
func ended(ctx context.Context, last error) error {
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return fmt.Errorf("%w: %w: %w", ErrUnavailable, context.DeadlineExceeded, last)
	}
	return context.Cause(ctx)
}

// repeat runs try until it succeeds, fails for good, or the time is up.
func (c *Client) repeat(ctx context.Context, try func(context.Context) error) error {
	ctx, done := c.within(ctx)
	defer done()
	for t := c.newTries(ctx); ; {
		limited, cancel := t.limit(ctx)
		err := try(limited)
		cancel()
		if err == nil {
			return nil
		}
		if err = t.again(ctx, err); err != nil {
			return err
		}
	}
}

// within ends ctx with the Client.
func (c *Client) within(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancelCause(ctx)
	stop := context.AfterFunc(c.lifetime, func() { cancel(ErrClosed) })
	return ctx, func() { stop(); cancel(nil) }
}

// hope says what can be expected of a repetition.
type hope int

const (
	// hopeless: the server answered, and will answer the same again.
	hopeless hope = iota
	// doubtful: either the connection broke or the server refused early; the
	// official client does not say which.
	doubtful
	// hopeful: the server could not be reached or was busy.
	hopeful
)

// maxDoubts bounds the repetitions of doubtful failures in a row.
const maxDoubts = 4

// judge uses errors.As throughout: esdb.FromError does not look into wrapped
// errors.
func judge(err error) hope {
	if errors.Is(err, errNoAnswer) || errors.Is(err, errReplaced) || errors.Is(err, errOlderStore) {
		return hopeful
	}
	if e, ok := errors.AsType[*esdb.Error](err); ok {
		switch e.Code() {
		case esdb.ErrorCodeNotLeader, esdb.ErrorCodeConnectionClosed:
			return hopeful
		}
	}
	switch status.Code(err) {
	case codes.Unavailable, codes.Aborted, codes.DeadlineExceeded, codes.Canceled:
		return hopeful
	case codes.Internal:
		return doubtful
	}
	if errors.Is(err, io.EOF) {
		return doubtful
	}
	return hopeless
}

// hasCode reports whether the official client gave the error that code.
func hasCode(err error, code esdb.ErrorCode) bool {
	e, ok := errors.AsType[*esdb.Error](err)
	return ok && e.Code() == code
}
