package messaging

import (
	"encoding/json"
	"fmt"
	"unicode/utf8"

	"github.com/ThreeDotsLabs/watermill"
	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/google/uuid"

	"daybook/domain"
	"daybook/internal/eventstore"
)

// uuidKey is the metadata member that keeps a message's UUID when it could not
// be the event's id.
const uuidKey = "_watermill_message_uuid"

// uuidNamespace is the fixed namespace of event ids made from such UUIDs.
var uuidNamespace = uuid.MustParse("c2a1b7de-3b0c-5b52-8a2c-0d6a0a2f5d39")

// propose makes an event of a message. The payload may be anything.
func propose(m *message.Message, eventType string) (eventstore.Proposed, error) {
	id, kept := eventID(m.UUID)
	metadata := make(map[string]string, len(m.Metadata)+1)
	for key, value := range m.Metadata {
		if !utf8.ValidString(key) || !utf8.ValidString(value) {
			return eventstore.Proposed{}, fmt.Errorf("message %s: metadata is not UTF-8", m.UUID)
		}
		metadata[key] = value
	}
	if kept {
		metadata[uuidKey] = m.UUID
	}
	encoded, err := json.Marshal(metadata)
	if err != nil {
		return eventstore.Proposed{}, fmt.Errorf("message %s: %w", m.UUID, err)
	}
	return eventstore.Proposed{
		ID: id, Type: eventType, Data: m.Payload, Metadata: encoded, Binary: !json.Valid(m.Payload),
	}, nil
}

// eventID returns the message's UUID if it is one in the usual spelling, else a
// UUID made from it; then the original must be kept.
func eventID(text string) (id uuid.UUID, kept bool) {
	id, err := uuid.Parse(text)
	if err == nil && id != uuid.Nil && id.String() == text {
		return id, false
	}
	return uuid.NewSHA1(uuidNamespace, []byte(text)), true
}

// eventMessage is the reverse of propose. It never fails: events that were not
// published here give what metadata can be read as text.
func eventMessage(e domain.Stored) *message.Message {
	m := message.NewMessage(e.ID.String(), e.Data)
	var members map[string]json.RawMessage
	if json.Unmarshal(e.Metadata, &members) != nil {
		return m
	}
	for key, value := range members {
		var text string
		if json.Unmarshal(value, &text) != nil {
			text = string(value)
		}
		m.Metadata[key] = text
	}
	if original, ok := m.Metadata[uuidKey]; ok {
		m.UUID = original
		delete(m.Metadata, uuidKey)
	}
	return m
}

// newMessage makes the message of a batch, which in event mode is one event.
func newMessage(batch Batch, whole bool) *message.Message {
	if whole {
		return message.NewMessage(watermill.NewUUID(), nil)
	}
	return eventMessage(batch.Events[0])
}
