package node

import (
	"errors"
	"io"

	"github.com/EventStore/EventStore-Client-Go/v4/protos/shared"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/streams"
	"github.com/google/uuid"
)

// streamsServer serves the Streams service.
type streamsServer struct {
	streams.UnimplementedStreamsServer
	node *Node
}

// appendRequest is an append taken off the wire.
type appendRequest struct {
	stream   string
	expected expectation
	events   []newEvent
	size     int
}

// appendResult is what became of an append. Its state is the stream's before it.
type appendResult struct {
	verdict
	// revision and position are those of the last event; position 0 means there is none.
	revision int64
	position uint64
}

// Append implements streams.StreamsServer.
func (s streamsServer) Append(call streams.Streams_AppendServer) error {
	request, err := receiveAppend(call, s.node.config.MaxAppendSize)
	if err != nil {
		return err
	}
	var result appendResult
	err = s.node.writer.submit(call.Context(), func(d *draft) (err error) {
		result, err = planAppend(d, request)
		return err
	})
	if err != nil {
		return err
	}
	return call.SendAndClose(appendResponse(request.expected, result))
}

// receiveAppend reads the whole request, also after it has found a fault: a client that
// is still sending when the call ends reports "EOF" in place of the status.
func receiveAppend(call streams.Streams_AppendServer, limit int) (appendRequest, error) {
	var request appendRequest
	var fault error
	for first := true; ; first = false {
		message, err := call.Recv()
		if errors.Is(err, io.EOF) {
			if first {
				fault = invalidArgument("append has no options")
			}
			return request, fault
		}
		if err != nil {
			return request, err
		}
		if fault == nil {
			if fault = request.take(message, first, limit); fault != nil {
				request.events = nil
			}
		}
	}
}

// take adds one message of the call to the request.
func (a *appendRequest) take(message *streams.AppendReq, first bool, limit int) error {
	if options := message.GetOptions(); options != nil && first {
		return a.takeOptions(options)
	}
	proposed := message.GetProposedMessage()
	if proposed == nil || first {
		return invalidArgument("append must be options and then proposed messages")
	}
	event, err := parseProposed(proposed.GetId(), proposed.GetMetadata(), proposed.GetCustomMetadata(), proposed.GetData())
	if err != nil {
		return err
	}
	return a.addEvent(event, limit)
}

func (a *appendRequest) addEvent(event newEvent, limit int) error {
	if a.size += event.size(); a.size > limit {
		return appendTooBig(limit)
	}
	a.events = append(a.events, event)
	return nil
}

func (a *appendRequest) takeOptions(options *streams.AppendReq_Options) (err error) {
	if a.stream, err = writableName(options.GetStreamIdentifier()); err != nil {
		return err
	}
	a.expected, err = parseExpectation(options, options.GetExpectedStreamRevision() != nil)
	return err
}

// planAppend decides about the append and, if it is to be written, puts it in the draft.
func planAppend(d *draft, a appendRequest) (appendResult, error) {
	ids := make([]uuid.UUID, len(a.events))
	for i, e := range a.events {
		ids[i] = e.id
	}
	v, err := decide(d, d.recent, a.stream, a.expected, ids)
	result := appendResult{verdict: v, revision: v.state.last}
	switch {
	case err != nil:
		return result, err
	case v.outcome == outcomeDeleted:
		return result, streamDeleted(a.stream)
	case v.outcome == outcomeRepeat:
		result.revision, result.position = v.last.revision, v.last.position
	case v.outcome == outcomeWrite && len(a.events) > 0:
		last, err := writeEvents(d, a.stream, v.state, a.events)
		if err != nil {
			return result, err
		}
		result.revision, result.position = last.revision, last.position
	}
	return result, nil
}

// writeEvents puts the events at the end of the stream. If that was soft-deleted, its
// metadata is changed so that it begins with them.
func writeEvents(d *draft, stream string, state streamState, events []newEvent) (record, error) {
	if isMetastream(stream) {
		return writeMetadata(d, stream, state, events)
	}
	if state.softDeleted() {
		if err := undelete(d, stream, state.last+1); err != nil {
			return record{}, err
		}
	}
	return d.add(stream, state.last, events...), nil
}

// writeMetadata writes to a metastream. Describing a soft-deleted stream brings it back,
// with what the new description says and an empty visible part.
func writeMetadata(d *draft, stream string, state streamState, events []newEvent) (record, error) {
	owner, err := stateOf(d, ownerOf(stream))
	if err != nil {
		return record{}, err
	}
	last := d.add(stream, state.last, events...)
	if owner.softDeleted() {
		err = undelete(d, ownerOf(stream), owner.last+1)
	}
	return last, err
}

// undelete rewrites a stream's metadata so that it begins at the revision.
func undelete(d *draft, stream string, first int64) error {
	metastream := metastreamOf(stream)
	newest, found, err := d.last(metastream)
	if err != nil {
		return err
	}
	after := noEvents
	if found {
		after = newest.revision
	}
	d.add(metastream, after, metadataEvent(withTruncation(newest.data, first)))
	return nil
}

func metadataEvent(data []byte) newEvent {
	return newEvent{id: uuid.New(), typ: metadataType, json: true, data: data}
}

func appendResponse(expected expectation, result appendResult) *streams.AppendResp {
	if result.outcome == outcomeWrongVersion {
		return &streams.AppendResp{Result: &streams.AppendResp_WrongExpectedVersion_{
			WrongExpectedVersion: wrongVersionMessage(expected, result.state.last),
		}}
	}
	success := &streams.AppendResp_Success{
		CurrentRevisionOption: &streams.AppendResp_Success_NoStream{NoStream: &shared.Empty{}},
		PositionOption:        &streams.AppendResp_Success_NoPosition{NoPosition: &shared.Empty{}},
	}
	if result.revision != noEvents {
		success.CurrentRevisionOption = &streams.AppendResp_Success_CurrentRevision{CurrentRevision: uint64(result.revision)}
	}
	if p := result.position; p != 0 {
		success.PositionOption = &streams.AppendResp_Success_Position{
			Position: &streams.AppendResp_Position{CommitPosition: p, PreparePosition: p},
		}
	}
	return &streams.AppendResp{Result: &streams.AppendResp_Success_{Success: success}}
}

func wrongVersionMessage(expected expectation, current int64) *streams.AppendResp_WrongExpectedVersion {
	message := &streams.AppendResp_WrongExpectedVersion{
		CurrentRevisionOption: &streams.AppendResp_WrongExpectedVersion_CurrentNoStream{CurrentNoStream: &shared.Empty{}},
	}
	if current != noEvents {
		message.CurrentRevisionOption = &streams.AppendResp_WrongExpectedVersion_CurrentRevision{CurrentRevision: uint64(current)}
	}
	switch expected {
	case expectAny:
		message.ExpectedRevisionOption = &streams.AppendResp_WrongExpectedVersion_ExpectedAny{ExpectedAny: &shared.Empty{}}
	case expectNoStream:
		message.ExpectedRevisionOption = &streams.AppendResp_WrongExpectedVersion_ExpectedNoStream{ExpectedNoStream: &shared.Empty{}}
	case expectStreamExists:
		message.ExpectedRevisionOption = &streams.AppendResp_WrongExpectedVersion_ExpectedStreamExists{ExpectedStreamExists: &shared.Empty{}}
	default:
		message.ExpectedRevisionOption = &streams.AppendResp_WrongExpectedVersion_ExpectedRevision{ExpectedRevision: uint64(expected)}
	}
	return message
}
