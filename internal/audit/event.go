package audit

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"log/slog"
	"time"

	"github.com/google/uuid"

	"daybook/domain"
	"daybook/internal/vault"
)

// What stands in place of a sealed member that is not shown.
const (
	Sealed  = "sealed"  // the reader may not see it
	Erased  = "erased"  // the person was erased
	Lost    = "lost"    // its key is gone without an erasure: an alarm
	Damaged = "damaged" // the box does not open in its place: an alarm
)

// personalMember is where a stored event has its sealed box.
const personalMember = "personal"

// Line is one event as it is delivered, as one line of JSON.
type Line struct {
	// Cursor leads to what comes behind this event.
	Cursor   string `json:"cursor"`
	Position uint64 `json:"position"`
	Stream   string `json:"stream"`
	Revision int64  `json:"revision"`
	ID       string `json:"id"`
	Type     string `json:"type"`
	// OccurredAt is absent from an event that does not tell.
	OccurredAt *time.Time      `json:"occurred_at,omitempty"`
	Metadata   json.RawMessage `json:"metadata"`
	// Data is the event's own; its member personal is an object when it was
	// opened, else one of the words above.
	Data json.RawMessage `json:"data"`
	// Box is the SHA-256 of the sealed member as it is stored, and Chain the running
	// hash up to this event. Only whole exports have them; see Chain.
	Box   string `json:"box,omitempty"`
	Chain string `json:"chain,omitempty"`
}

// event is a stored event, read no further than needed: types of a newer version
// are delivered like all others.
type event struct {
	stored     domain.Stored
	occurredAt time.Time
	schema     int
	members    map[string]json.RawMessage // nil when the data is no JSON object
}

func parse(s domain.Stored) event {
	e := event{stored: s}
	if metadata, err := domain.DecodeMetadata(s.Metadata); err == nil {
		e.occurredAt, e.schema = metadata.OccurredAt, metadata.Schema
	}
	if json.Unmarshal(s.Data, &e.members) != nil {
		e.members = nil
	}
	return e
}

// concerns reports whether the event is about the account.
func (e event) concerns(account uuid.UUID) bool {
	if subject, ok := domain.StreamSubject(e.stored.Stream); ok {
		return subject == account
	}
	var holder uuid.UUID
	return domain.IsAddressStream(e.stored.Stream) && json.Unmarshal(e.members["account_id"], &holder) == nil && holder == account
}

// box returns the sealed box, if the event has one.
func (e event) box() ([]byte, bool) {
	stored, ok := e.members[personalMember]
	if !ok {
		return nil, false
	}
	var box []byte
	_ = json.Unmarshal(stored, &box) // what is no box does not open
	return box, true
}

// renderer makes lines of events. ring is nil when personal fields stay sealed.
type renderer struct {
	cursors Cursors
	ring    *vault.Keyring
	boxes   bool
	logger  *slog.Logger
}

func (r renderer) line(ctx context.Context, e event) ([]byte, error) {
	s := e.stored
	line := Line{
		Cursor: r.cursors.At(s.Position), Position: s.Position, Stream: s.Stream, Revision: s.Revision,
		ID: s.ID.String(), Type: s.Type, OccurredAt: given(e.occurredAt), Metadata: asJSON(s.Metadata), Data: asJSON(s.Data),
	}
	if box, ok := e.box(); ok {
		if r.boxes {
			line.Box = boxHash(e.members[personalMember])
		}
		e.members[personalMember] = r.personal(ctx, e, box)
		data, err := json.Marshal(e.members)
		if err != nil {
			return nil, err
		}
		line.Data = data
	}
	return json.Marshal(line)
}

// personal returns what is shown of a sealed member.
func (r renderer) personal(ctx context.Context, e event, box []byte) json.RawMessage {
	if r.ring == nil {
		return word(Sealed)
	}
	s := e.stored
	subject, _ := domain.StreamSubject(s.Stream)
	opened, err := r.ring.Open(vault.Place{Stream: s.Stream, EventID: s.ID, Type: s.Type, Schema: e.schema, Subject: subject}, box)
	switch {
	case err == nil && json.Valid(opened):
		return opened
	case errors.Is(err, domain.ErrErased):
		return word(Erased)
	}
	r.logger.ErrorContext(ctx, "a sealed box does not open", slog.String("stream", s.Stream), slog.Int64("revision", s.Revision), slog.Any("error", err))
	if errors.Is(err, vault.ErrKeyLost) {
		return word(Lost)
	}
	return word(Damaged)
}

func word(state string) json.RawMessage { return json.RawMessage(`"` + state + `"`) }

// asJSON shows what is no JSON, which only another program could have written,
// as a base64 string.
func asJSON(stored []byte) json.RawMessage {
	if json.Valid(stored) {
		return stored
	}
	return word(base64.StdEncoding.EncodeToString(stored))
}
