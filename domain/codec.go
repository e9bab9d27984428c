package domain

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"
)

// ErrErased is what an Opener returns for a box whose key was destroyed on
// purpose. Decoding then yields an event whose Personal part says Erased.
var ErrErased = errors.New("personal data erased")

// ErrUnknownEvent says that the store holds an event that this version of the
// program does not know. A consumer stops at it: skipping it silently would
// lose data.
var ErrUnknownEvent = errors.New("unknown event")

// ErrUnreadable says that a stored event is not what its type says, or that its
// box does not open: damaged, or written by something else.
var ErrUnreadable = errors.New("unreadable event")

// Opener opens a sealed box of personal fields.
type Opener func(box []byte) ([]byte, error)

// Encoded is an event in its stored shape, its personal members still apart.
type Encoded struct {
	Type     string
	Schema   int
	Public   []byte // JSON object
	Personal []byte // JSON object to seal; nil when the event has none
}

// eventType is a row of the table of stored names.
type eventType struct {
	name   string
	schema int
	zero   reflect.Type
	encode func(Event) (Encoded, error)
	decode func(data []byte, open Opener) (Event, error)
}

// eventTypes is the one table of stored names and schema versions. A row is
// never changed: a new shape gets a new version, and the one of before moves to
// formerTypes, with an upcaster.
var eventTypes = []eventType{
	sealed("AccountRegistered", 1, func(e *AccountRegistered) *Personal[RegisteredDetails] { return &e.Personal }),
	sealed("ActivationRequested", 1, func(e *ActivationRequested) *Personal[Names] { return &e.Personal }),
	plain[AccountActivated]("AccountActivated", 1),
	plain[RegistrationAbandoned]("RegistrationAbandoned", 1),
	plain[RegistrationExpired]("RegistrationExpired", 1),
	sealed("ProfileUpdated", 1, func(e *ProfileUpdated) *Personal[ProfileDetails] { return &e.Personal }),
	plain[ResetRequested]("ResetRequested", 1),
	plain[ResetLinkOpened]("ResetLinkOpened", 1),
	plain[PasswordChanged]("PasswordChanged", 1),
	plain[AccountDeactivated]("AccountDeactivated", 1),
	plain[AccountReactivated]("AccountReactivated", 1),
	plain[StaffGranted]("StaffGranted", 1),
	plain[StaffRevoked]("StaffRevoked", 1),
	sealed("AddressChangeRequested", 1, func(e *AddressChangeRequested) *Personal[NewAddress] { return &e.Personal }),
	sealed("AddressChanged", 1, func(e *AddressChanged) *Personal[NewAddress] { return &e.Personal }),
	plain[AddressChangeAbandoned]("AddressChangeAbandoned", 1),
	plain[AccountErased]("AccountErased", 1),
	plain[AddressClaimed]("AddressClaimed", 1),
	plain[AddressReleased]("AddressReleased", 1),
	sealed("SignedIn", 1, func(e *SignedIn) *Personal[Origin] { return &e.Personal }),
	sealed("SignedOut", 1, func(e *SignedOut) *Personal[Origin] { return &e.Personal }),
	sealed("SessionEnded", 1, func(e *SessionEnded) *Personal[Origin] { return &e.Personal }),
	plain[SignInRefused]("SignInRefused", 1),
	plain[StoreOpened]("StoreOpened", 1),
	plain[KeyRotated]("KeyRotated", 1),
	plain[KeyMadeCurrent]("KeyMadeCurrent", 1),
	plain[AuditRead]("AuditRead", 1),
	plain[TokenCreated]("TokenCreated", 1),
	plain[TokenRevoked]("TokenRevoked", 1),
	plain[ParkedAccountDiscarded]("ParkedAccountDiscarded", 1),
	plain[ParkedAccountRetried]("ParkedAccountRetried", 1),
}

// EventName is a stored name with its current schema version.
type EventName struct {
	Name   string
	Schema int
}

// EventNames lists the table, in its order.
func EventNames() []EventName {
	names := make([]EventName, len(eventTypes))
	for i, t := range eventTypes {
		names[i] = EventName{t.name, t.schema}
	}
	return names
}

// NameOf returns the stored name of an event; empty for nil and for a pointer,
// which are no events although Go lets them pass for one.
func NameOf(e Event) string {
	i := indexOf(e)
	if i < 0 {
		return ""
	}
	return eventTypes[i].name
}

func indexOf(e Event) int {
	return slices.IndexFunc(eventTypes, func(t eventType) bool { return t.zero == reflect.TypeOf(e) })
}

// Encode gives an event its stored shape. An event whose personal part is erased
// has none any more (ErrErased): storing it would turn "erased" into "empty".
func Encode(e Event) (Encoded, error) {
	i := indexOf(e)
	if i < 0 {
		return Encoded{}, fmt.Errorf("%w: %T", ErrUnknownEvent, e)
	}
	return eventTypes[i].encode(e)
}

// boxMember holds the sealed box, in base64.
const boxMember = "personal"

// Data joins the public members and the sealed box to what is stored. It refuses
// a sealed event without its box and a box without a sealed event.
func (e Encoded) Data(box []byte) ([]byte, error) {
	if (e.Personal == nil) != (len(box) == 0) {
		return nil, fmt.Errorf("join %s: %d bytes of sealed box", e.Type, len(box))
	}
	if e.Personal == nil {
		return e.Public, nil
	}
	sealed, err := json.Marshal(box)
	if err != nil {
		return nil, err
	}
	opening := e.Public[:len(e.Public)-1]
	if len(opening) > 1 {
		opening = append(bytes.Clone(opening), ',')
	}
	return slices.Concat(opening, []byte(`"`+boxMember+`":`), sealed, []byte(`}`)), nil
}

// Decode reads a stored event. open is asked only for events with a sealed
// part; its error comes back, unless it is ErrErased. Errors are ErrUnknownEvent
// or ErrUnreadable.
func Decode(s Stored, open Opener) (Recorded, error) {
	metadata, err := DecodeMetadata(s.Metadata)
	if err != nil {
		return Recorded{}, fmt.Errorf("%s@%d: %w: %w", s.Stream, s.Revision, ErrUnreadable, err)
	}
	event, err := decodeData(s.Type, metadata.Schema, s.Data, open)
	if err != nil {
		return Recorded{}, fmt.Errorf("%s@%d: %w", s.Stream, s.Revision, err)
	}
	return Recorded{s.Stream, s.Revision, s.Position, s.ID, event, metadata}, nil
}

func decodeData(name string, schema int, data []byte, open Opener) (Event, error) {
	for _, rows := range [][]eventType{eventTypes, formerTypes} {
		i := slices.IndexFunc(rows, func(t eventType) bool { return t.name == name && t.schema == schema })
		if i >= 0 {
			return rows[i].read(data, open)
		}
	}
	return nil, fmt.Errorf("%w: %q of schema %d", ErrUnknownEvent, name, schema)
}

func (t eventType) read(data []byte, open Opener) (Event, error) {
	event, err := t.decode(data, open)
	if err != nil {
		return nil, fmt.Errorf("decode %s: %w: %w", t.name, ErrUnreadable, err)
	}
	return event, nil
}

func plain[E Event](name string, schema int) eventType {
	public := shapeOf(reflect.TypeFor[E]())
	return eventType{
		name: name, schema: schema, zero: reflect.TypeFor[E](),
		encode: func(e Event) (Encoded, error) {
			public, err := json.Marshal(e)
			return Encoded{Type: name, Schema: schema, Public: public}, err
		},
		decode: func(data []byte, _ Opener) (Event, error) {
			var e E
			_, err := public.read(data, &e)
			return e, err
		},
	}
}

func sealed[E Event, T any](name string, schema int, part func(*E) *Personal[T]) eventType {
	public, personal := shapeOf(reflect.TypeFor[E]()), shapeOf(reflect.TypeFor[T]())
	public.add(boxMember, false, false)
	return eventType{
		name: name, schema: schema, zero: reflect.TypeFor[E](),
		encode: func(event Event) (Encoded, error) {
			e := event.(E)
			return encodeSealed(name, schema, e, part(&e))
		},
		decode: func(data []byte, open Opener) (Event, error) {
			var e E
			box, err := public.read(data, &e)
			if err != nil {
				return nil, err
			}
			err = openInto(part(&e), personal, box, open)
			return e, err
		},
	}
}

func encodeSealed[T any](name string, schema int, e Event, part *Personal[T]) (Encoded, error) {
	if part.Erased {
		return Encoded{}, fmt.Errorf("encode %s: %w", name, ErrErased)
	}
	public, err := json.Marshal(e)
	if err != nil {
		return Encoded{}, err
	}
	personal, err := json.Marshal(part.Value)
	return Encoded{Type: name, Schema: schema, Public: public, Personal: personal}, err
}

// strictBase64 gives one and the same box one stored form.
var strictBase64 = base64.StdEncoding.Strict()

func openInto[T any](part *Personal[T], personal shape, stored json.RawMessage, open Opener) error {
	text, plain := plainString(stored)
	if !plain {
		return errors.New("the box is not in base64")
	}
	box, err := strictBase64.AppendDecode(nil, text)
	if err != nil {
		return err
	}
	opened, err := open(box)
	if errors.Is(err, ErrErased) {
		part.Erased = true
		return nil
	}
	if err != nil {
		return err
	}
	_, err = personal.read(opened, &part.Value)
	return err
}
