package node

import (
	"context"

	"github.com/EventStore/EventStore-Client-Go/v4/protos/shared"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/streams"
	"github.com/google/uuid"
)

// Delete implements streams.StreamsServer: the stream reads as missing until it is
// written to again, and continues its numbering then.
func (s streamsServer) Delete(ctx context.Context, request *streams.DeleteReq) (*streams.DeleteResp, error) {
	options := request.GetOptions()
	position, err := s.remove(ctx, options, options.GetExpectedStreamRevision() != nil, planDelete)
	if err != nil {
		return nil, err
	}
	return &streams.DeleteResp{PositionOption: &streams.DeleteResp_Position_{
		Position: &streams.DeleteResp_Position{CommitPosition: position, PreparePosition: position},
	}}, nil
}

// Tombstone implements streams.StreamsServer: the stream is deleted for good and its
// name can't be used again.
func (s streamsServer) Tombstone(ctx context.Context, request *streams.TombstoneReq) (*streams.TombstoneResp, error) {
	options := request.GetOptions()
	position, err := s.remove(ctx, options, options.GetExpectedStreamRevision() != nil, planTombstone)
	if err != nil {
		return nil, err
	}
	return &streams.TombstoneResp{PositionOption: &streams.TombstoneResp_Position_{
		Position: &streams.TombstoneResp_Position{CommitPosition: position, PreparePosition: position},
	}}, nil
}

// removal is what the options of delete and tombstone have in common.
type removal interface {
	expectedRevision
	GetStreamIdentifier() *shared.StreamIdentifier
}

// remove checks the expected revision, which present tells to be there, and has the
// removal written.
func (s streamsServer) remove(ctx context.Context, options removal, present bool,
	planRemoval func(*draft, string, streamState) (record, error),
) (uint64, error) {
	expected, err := parseExpectation(options, present)
	if err != nil {
		return 0, err
	}
	stream, err := writableName(options.GetStreamIdentifier())
	if err != nil {
		return 0, err
	}
	if isMetastream(stream) {
		return 0, invalidArgument("a metadata stream ends with the stream it describes, not by itself")
	}
	var written record
	err = s.node.writer.submit(ctx, func(d *draft) error {
		// An id of its own makes sure that no earlier event is taken for this removal.
		v, err := decide(d, d.recent, stream, expected, []uuid.UUID{uuid.New()})
		switch {
		case err != nil:
			return err
		case v.outcome == outcomeDeleted:
			return streamDeleted(stream)
		case v.outcome != outcomeWrite:
			return wrongVersion(stream, expected, v.state.last)
		}
		written, err = planRemoval(d, stream, v.state)
		if err == nil && written.position == 0 {
			return wrongVersion(stream, expected, v.state.last)
		}
		return err
	})
	return written.position, err
}

// planDelete replaces the stream's metadata by a truncation behind every event. Other
// keys are lost, as on the server. A stream of which nothing was ever written can't be
// deleted; the record is zero then.
func planDelete(d *draft, stream string, state streamState) (record, error) {
	if state.last == noEvents && !state.described {
		return record{}, nil
	}
	after := noEvents
	newest, found, err := d.last(metastreamOf(stream))
	if err != nil {
		return record{}, err
	}
	if found {
		after = newest.revision
	}
	return d.add(metastreamOf(stream), after, metadataEvent(withTruncation(nil, deletedTruncation))), nil
}

// planTombstone writes the event that ends the stream.
func planTombstone(d *draft, stream string, _ streamState) (record, error) {
	return d.put(record{
		stream: stream, revision: tombstoneRevision, id: uuid.New(), typ: tombstoneType,
	}), nil
}
