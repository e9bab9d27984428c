package eventstore

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"

	"daybook/domain"
)

// opener starts a read behind what was read before.
type opener func(context.Context, *esdb.Client) (*esdb.ReadStream, error)

// errNothingLeft says that the events read so far are all there are.
var errNothingLeft = errors.New("nothing left to read")

// read yields the events of as many reads as it takes to come to the end. seen
// is told of each event in order and says whether it is wanted.
func (c *Client) read(ctx context.Context, what string, operation Operation, open opener, seen func(*esdb.RecordedEvent) bool, yield func(domain.Stored, error) bool) {
	err := c.each(ctx, operation, open, func(e *esdb.RecordedEvent) bool {
		if !seen(e) {
			return true
		}
		s, ok := c.stored(e)
		return !ok || yield(s, nil)
	})
	if err != nil {
		yield(domain.Stored{}, fmt.Errorf("%s: %w", what, err))
	}
}

// each hands events to take, from as many reads as it takes to come to the end or
// until take has enough.
func (c *Client) each(ctx context.Context, operation Operation, open opener, take func(*esdb.RecordedEvent) bool) error {
	ctx, done := c.within(ctx)
	defer done()
	t := c.newTries(ctx)
	for more := true; more; {
		err := c.readOnce(ctx, operation, open, func(e *esdb.RecordedEvent) bool {
			t.progress()
			more = take(e)
			return more
		})
		if !more || err == nil {
			return nil
		}
		if err = t.again(ctx, err); err != nil {
			return err
		}
	}
	return nil
}

// readOnce makes one read of the official client in a goroutine of its own and
// hands its events to take, which may end it.
func (c *Client) readOnce(ctx context.Context, operation Operation, open opener, take func(*esdb.RecordedEvent) bool) (err error) {
	start := time.Now()
	defer func() { c.config.Observe(ctx, operation, time.Since(start), err) }()
	conn, err := c.acquire()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	events, ended := make(chan *esdb.RecordedEvent, 64), make(chan error, 1)
	go func() {
		defer conn.release()
		err := conn.enter(ctx, func(ctx context.Context, client *esdb.Client) error {
			return receive(ctx, client, open, events)
		})
		ended <- err
		close(events)
	}()
	return c.consume(ctx, conn, events, ended, take)
}

// receive sends a read's events until its end.
func receive(ctx context.Context, client *esdb.Client, open opener, events chan<- *esdb.RecordedEvent) error {
	read, err := open(ctx, client)
	if errors.Is(err, errNothingLeft) {
		return nil
	}
	if err != nil {
		return err
	}
	defer read.Close()
	for {
		event, err := read.Recv()
		switch {
		case errors.Is(err, io.EOF), hasCode(err, esdb.ErrorCodeResourceNotFound):
			return nil
		case hasCode(err, esdb.ErrorCodeStreamDeleted):
			return fmt.Errorf("%w: %w", ErrStreamDeleted, err)
		case err != nil:
			return err
		}
		select {
		case events <- event.OriginalEvent():
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// consume takes events until the read ends, take has enough, ctx ends, or
// nothing comes for Config.AttemptTimeout.
func (c *Client) consume(ctx context.Context, conn *connection, events <-chan *esdb.RecordedEvent, ended <-chan error, take func(*esdb.RecordedEvent) bool) error {
	silence := time.NewTimer(c.config.AttemptTimeout)
	defer silence.Stop()
	for {
		select {
		case e, ok := <-events:
			if !ok {
				return <-ended
			}
			if !take(e) {
				return nil
			}
			silence.Reset(c.config.AttemptTimeout)
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-silence.C:
			conn.retire()
			return errNoAnswer
		}
	}
}
