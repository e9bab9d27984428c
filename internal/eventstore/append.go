package eventstore

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"
	"github.com/google/uuid"

	"daybook/domain"
)

// Any as expected revision means that the append never conflicts. A repetition
// is then recognised by its ids only among the newest events of the stream.
const Any int64 = -2

// Proposed is an event to append.
type Proposed struct {
	// ID must be the same whenever the same append is repeated.
	ID   uuid.UUID
	Type string
	// Data and Metadata are JSON.
	Data, Metadata []byte
	// Binary says that Data is not JSON.
	Binary bool
}

// Appended is where the last event of an append stands.
type Appended struct {
	Revision int64
	Position uint64
}

// Append writes all events to the stream or none. expected is the revision of
// the stream's last event, domain.NoStream, or Any.
//
// While the outcome is unknown, the same append is repeated until ctx (or
// Config.Timeout) ends; then the error matches ErrUnavailable. A conflict is a
// *ConflictError; it is never one with an earlier try of this very append, nor
// with an earlier call that proposed the same ids at the same place.
func (c *Client) Append(ctx context.Context, stream string, expected int64, events ...Proposed) (Appended, error) {
	a := appending{client: c, stream: stream, expected: expected, events: events}
	if err := a.check(); err != nil {
		return Appended{}, err
	}
	if err := c.repeat(ctx, a.try); err != nil {
		if _, conflict := errors.AsType[*ConflictError](err); conflict {
			return Appended{}, err
		}
		return Appended{}, fmt.Errorf("append to %s: %w", stream, err)
	}
	return a.done, nil
}

// appending is one append over all its tries.
type appending struct {
	client   *Client
	stream   string
	expected int64
	events   []Proposed
	// unknown is set once a try may have been written although it failed.
	unknown bool
	done    Appended
}

func (a *appending) check() error {
	switch {
	case a.stream == "":
		return errors.New("append: no stream named")
	case len(a.events) == 0:
		return fmt.Errorf("append to %s: no events", a.stream)
	case a.expected < Any:
		return fmt.Errorf("append to %s: expected revision %d", a.stream, a.expected)
	}
	return nil
}

func (a *appending) try(ctx context.Context) error {
	if a.unknown && a.expected == Any {
		if standing, err := a.standing(ctx); err != nil || standing {
			return err
		}
	}
	result, err := attempt(ctx, a.client, OpAppend, a.write)
	switch {
	case err == nil:
		a.client.expected.saw(result.CommitPosition)
		a.done = Appended{int64(result.NextExpectedVersion), result.CommitPosition}
		return nil
	case hasCode(err, esdb.ErrorCodeWrongExpectedVersion):
		return a.conflict(ctx, err)
	case hasCode(err, esdb.ErrorCodeStreamDeleted):
		return fmt.Errorf("%w: %w", ErrStreamDeleted, err)
	}
	if judge(err) != hopeless && !errors.Is(err, errReplaced) {
		a.unknown = true
	}
	return err
}

func (a *appending) write(ctx context.Context, client *esdb.Client) (*esdb.WriteResult, error) {
	options := esdb.AppendToStreamOptions{ExpectedRevision: expectation(a.expected), Deadline: &a.client.config.AttemptTimeout}
	data := make([]esdb.EventData, len(a.events))
	for i, e := range a.events {
		data[i] = esdb.EventData{
			EventID: e.ID, EventType: e.Type, ContentType: esdb.ContentTypeJson,
			Data: e.Data, Metadata: e.Metadata,
		}
		if e.Binary {
			data[i].ContentType = esdb.ContentTypeBinary
		}
	}
	return client.AppendToStream(ctx, a.client.fullName(a.stream), options, data...)
}

func expectation(revision int64) esdb.ExpectedRevision {
	switch revision {
	case Any:
		return esdb.Any{}
	case domain.NoStream:
		return esdb.NoStream{}
	}
	return esdb.Revision(uint64(revision))
}

// conflict turns the server's refusal into a *ConflictError, unless what stands
// in the way are these very events, written by a try whose answer got lost.
func (a *appending) conflict(ctx context.Context, refusal error) error {
	if a.unknown {
		if standing, err := a.standing(ctx); err != nil || standing {
			return err
		}
	}
	return &ConflictError{Stream: a.stream, Expected: a.expected, Actual: actualRevision(refusal)}
}

// actualRevision reads the stream's revision out of the official client's
// text: v4.2.0 passes it on in no other way.
func actualRevision(refusal error) int64 {
	cause, ok := errors.AsType[*esdb.Error](refusal)
	if !ok || cause.Err() == nil {
		return Any
	}
	var expected string
	var actual int64
	text := cause.Err().Error()
	if _, err := fmt.Sscanf(text, "wrong expected version: expecting %s but got '%d'", &expected, &actual); err == nil {
		return actual
	}
	if _, err := fmt.Sscanf(text, "wrong expected version: expecting %s but got 'no_stream'", &expected); err == nil {
		return domain.NoStream
	}
	return Any
}

// searched is how many of the newest events are looked through for an append
// with Any whose answer got lost. Others write to such a stream rarely.
const searched = 200

// standing reports whether the events are in the stream, and if so takes their
// place as the outcome.
func (a *appending) standing(ctx context.Context) (bool, error) {
	var found []domain.Stored
	var err error
	if a.expected == Any {
		found, err = a.client.readPage(ctx, a.stream, esdb.Backwards, esdb.End{}, searched)
		slices.Reverse(found)
		first := slices.IndexFunc(found, func(e domain.Stored) bool { return e.ID == a.events[0].ID })
		found = found[max(first, 0):]
	} else {
		found, err = a.client.readPage(ctx, a.stream, esdb.Forwards, esdb.Revision(uint64(a.expected+1)), uint64(len(a.events)))
	}
	if err != nil || len(found) < len(a.events) {
		return false, err
	}
	for i, e := range a.events {
		if found[i].ID != e.ID {
			return false, nil
		}
	}
	last := found[len(a.events)-1]
	a.done = Appended{last.Revision, last.Position}
	return true, nil
}
