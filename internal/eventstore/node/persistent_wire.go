package node

import (
	"github.com/EventStore/EventStore-Client-Go/v4/protos/persistent"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/shared"
	"github.com/google/uuid"
)

// settle does with the events of a message what the consumer asks.
func (g *group) settle(ids []*shared.UUID, action nackAction, reason string) error {
	parsed := make([]uuid.UUID, len(ids))
	for i, id := range ids {
		var err error
		if parsed[i], err = parseID(id); err != nil {
			return err
		}
	}
	g.nack(parsed, action, reason)
	return nil
}

// deliveredEvent is the message for one event. After the confirmation a connection may
// carry nothing else: the Go client panics.
func deliveredEvent(e sent, form idForm) *persistent.ReadResp {
	return &persistent.ReadResp{Content: &persistent.ReadResp_Event{Event: &persistent.ReadResp_ReadEvent{
		Event:    deliveredRecord(e.event.event, form),
		Link:     deliveredRecord(e.event.link, form),
		Position: &persistent.ReadResp_ReadEvent_CommitPosition{CommitPosition: e.event.original().position},
		Count:    &persistent.ReadResp_ReadEvent_RetryCount{RetryCount: int32(e.retries)},
	}}}
}

func deliveredRecord(r *record, form idForm) *persistent.ReadResp_ReadEvent_RecordedEvent {
	if r == nil {
		return nil
	}
	return &persistent.ReadResp_ReadEvent_RecordedEvent{
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
