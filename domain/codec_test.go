package domain

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"go/ast"
	"go/parser"
	"go/token"
	"reflect"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func metadataOf(t testing.TB, schema int) []byte {
	t.Helper()
	metadata, err := json.Marshal(sampleMetadata(schema))
	if err != nil {
		t.Fatal(err)
	}
	return metadata
}

func TestEncodeAndDecodeAreInverse(t *testing.T) {
	metadata := metadataOf(t, 1)
	rapid.Check(t, func(t *rapid.T) {
		event := anyEvent(false).Draw(t, "event")
		encoded, err := Encode(event)
		if err != nil {
			t.Fatal(err)
		}
		data, err := encoded.Data(sealClear(encoded.Personal))
		if err != nil {
			t.Fatal(err)
		}
		got, err := Decode(Stored{Type: encoded.Type, Data: data, Metadata: metadata}, openClear)
		if err != nil {
			t.Fatalf("%s: %v", data, err)
		}
		if diff := cmp.Diff(event, got.Event); diff != "" {
			t.Errorf("decoded (-want +got):\n%s", diff)
		}
	})
}

// A row that is never drawn would make the properties blind to it.
func TestEveryEventIsDrawn(t *testing.T) {
	seen := map[string]bool{}
	for seed := range 2000 {
		seen[NameOf(anyEvent(false).Example(seed))] = true
	}
	for _, name := range EventNames() {
		if !seen[name.Name] {
			t.Errorf("%s is never drawn", name.Name)
		}
	}
}

// Each type that claims to be an event has a row, or it could not be stored.
func TestEveryEventHasARow(t *testing.T) {
	file, err := parser.ParseFile(token.NewFileSet(), "events.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	var declared []string
	for _, d := range file.Decls {
		if f, ok := d.(*ast.FuncDecl); ok && f.Name.Name == "event" {
			declared = append(declared, f.Recv.List[0].Type.(*ast.Ident).Name)
		}
	}
	var rows []string
	names := map[EventName]bool{}
	for i, row := range eventTypes {
		rows = append(rows, row.zero.Name())
		names[EventNames()[i]] = true
		if got := NameOf(reflect.Zero(row.zero).Interface().(Event)); got != row.name {
			t.Errorf("%s is named %q, want %q", row.zero, got, row.name)
		}
	}
	if diff := cmp.Diff(declared, rows); diff != "" || len(names) != len(rows) {
		t.Errorf("declared events and rows differ, or names are not unique (-declared +rows):\n%s", diff)
	}
}

func TestErasedIsNotEmpty(t *testing.T) {
	erased := func([]byte) ([]byte, error) { return nil, ErrErased }
	for name, s := range samples {
		encoded, err := Encode(s.event)
		if err != nil || encoded.Personal == nil {
			continue
		}
		data, err := encoded.Data([]byte("box"))
		if err != nil {
			t.Fatal(err)
		}
		got, err := Decode(Stored{Type: name.Name, Data: data, Metadata: metadataOf(t, name.Schema)}, erased)
		if err != nil {
			t.Fatalf("%s: %v", name.Name, err)
		}
		part := reflect.ValueOf(got.Event).FieldByName("Personal")
		if !part.FieldByName("Erased").Bool() || !part.FieldByName("Value").IsZero() {
			t.Errorf("%s decoded to %+v, want an erased part", name.Name, got.Event)
		}
		if _, err := Encode(got.Event); !errors.Is(err, ErrErased) {
			t.Errorf("%s stored again: %v, want ErrErased", name.Name, err)
		}
	}
}

func TestOpenerErrorComesBack(t *testing.T) {
	out := errors.New("the vault is out of reach")
	_, err := Decode(Stored{Type: "SignedIn", Metadata: metadataOf(t, 1),
		Data: []byte(`{"session_id":"0a1b2c3d-4e5f-4a6b-8c7d-9e0f1a2b3c4d","cause":"x","personal":"Ym94"}`)},
		func([]byte) ([]byte, error) { return nil, out })
	if !errors.Is(err, out) {
		t.Errorf("error %v, want the opener's", err)
	}
}

func box(personal string) string {
	return base64.StdEncoding.EncodeToString(sealClear([]byte(personal)))
}

func TestDecodeRefuses(t *testing.T) {
	const account, attempt = `"address_claim":"address-k1-00"`, `{"activation_id":"c1f0a3d2-0b1e-4a55-8e0e-52f3a1a0c0de","credential_id":`
	names := `"personal":"` + box(`{"email":"a@b.cd","first_name":"A","last_name":"B"}`) + `"`
	// One and the same box must not have two stored forms.
	strayBits := strings.TrimSuffix(box(`{"email":"a","first_name":"b","last_name":"c"}`), "0=") + "1="
	cases := []struct{ name, event, data string }{
		{"not JSON", "StaffGranted", `{`},
		{"nothing", "StaffGranted", ``},
		{"trailing data", "StaffGranted", `{"reason":"x"}{}`},
		{"an array", "StaffGranted", `[]`},
		{"null", "StaffGranted", `null`},
		{"a string", "StaffGranted", `"reason"`},
		{"an unknown member", "StaffGranted", `{"reason":"x","more":1}`},
		{"another spelling of a member", "StaffGranted", `{"Reason":"x"}`},
		{"a folded spelling of a member", "StaffGranted", `{"reaſon":"x"}`},
		{"a missing member", "StaffGranted", `{}`},
		{"a null member", "StaffGranted", `{"reason":null}`},
		{"a member of another type", "StaffGranted", `{"reason":1}`},
		{"an unexpected box", "StaffGranted", `{"reason":"x","personal":"Ym94"}`},
		{"an unexpected empty box", "StaffGranted", `{"reason":"x","personal":null}`},
		{"a null id", "AccountActivated", attempt + `null}`},
		{"a broken id", "AccountActivated", attempt + `"5f0d"}`},
		{"a broken time", "ResetRequested", `{"reset_id":"5f0d7c1a-66b3-4f2b-8a5f-9f3a7a5b0001","expires_at":"0000"}`},
		{"a null reset", "PasswordChanged", `{"credential_id":"5f0d7c1a-66b3-4f2b-8a5f-9f3a7a5b0001","cause":"reset","reset_id":null}`},
		{"a missing box", "AccountRegistered", `{` + account + `}`},
		{"a null box", "AccountRegistered", `{` + account + `,"personal":null}`},
		{"an empty box", "AccountRegistered", `{` + account + `,"personal":""}`},
		{"a box of numbers", "AccountRegistered", `{` + account + `,"personal":[98,111,120]}`},
		{"a box that is not base64", "AccountRegistered", `{` + account + `,"personal":"%"}`},
		{"a box with stray bits", "AccountRegistered", `{` + account + `,"personal":"` + strayBits + `"}`},
		{"a foreign box", "AccountRegistered", `{` + account + `,"personal":"Zm9yZWlnbg=="}`},
		{"an unknown member beside the box", "AccountRegistered", `{` + account + `,"email":"a@b.cd",` + names + `}`},
		{"a box with an unknown member", "AccountRegistered", `{` + account + `,"personal":"` + box(`{"email":"a","first_name":"b","last_name":"c","age":1}`) + `"}`},
		{"a box with a missing member", "AccountRegistered", `{` + account + `,"personal":"` + box(`{"email":"a","first_name":"b"}`) + `"}`},
		{"a box with null", "AccountRegistered", `{` + account + `,"personal":"` + box(`null`) + `"}`},
		{"a box with trailing data", "AccountRegistered", `{` + account + `,"personal":"` + box(`{"email":"a","first_name":"b","last_name":"c"}{}`) + `"}`},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			got, err := Decode(Stored{Stream: "account-x", Revision: 7, Type: c.event, Data: []byte(c.data), Metadata: metadataOf(t, 1)}, openClear)
			if err == nil {
				t.Fatalf("decoded to %+v", got.Event)
			}
			if !strings.Contains(err.Error(), "account-x@7") {
				t.Errorf("error %q does not tell the place", err)
			}
		})
	}
}

func TestDecodeStopsAtUnknownEvents(t *testing.T) {
	for name, s := range map[string]Stored{
		"type":              {Type: "AccountMoved", Data: []byte(`{}`), Metadata: metadataOf(t, 1)},
		"spelling":          {Type: "staffgranted", Data: []byte(`{"reason":"x"}`), Metadata: metadataOf(t, 1)},
		"schema":            {Type: "StaffGranted", Data: []byte(`{"reason":"x"}`), Metadata: metadataOf(t, 2)},
		"schema of no kind": {Type: "StaffGranted", Data: []byte(`{"reason":"x"}`), Metadata: []byte(`{}`)},
	} {
		if _, err := Decode(s, openClear); !errors.Is(err, ErrUnknownEvent) {
			t.Errorf("unknown %s: %v, want ErrUnknownEvent", name, err)
		}
	}
	for _, metadata := range []string{``, `[]`, `{"schema":1}`, `{"schema":"one"}`, `{"schema":"1","occurred_at":"yesterday"}`, `{"schema":"1","command_id":"x"}`} {
		if _, err := Decode(Stored{Type: "StaffGranted", Data: []byte(`{"reason":"x"}`), Metadata: []byte(metadata)}, openClear); err == nil {
			t.Errorf("metadata %q decoded", metadata)
		}
	}
}

func TestEncodeRefusesWhatIsNoEvent(t *testing.T) {
	for _, e := range []Event{nil, &StaffGranted{"x"}, (*StaffGranted)(nil)} {
		if _, err := Encode(e); !errors.Is(err, ErrUnknownEvent) {
			t.Errorf("%T: %v, want ErrUnknownEvent", e, err)
		}
		if name := NameOf(e); name != "" {
			t.Errorf("%T is named %q", e, name)
		}
	}
}

func TestDataNeedsABoxExactlyWhenSealed(t *testing.T) {
	plain, sealed := Encoded{Public: []byte(`{"a":1}`)}, Encoded{Public: []byte(`{"a":1}`), Personal: []byte(`{}`)}
	empty := Encoded{Public: []byte(`{}`), Personal: []byte(`{}`)}
	for _, c := range []struct {
		encoded Encoded
		box     []byte
		want    string
	}{
		{plain, nil, `{"a":1}`},
		{plain, []byte("box"), ""},
		{sealed, []byte("box"), `{"a":1,"personal":"Ym94"}`},
		{empty, []byte("box"), `{"personal":"Ym94"}`},
		{sealed, nil, ""},
		{sealed, []byte{}, ""},
	} {
		got, err := c.encoded.Data(c.box)
		if string(got) != c.want || (err == nil) != (c.want != "") {
			t.Errorf("%s with box %q: %s (%v), want %s", c.encoded.Public, c.box, got, err, c.want)
		}
	}
	if string(sealed.Public) != `{"a":1}` {
		t.Errorf("Data changed its receiver to %s", sealed.Public)
	}
}

func TestOptionalMembersAreAbsent(t *testing.T) {
	for _, c := range []struct {
		event            Event
		public, personal string
	}{
		{PasswordChanged{CredentialID: credential, Cause: CauseChange}, `{"credential_id":"5f0d7c1a-66b3-4f2b-8a5f-9f3a7a5b0001","cause":"change"}`, ``},
		{ProfileUpdated{Changed: []string{FieldBirthDate}}, `{"changed":["birth_date"],"thumbnail":null}`, `{}`},
	} {
		got, err := Encode(c.event)
		if err != nil || string(got.Public) != c.public || string(got.Personal) != c.personal {
			t.Errorf("%T is stored as %s and %s (%v), want %s and %s", c.event, got.Public, got.Personal, err, c.public, c.personal)
		}
	}
}
