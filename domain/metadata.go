package domain

import (
	"encoding/json"
	"fmt"
	"strconv"

	"github.com/google/uuid"
)

// DecodeMetadata reads stored metadata. Every consumer reads it of every event:
// what is written as we write it is read without encoding/json, to the same
// result, in a tenth of the time.
func DecodeMetadata(stored []byte) (Metadata, error) {
	var m Metadata
	if flatStrings(string(stored), m.set) {
		return m, nil
	}
	m = Metadata{}
	if err := json.Unmarshal(stored, &m); err != nil {
		return Metadata{}, fmt.Errorf("decode metadata: %w", err)
	}
	return m, nil
}

// set sets the member of that name. It is false for what is left to
// encoding/json: other names, of which it takes some spellings, and what it may
// refuse.
func (m *Metadata) set(name, value string) (ok bool) {
	switch name {
	case "schema":
		m.Schema, ok = smallNumber(value)
		return ok
	case "command_id":
		var err error
		m.CommandID, err = uuid.Parse(value)
		return err == nil
	case "occurred_at":
		return m.OccurredAt.UnmarshalText([]byte(value)) == nil
	}
	text := m.text(name)
	if text == nil {
		return false
	}
	*text = value
	return true
}

func (m *Metadata) text(name string) *string {
	switch name {
	case "command":
		return &m.Command
	case "$correlationId":
		return &m.CorrelationID
	case "$causationId":
		return &m.CausationID
	case "actor":
		return &m.Actor
	case "session":
		return &m.Session
	case "request_id":
		return &m.RequestID
	case "traceparent":
		return &m.Traceparent
	case "producer":
		return &m.Producer
	}
	return nil
}

// smallNumber reads a positive number of at most four digits.
func smallNumber(text string) (n int, ok bool) {
	if text == "" || len(text) > 4 || text[0] < '1' || text[0] > '9' {
		return 0, false
	}
	n, err := strconv.Atoi(text)
	return n, err == nil
}
