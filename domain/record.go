package domain

import (
	"fmt"
	"strings"
	"time"

	"github.com/google/uuid"
)

// NoStream is the revision of a stream that has no events.
const NoStream int64 = -1

// Stored is an event as it lies in the store, before it is decoded and opened.
type Stored struct {
	Stream   string    // name without the namespace prefix
	Revision int64     // place in the stream, from 0
	Position uint64    // commit position in the whole store
	ID       uuid.UUID // UUIDv5(stream, command id, ordinal)
	Type     string
	Data     []byte
	Metadata []byte
}

// Recorded is an event that has happened: decoded, opened, with its place.
type Recorded struct {
	Stream   string
	Revision int64
	Position uint64
	ID       uuid.UUID
	Event    Event
	Metadata Metadata
}

// Metadata says who did what by which command. It is stored as a flat map of
// strings, because newer servers demand that. Absent members are absent, not
// empty.
type Metadata struct {
	Schema        int       `json:"schema,string"`
	Command       string    `json:"command"`
	CommandID     uuid.UUID `json:"command_id"`
	CorrelationID string    `json:"$correlationId"`
	CausationID   string    `json:"$causationId"`
	Actor         string    `json:"actor"`
	Session       string    `json:"session,omitempty"`
	RequestID     string    `json:"request_id,omitempty"`
	Traceparent   string    `json:"traceparent,omitempty"`
	OccurredAt    time.Time `json:"occurred_at"`
	Producer      string    `json:"producer"`
}

// ActorAnonymous is the actor of a command by nobody signed in.
const ActorAnonymous = "anonymous"

// AccountActor names an account as actor.
func AccountActor(id uuid.UUID) string { return "account:" + id.String() }

// SystemActor names a part of the service as actor.
func SystemActor(name string) string { return "system:" + name }

// OperatorActor names an operator's token as actor.
func OperatorActor(tokenID string) string { return "operator:" + tokenID }

// Micro cuts a time to UTC microseconds: Postgres keeps no more, and a time
// must be the same wherever it is kept.
func Micro(t time.Time) time.Time { return t.UTC().Truncate(time.Microsecond) }

// eventNamespace is the fixed namespace of event ids.
var eventNamespace = uuid.MustParse("6f2d1c35-7f0a-5f0b-9c55-4d61f4d3a7c1")

// EventID derives the id of a command's event, so that a repeated append
// carries the same bytes and the store can recognise it.
func EventID(stream string, commandID uuid.UUID, ordinal int) uuid.UUID {
	return uuid.NewSHA1(eventNamespace, fmt.Appendf(nil, "%s\n%s\n%d", stream, commandID, ordinal))
}

const (
	accountPrefix = "account-"
	accessPrefix  = "access-"
	addressPrefix = "address-"
	// StoreStream holds what belongs to no account.
	StoreStream = "daybook-store"
)

// AccountStream names the stream that is an account's one decision boundary.
func AccountStream(id uuid.UUID) string { return accountPrefix + id.String() }

// AccessStream names the stream of an account's sign-ins and sign-outs.
func AccessStream(id uuid.UUID) string { return accessPrefix + id.String() }

// AddressStream names the claim stream of an address: the key's id and the
// keyed hash of the canonical address.
func AddressStream(keyID string, mac []byte) string {
	return fmt.Sprintf("%s%s-%x", addressPrefix, keyID, mac)
}

// IsAddressStream reports whether the stream is an address claim.
func IsAddressStream(stream string) bool { return strings.HasPrefix(stream, addressPrefix) }

// IsAccountStream reports whether the stream is an account's.
func IsAccountStream(stream string) bool { return strings.HasPrefix(stream, accountPrefix) }

// StreamSubject returns the account whose key seals the personal fields of the
// stream. It cuts at the first dash only: ids have dashes of their own.
func StreamSubject(stream string) (uuid.UUID, bool) {
	for _, prefix := range []string{accountPrefix, accessPrefix} {
		if rest, ok := strings.CutPrefix(stream, prefix); ok {
			id, err := uuid.Parse(rest)
			// Parse takes other spellings too, but a stream has one name.
			return id, err == nil && id.String() == rest
		}
	}
	return uuid.UUID{}, false
}
