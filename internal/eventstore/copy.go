package eventstore

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"iter"
	"maps"
	"math"
	"strings"
	"time"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"
	"github.com/google/uuid"

	"daybook/domain"
)

// ErrOtherHistory says that a copy's target has events which are not the beginning of
// the history to copy.
var ErrOtherHistory = errors.New("the target has events of another history")

// Copied is how far a copy has come.
type Copied struct {
	// Found counts events that were in the target before, Written those added.
	Found, Written int
	// StoreID is the target's own id. It is known when the copy is complete.
	StoreID uuid.UUID
}

// Copy writes this service's streams with their metadata from one store to the other:
// the same ids, types, data, metadata and revisions, in the same order. Positions and
// the stores' own clocks differ. Nothing may write to either meanwhile.
//
// The target's last event is a StoreOpened with a new id, for what is kept of the one
// store's positions means something else in the other. A target without it is a copy cut
// short: doing it again goes on. A target with anything else in own streams matches
// ErrOtherHistory. progress is called after each event.
func Copy(ctx context.Context, from, to *Client, producer string, progress func(Copied)) (Copied, error) {
	c := copying{from: from, to: to, progress: progress}
	if err := c.events(ctx); err != nil {
		return c.copied, fmt.Errorf("copy: %w", err)
	}
	if c.copied.StoreID != uuid.Nil {
		return c.copied, nil
	}
	if err := c.sign(ctx, producer); err != nil {
		return c.copied, fmt.Errorf("complete the copy: %w", err)
	}
	return c.copied, nil
}

// copying is one copy on its way.
type copying struct {
	from, to *Client
	copied   Copied
	progress func(Copied)
}

// events passes over what is in the target already and writes the rest.
func (c *copying) events(ctx context.Context) error {
	next, stop := iter.Pull2(c.to.wholeHistory(ctx))
	defer stop()
	found := true
	for event, err := range c.from.wholeHistory(ctx) {
		if err != nil {
			return err
		}
		if found {
			if found, err = c.compare(event, next); err != nil {
				return err
			}
		}
		if !found {
			if err := c.write(ctx, event); err != nil {
				return err
			}
			c.copied.Written++
		}
		c.progress(c.copied)
	}
	if c.copied.Found+c.copied.Written == 0 {
		return errors.New("there is nothing to copy")
	}
	if !found {
		return nil
	}
	return c.remainder(next)
}

// compare reports whether the target has the event in this place.
func (c *copying) compare(event *esdb.RecordedEvent, next func() (*esdb.RecordedEvent, error, bool)) (bool, error) {
	present, err, more := next()
	if !more || err != nil {
		return false, err
	}
	if !sameEvent(event, present) {
		return false, fmt.Errorf("%w: event %d in %s", ErrOtherHistory, present.EventNumber, present.StreamID)
	}
	c.copied.Found++
	return true, nil
}

// sameEvent leaves out revisions of metadata: a store may have dropped older ones.
func sameEvent(a, b *esdb.RecordedEvent) bool {
	return a.StreamID == b.StreamID && a.EventID == b.EventID && a.EventType == b.EventType &&
		(a.EventNumber == b.EventNumber || strings.HasPrefix(a.StreamID, metadataPrefix)) &&
		bytes.Equal(a.Data, b.Data) && bytes.Equal(a.UserMetadata, b.UserMetadata)
}

// remainder looks at what the target has more than the history: nothing, or the event
// that completes a copy.
func (c *copying) remainder(next func() (*esdb.RecordedEvent, error, bool)) error {
	last, err, more := next()
	if !more || err != nil {
		return err
	}
	another, err, more := next()
	if err != nil {
		return err
	}
	if more {
		return fmt.Errorf("%w: event %d in %s", ErrOtherHistory, another.EventNumber, another.StreamID)
	}
	s, ok := c.to.stored(last)
	if !ok || s.Stream != domain.StoreStream || s.Type != domain.NameOf(domain.StoreOpened{}) {
		return fmt.Errorf("%w: event %d in %s", ErrOtherHistory, last.EventNumber, last.StreamID)
	}
	recorded, err := domain.Decode(s, nothingSealed)
	if err != nil {
		return err
	}
	c.copied.StoreID = recorded.Event.(domain.StoreOpened).StoreID
	return nil
}

func (c *copying) write(ctx context.Context, e *esdb.RecordedEvent) error {
	stream, _ := c.from.ownOrMetadata(e.StreamID)
	expected := int64(e.EventNumber) - 1
	if strings.HasPrefix(stream, metadataPrefix) {
		expected = Any
	}
	_, err := c.to.Append(ctx, stream, expected, Proposed{
		ID: e.EventID, Type: e.EventType, Data: e.Data, Metadata: e.UserMetadata,
		Binary: !strings.Contains(e.ContentType, "json"),
	})
	if conflict, ok := errors.AsType[*ConflictError](err); ok && conflict.Actual < expected {
		return fmt.Errorf("stream %s lacks the events before %d: they were scavenged, and no store takes the others without them: %w", stream, e.EventNumber, err)
	}
	return err
}

// sign gives the target an id of its own.
func (c *copying) sign(ctx context.Context, producer string) error {
	r := &Repository{Client: c.to}
	identity, err := r.readIdentity(ctx, unknownIdentity())
	if err != nil {
		return err
	}
	if identity.revision == domain.NoStream {
		return fmt.Errorf("the history has no stream %s", domain.StoreStream)
	}
	c.copied.StoreID = uuid.New()
	opened := domain.StoreOpened{StoreID: c.copied.StoreID, Namespace: identity.Namespace, Fingerprints: maps.Clone(identity.Fingerprints)}
	_, err = r.Append(ctx, domain.Append{Stream: domain.StoreStream, Expected: identity.revision, Events: []domain.Event{opened}, Metadata: storeMetadata("CopyStore", producer)})
	return err
}

// wholeHistory yields the events of all own streams, and of those with their metadata,
// as the store has them.
func (c *Client) wholeHistory(ctx context.Context) iter.Seq2[*esdb.RecordedEvent, error] {
	return func(yield func(*esdb.RecordedEvent, error) bool) {
		var last uint64
		open := func(ctx context.Context, client *esdb.Client) (*esdb.ReadStream, error) {
			return client.ReadAll(ctx, esdb.ReadAllOptions{From: position(last)}, math.MaxInt64)
		}
		err := c.each(ctx, OpReadAll, open, func(e *esdb.RecordedEvent) bool {
			if e.Position.Commit <= last {
				return true
			}
			last = e.Position.Commit
			_, own := c.ownOrMetadata(e.StreamID)
			return !own || yield(e, nil)
		})
		if err != nil {
			yield(nil, err)
		}
	}
}

// storeMetadata is that of an event by which a store says what it is.
func storeMetadata(command, producer string) domain.Metadata {
	id := uuid.New()
	return domain.Metadata{
		Command: command, CommandID: id, CorrelationID: id.String(), CausationID: id.String(),
		Actor: domain.SystemActor("start"), OccurredAt: domain.Micro(time.Now()), Producer: producer,
	}
}
