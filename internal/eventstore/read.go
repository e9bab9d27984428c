package eventstore

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"math"
	"time"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"

	"daybook/domain"
)

// ReadStream yields the stream's events from a revision on (inclusive, from 0)
// to its end. A stream that does not exist has none. An error ends the
// sequence; a broken connection does not: reading goes on behind the last
// event, while ctx lasts or, without a deadline, Config.Timeout between events.
func (c *Client) ReadStream(ctx context.Context, stream string, from int64) iter.Seq2[domain.Stored, error] {
	return func(yield func(domain.Stored, error) bool) {
		next := uint64(max(from, 0))
		open := func(ctx context.Context, client *esdb.Client) (*esdb.ReadStream, error) {
			options := esdb.ReadStreamOptions{From: esdb.Revision(next)}
			return client.ReadStream(ctx, c.fullName(stream), options, math.MaxInt64)
		}
		c.read(ctx, "read "+stream, OpReadStream, open, func(e *esdb.RecordedEvent) bool {
			next = e.EventNumber + 1
			return true
		}, yield)
	}
}

// ReadStreamBackwards yields at most limit events from the stream's last one
// back. For the rest see ReadStream.
func (c *Client) ReadStreamBackwards(ctx context.Context, stream string, limit int) iter.Seq2[domain.Stored, error] {
	return func(yield func(domain.Stored, error) bool) {
		from, left := esdb.StreamPosition(esdb.End{}), limit
		open := func(ctx context.Context, client *esdb.Client) (*esdb.ReadStream, error) {
			if left <= 0 {
				return nil, errNothingLeft
			}
			options := esdb.ReadStreamOptions{Direction: esdb.Backwards, From: from}
			return client.ReadStream(ctx, c.fullName(stream), options, uint64(left))
		}
		c.read(ctx, "read "+stream, OpReadStream, open, func(e *esdb.RecordedEvent) bool {
			from, left = esdb.Revision(e.EventNumber-1), left-1
			if e.EventNumber == 0 {
				left = 0
			}
			return true
		}, yield)
	}
}

// ReadAll yields the events of all own streams in commit order, behind a
// position (exclusive; 0 means from the start) up to the end. For the rest see
// ReadStream.
func (c *Client) ReadAll(ctx context.Context, after uint64) iter.Seq2[domain.Stored, error] {
	return func(yield func(domain.Stored, error) bool) {
		last := after
		open := func(ctx context.Context, client *esdb.Client) (*esdb.ReadStream, error) {
			return client.ReadAll(ctx, esdb.ReadAllOptions{From: position(last)}, math.MaxInt64)
		}
		c.read(ctx, "read all", OpReadAll, open, func(e *esdb.RecordedEvent) bool {
			if e.Position.Commit <= last {
				return false
			}
			last = e.Position.Commit
			name, ok := c.plainName(e.StreamID)
			return ok && c.own(name)
		}, yield)
	}
}

// position converts a commit position. The prepare position differs from it
// only for explicit transactions, which no client since version 5 can write.
func position(commit uint64) esdb.AllPosition {
	if commit == 0 {
		return esdb.Start{}
	}
	return esdb.Position{Commit: commit, Prepare: commit}
}

// Tail returns the position of the last event in the whole store, of whatever
// stream, and 0 for an empty store.
func (c *Client) Tail(ctx context.Context) (uint64, error) {
	var tail uint64
	err := c.repeat(ctx, func(ctx context.Context) (err error) {
		tail, err = attempt(ctx, c, OpTail, lastPosition)
		return err
	})
	if err != nil {
		return 0, fmt.Errorf("tail: %w", err)
	}
	return tail, nil
}

// SetMaxAge makes events of the stream disappear from reads when they are
// older than age (whole seconds, at least one). It replaces the stream's other
// metadata and may be repeated.
func (c *Client) SetMaxAge(ctx context.Context, stream string, age time.Duration) error {
	if age < time.Second {
		return fmt.Errorf("age of %s: %s is less than a second", stream, age)
	}
	metadata := esdb.StreamMetadata{}
	metadata.SetMaxAge(age)
	err := c.repeat(ctx, func(ctx context.Context) error {
		_, err := attempt(ctx, c, OpSetMetadata, func(ctx context.Context, client *esdb.Client) (*esdb.WriteResult, error) {
			return client.SetStreamMetadata(ctx, c.fullName(stream), esdb.AppendToStreamOptions{}, metadata)
		})
		return err
	})
	if err != nil {
		return fmt.Errorf("age of %s: %w", stream, err)
	}
	return nil
}

// readPage reads a few events in one round trip.
func (c *Client) readPage(ctx context.Context, stream string, direction esdb.Direction, from esdb.StreamPosition, count uint64) ([]domain.Stored, error) {
	return attempt(ctx, c, OpReadStream, func(ctx context.Context, client *esdb.Client) ([]domain.Stored, error) {
		options := esdb.ReadStreamOptions{Direction: direction, From: from}
		read, err := client.ReadStream(ctx, c.fullName(stream), options, count)
		if err != nil {
			return nil, err
		}
		defer read.Close()
		var page []domain.Stored
		for {
			event, err := read.Recv()
			if errors.Is(err, io.EOF) || hasCode(err, esdb.ErrorCodeResourceNotFound) {
				return page, nil
			}
			if err != nil {
				return nil, err
			}
			if s, ok := c.stored(event.OriginalEvent()); ok {
				page = append(page, s)
			}
		}
	})
}
