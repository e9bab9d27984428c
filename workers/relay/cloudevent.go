package relay

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"

	"daybook/domain"
)

// cloudEvent is an event in the structured JSON form of CloudEvents 1.0.2
// (JSON Event Format 1.0.2, 3).
type cloudEvent struct {
	SpecVersion string `json:"specversion"`
	ID          string `json:"id"`
	Source      string `json:"source"`
	Type        string `json:"type"`
	Subject     string `json:"subject"`
	Time        string `json:"time"`
	// Sequence is the extension of that name: it grows with every event of the
	// store, and sorts as text.
	Sequence        string `json:"sequence"`
	DataContentType string `json:"datacontenttype"`
	Data            any    `json:"data"`
}

// Headers of a record (CloudEvents Kafka Protocol Binding 1.0.2, 3.3): in the
// structured form those of the binary one may stand beside the content type.
const (
	contentTypeHeader = "content-type"
	contentType       = "application/cloudevents+json; charset=UTF-8"
	idHeader          = "ce_id"
	typeHeader        = "ce_type"
	subjectHeader     = "ce_subject"
)

// encode makes the message of an event; nil for one that is not public. Its errors
// are those of domain.Decode, and domain.ErrUnknownEvent for an event of an account
// on which nothing has been decided.
func (r *Relay) encode(event domain.Stored) (*message.Message, error) {
	account, ok := domain.StreamSubject(event.Stream)
	if !ok || unpublished[event.Type] {
		return nil, nil
	}
	public, ok := types[event.Type]
	if !ok {
		return nil, fmt.Errorf("%s@%d: %w: %q", event.Stream, event.Revision, domain.ErrUnknownEvent, event.Type)
	}
	recorded, err := domain.Decode(event, shut)
	if err != nil {
		return nil, err
	}
	payload, err := json.Marshal(cloudEvent{
		SpecVersion: "1.0", ID: event.ID.String(), Source: r.config.Source, Type: public.name, Subject: account.String(),
		Time: recorded.Metadata.OccurredAt.UTC().Format(time.RFC3339Nano), Sequence: fmt.Sprintf("%020d", event.Position),
		DataContentType: "application/json", Data: public.data(account, recorded.Event),
	})
	if err != nil {
		return nil, err
	}
	m := message.NewMessage(event.ID.String(), payload)
	m.Metadata = message.Metadata{
		contentTypeHeader: contentType, idHeader: event.ID.String(), typeHeader: public.name, subjectHeader: account.String(),
	}
	return m, nil
}

// shut leaves every sealed box unopened.
func shut([]byte) ([]byte, error) { return nil, domain.ErrErased }

// keyOf is the key of a record: the account.
func keyOf(_ string, m *message.Message) string { return m.Metadata[subjectHeader] }
