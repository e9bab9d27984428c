package node

import (
	"fmt"
	"math"

	"github.com/EventStore/EventStore-Client-Go/v4/protos/shared"
	"github.com/google/uuid"
)

// expectation is the revision a writer expects a stream to have, or one of the
// protocol's stand-ins. The numbers are those of the trailers expected-version and
// actual-version.
type expectation int64

const (
	expectNoStream     expectation = -1
	expectAny          expectation = -2
	expectStreamExists expectation = -4
)

// expectedRevision is what the options of append, delete and tombstone have in common.
type expectedRevision interface {
	GetRevision() uint64
	GetNoStream() *shared.Empty
	GetAny() *shared.Empty
	GetStreamExists() *shared.Empty
}

// parseExpectation takes the expectation off the wire; present tells that there is one.
func parseExpectation(options expectedRevision, present bool) (expectation, error) {
	switch {
	case !present:
		return 0, invalidArgument("expected revision is missing")
	case options.GetAny() != nil:
		return expectAny, nil
	case options.GetNoStream() != nil:
		return expectNoStream, nil
	case options.GetStreamExists() != nil:
		return expectStreamExists, nil
	}
	return expectRevision(options.GetRevision())
}

// expectRevision translates a number from the wire, where 2^64-1 is another way to say
// "no stream".
func expectRevision(revision uint64) (expectation, error) {
	switch {
	case revision == math.MaxUint64:
		return expectNoStream, nil
	case revision >= tombstoneRevision:
		return 0, invalidArgument(fmt.Sprintf("expected revision %d is out of range", revision))
	}
	return expectation(revision), nil
}

// outcome is what is to become of a write.
type outcome int

const (
	outcomeWrite outcome = iota
	// outcomeRepeat: the same events are there already; acknowledge them again.
	outcomeRepeat
	outcomeWrongVersion
	outcomeDeleted
)

// verdict is the decision about a write.
type verdict struct {
	outcome outcome
	state   streamState
	// last is the newest of the events found again, when outcome is outcomeRepeat.
	last recentEvent
}

// decide says what is to become of events with these ids that are to follow the expected
// revision of the stream. It is EventStoreDB's IndexWriter.CheckCommit.
func decide(r reader, recent *recentEvents, stream string, expected expectation, ids []uuid.UUID) (verdict, error) {
	state, err := stateOf(r, stream)
	v := verdict{state: state}
	if err != nil {
		return v, err
	}
	switch {
	case state.tombstoned:
		v.outcome = outcomeDeleted
	case expected == expectStreamExists && state.softDeleted():
		v.outcome = outcomeDeleted
	case expected == expectStreamExists && state.last == noEvents && !state.described:
		v.outcome = outcomeWrongVersion
	case expected == expectAny || expected == expectStreamExists:
		v.compareRecent(recent, stream, ids)
	case int64(expected) > state.last:
		v.outcome = outcomeWrongVersion
	case int64(expected) < state.last:
		return v, v.compareStored(r, stream, expected, ids)
	}
	return v, nil
}

// compareRecent looks for the ids among the recent events of the stream: none known is a
// new write, all known a repeated one, some known a contradiction.
func (v *verdict) compareRecent(recent *recentEvents, stream string, ids []uuid.UUID) {
	for i, id := range ids {
		event, known := recent.find(stream, id)
		switch {
		case !known && i == 0:
			return
		case !known:
			v.outcome = outcomeWrongVersion
			return
		}
		v.outcome, v.last = outcomeRepeat, event
	}
}

// compareStored compares the ids with those of the events after the expected revision:
// all equal is a write repeated.
func (v *verdict) compareStored(r reader, stream string, expected expectation, ids []uuid.UUID) error {
	v.outcome = outcomeWrongVersion
	for i, id := range ids {
		stored, found, err := r.at(stream, int64(expected)+1+int64(i))
		if err != nil {
			return err
		}
		if !found || stored.id != id {
			// A stream soft-deleted is one that isn't there, so it may be made anew.
			if i == 0 && expected == expectNoStream && v.state.softDeleted() {
				v.outcome = outcomeWrite
				return nil
			}
			v.outcome = outcomeWrongVersion
			return nil
		}
		v.outcome = outcomeRepeat
		v.last = recentEvent{revision: stored.revision, position: stored.position}
	}
	return nil
}
