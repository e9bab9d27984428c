package node

import (
	"encoding/binary"
	"fmt"
	"strconv"

	"github.com/EventStore/EventStore-Client-Go/v4/protos/shared"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/streams"
	"github.com/google/uuid"
)

// Keys of an event's system metadata on the wire.
const (
	typeKey        = "type"
	contentTypeKey = "content-type"
	createdKey     = "created"

	contentJSON   = "application/json"
	contentBinary = "application/octet-stream"
)

func structuredID(id uuid.UUID) *shared.UUID {
	return &shared.UUID{Value: &shared.UUID_Structured_{Structured: &shared.UUID_Structured{
		MostSignificantBits:  int64(binary.BigEndian.Uint64(id[:8])),
		LeastSignificantBits: int64(binary.BigEndian.Uint64(id[8:])),
	}}}
}

func stringID(id uuid.UUID) *shared.UUID {
	return &shared.UUID{Value: &shared.UUID_String_{String_: id.String()}}
}

// parseID reads an id of either form. A missing one reads as the nil id.
func parseID(id *shared.UUID) (uuid.UUID, error) {
	switch value := id.GetValue().(type) {
	case *shared.UUID_Structured_:
		var parsed uuid.UUID
		binary.BigEndian.PutUint64(parsed[:8], uint64(value.Structured.GetMostSignificantBits()))
		binary.BigEndian.PutUint64(parsed[8:], uint64(value.Structured.GetLeastSignificantBits()))
		return parsed, nil
	case *shared.UUID_String_:
		parsed, err := uuid.Parse(value.String_)
		if err != nil {
			return uuid.Nil, invalidArgument("id is not a UUID")
		}
		return parsed, nil
	}
	return uuid.Nil, nil
}

// streamName takes a stream's name from a request.
func streamName(id *shared.StreamIdentifier) (string, error) {
	name := string(id.GetStreamName())
	switch {
	case name == "":
		return "", invalidArgument("stream name is empty")
	case len(name) > maxStreamName:
		return "", invalidArgument(fmt.Sprintf("stream name has more than %d bytes", maxStreamName))
	}
	return name, nil
}

// writableName is streamName for operations that change a stream.
func writableName(id *shared.StreamIdentifier) (string, error) {
	name, err := streamName(id)
	if err == nil && name == allStream {
		return "", accessDenied("stream $all can't be written to")
	}
	return name, err
}

// parseProposed reads one event of an append. The custom metadata and data are kept
// without a copy: protobuf made one when it took them off the wire.
func parseProposed(id *shared.UUID, metadata map[string]string, custom, data []byte) (newEvent, error) {
	parsed, err := parseID(id)
	if err != nil {
		return newEvent{}, err
	}
	typ, found := metadata[typeKey]
	if !found {
		return newEvent{}, missingMetadata(typeKey)
	}
	contentType, found := metadata[contentTypeKey]
	if !found {
		return newEvent{}, missingMetadata(contentTypeKey)
	}
	if parsed == uuid.Nil {
		return newEvent{}, invalidArgument("event id is empty")
	}
	if typ == "" {
		return newEvent{}, invalidArgument("event type is empty")
	}
	return newEvent{id: parsed, typ: typ, json: contentType == contentJSON, data: data, metadata: custom}, nil
}

// size is what the event counts for in the limit of an append, by the rule of version 24:
// 23.10 counted only data, by oversight.
func (e newEvent) size() int { return len(e.data) + len(e.metadata) + 2*len(e.typ) }

// idForm writes ids in the form the client asked for.
type idForm func(uuid.UUID) *shared.UUID

// parseIDForm refuses a read that doesn't say, as version 24 does.
func parseIDForm(option *streams.ReadReq_Options_UUIDOption) (idForm, error) {
	switch option.GetContent().(type) {
	case *streams.ReadReq_Options_UUIDOption_Structured:
		return structuredID, nil
	case *streams.ReadReq_Options_UUIDOption_String_:
		return stringID, nil
	}
	return nil, invalidArgument("uuid option is missing")
}

// recordedEvent puts a record on the wire. created must be an integer: the Go client v4.2.0 ends its process over
// anything else.
func recordedEvent(r *record, form idForm) *streams.ReadResp_ReadEvent_RecordedEvent {
	if r == nil {
		return nil
	}
	return &streams.ReadResp_ReadEvent_RecordedEvent{
		Id:               form(r.id),
		StreamIdentifier: &shared.StreamIdentifier{StreamName: []byte(r.stream)},
		StreamRevision:   uint64(r.revision),
		PreparePosition:  r.position,
		CommitPosition:   r.position,
		Metadata:         systemMetadata(r),
		CustomMetadata:   r.metadata,
		Data:             r.data,
	}
}

func systemMetadata(r *record) map[string]string {
	contentType := contentBinary
	if r.json {
		contentType = contentJSON
	}
	return map[string]string{
		typeKey:        r.typ,
		contentTypeKey: contentType,
		createdKey:     strconv.FormatInt(r.created, 10),
	}
}

// readEvent is the message for one event, with its link when it came through one.
func readEvent(e resolved, form idForm) *streams.ReadResp {
	return &streams.ReadResp{Content: &streams.ReadResp_Event{Event: &streams.ReadResp_ReadEvent{
		Event:    recordedEvent(e.event, form),
		Link:     recordedEvent(e.link, form),
		Position: &streams.ReadResp_ReadEvent_CommitPosition{CommitPosition: e.original().position},
	}}}
}

func checkpointMessage(position uint64) *streams.ReadResp {
	return &streams.ReadResp{Content: &streams.ReadResp_Checkpoint_{
		Checkpoint: &streams.ReadResp_Checkpoint{CommitPosition: position, PreparePosition: position},
	}}
}

func notFoundMessage(stream *shared.StreamIdentifier) *streams.ReadResp {
	return &streams.ReadResp{Content: &streams.ReadResp_StreamNotFound_{
		StreamNotFound: &streams.ReadResp_StreamNotFound{StreamIdentifier: stream},
	}}
}
