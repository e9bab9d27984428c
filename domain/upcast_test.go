package domain

import (
	"errors"
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
)

// Two shapes as they might have been before: one with a member of another name, one
// whose sealed part has not what it has today.
type (
	staffGrantedV0 struct {
		Why string `json:"why"`
	}
	signedInV0 struct {
		Session  uuid.UUID          `json:"session"`
		Personal Personal[originV0] `json:"-"`
	}
	originV0 struct {
		Address string `json:"address"`
	}
)

func (staffGrantedV0) event() {}
func (signedInV0) event()     {}

// withFormerTypes adds the rows of both.
func withFormerTypes(t *testing.T) {
	t.Helper()
	before := formerTypes
	t.Cleanup(func() { formerTypes = before })
	formerTypes = append(before,
		formerly(plain[staffGrantedV0]("StaffGranted", 0), func(old staffGrantedV0) StaffGranted { return StaffGranted{Reason: old.Why} }),
		formerly(sealed("SignedIn", 0, func(e *signedInV0) *Personal[originV0] { return &e.Personal }), func(old signedInV0) SignedIn {
			return SignedIn{
				SessionID: old.Session, Cause: "password",
				Personal: Personal[Origin]{Value: Origin{ClientAddress: old.Personal.Value.Address}, Erased: old.Personal.Erased},
			}
		}))
}

func decodeV0(t *testing.T, name, data string, open Opener) (Event, error) {
	t.Helper()
	recorded, err := Decode(Stored{Type: name, Data: []byte(data), Metadata: metadataOf(t, 0)}, open)
	return recorded.Event, err
}

// TestFormerShapesAreUpcast reads what is stored in a shape of before, and writes the
// present one.
func TestFormerShapesAreUpcast(t *testing.T) {
	session := uuid.New()
	stored := map[string]string{
		"StaffGranted": `{"why":"founder"}`,
		"SignedIn":     fmt.Sprintf(`{"session":%q,"personal":"Ym94OnsiYWRkcmVzcyI6IjE5Mi4wLjIuMSJ9"}`, session), // box:{"address":"192.0.2.1"}
	}
	for name, data := range stored {
		if _, err := decodeV0(t, name, data, openClear); !errors.Is(err, ErrUnknownEvent) {
			t.Errorf("%s without an upcaster: %v", name, err)
		}
	}
	withFormerTypes(t)
	for name, want := range map[string]Event{
		"StaffGranted": StaffGranted{Reason: "founder"},
		"SignedIn":     SignedIn{SessionID: session, Cause: "password", Personal: Seal(Origin{ClientAddress: "192.0.2.1"})},
	} {
		got, err := decodeV0(t, name, stored[name], openClear)
		if diff := cmp.Diff(want, got); err != nil || diff != "" {
			t.Errorf("%s (-want +got), %v:\n%s", name, err, diff)
		}
		if encoded, err := Encode(got); err != nil || encoded.Schema != 1 || encoded.Type != name {
			t.Errorf("%s is written as %s of schema %d, %v", name, encoded.Type, encoded.Schema, err)
		}
	}
	erased, err := decodeV0(t, "SignedIn", stored["SignedIn"], func([]byte) ([]byte, error) { return nil, ErrErased })
	if diff := cmp.Diff(SignedIn{SessionID: session, Cause: "password", Personal: Personal[Origin]{Erased: true}}, erased); err != nil || diff != "" {
		t.Errorf("erased (-want +got), %v:\n%s", err, diff)
	}
}

// TestFormerShapesAreReadStrictly: an upcaster is no way around the shape.
func TestFormerShapesAreReadStrictly(t *testing.T) {
	withFormerTypes(t)
	for name, data := range map[string]string{
		"the present shape": `{"reason":"founder"}`, "nothing": `{}`, "more": `{"why":"founder","reason":"founder"}`, "null": `{"why":null}`,
	} {
		if event, err := decodeV0(t, "StaffGranted", data, openClear); !errors.Is(err, ErrUnreadable) {
			t.Errorf("%s: %v, %v", name, event, err)
		}
	}
}

// TestOneShapeHasOneRow: a version that had two would be read as it happens.
func TestOneShapeHasOneRow(t *testing.T) {
	seen, present := map[EventName]bool{}, map[string]int{}
	for _, row := range eventTypes {
		seen[EventName{row.name, row.schema}] = true
		present[row.name] = row.schema
	}
	if len(seen) != len(eventTypes) || len(present) != len(eventTypes) {
		t.Error("a name stands twice among the present shapes")
	}
	for _, row := range formerTypes {
		name := EventName{row.name, row.schema}
		if seen[name] || row.schema >= present[row.name] {
			t.Errorf("%s of schema %d is no former shape", row.name, row.schema)
		}
		seen[name] = true
	}
}
