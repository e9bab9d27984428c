package domain

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
)

// FuzzMembers: of JSON that encoding/json takes, the members are those that it
// sees, and of a name that comes twice the later one.
func FuzzMembers(f *testing.F) {
	for _, text := range []string{
		`{}`, ` { } `, `null`, `[1,{"a":2}]`, `"{}"`, `7`, `{"a":1}`, ` {"a" : {"b":[1,",}",{}]} , "c":"\\\"," , "c" : null } `,
		`{"\u0061":"x","b\"":[],"":{}}`, `{"reason":"x","reason":"y"}`, "{\"\xff\":1}", `{"ſ":-1.5e3,"t":true}`,
	} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		var want map[string]json.RawMessage
		if !json.Valid(data) {
			return
		}
		isObject := json.Unmarshal(data, &want) == nil && want != nil
		got := map[string]json.RawMessage{}
		object, err := eachMember(data, func(name, value []byte) error {
			// encoding/json replaces what is not UTF-8.
			got[strings.ToValidUTF8(string(name), "\ufffd")] = bytes.Clone(value)
			return nil
		})
		if object != isObject || err != nil {
			t.Fatalf("%q: object %t, want %t (%v)", data, object, isObject, err)
		}
		if len(want) != len(got) && utf8.Valid(data) {
			t.Errorf("%q: %d members, want %d", data, len(got), len(want))
		}
		for name, value := range want {
			if utf8.Valid(data) && !bytes.Equal(got[name], value) {
				t.Errorf("%q: %q is %s, want %s", data, name, got[name], value)
			}
		}
	})
}

// FuzzMetadata: metadata decodes as encoding/json decodes it.
func FuzzMetadata(f *testing.F) {
	f.Add(metadataOf(f, 1))
	f.Add(metadataOf(f, 12))
	for _, text := range []string{
		`{}`, `null`, ``, `[]`, `{"schema":"1"}`, `{"schema":"01"}`, `{"schema":"+1"}`, `{"schema":""}`, `{"schema":1}`, `{"schema":"99999"}`,
		`{"Schema":"2"}`, `{"actor":"a","actor":"b"}`, `{"actor":"\u0061"}`, `{"actor":"ü"}`, "{\"actor\":\"\xff\"}", `{"actor":null}`,
		`{"actor":"a"}x`, `{"actor":"a",}`, `{"actor":"a" }`, `{"other":"x","actor":"a"}`, `{"command_id":"urn:uuid:3d9f7c52-8f0a-4b1e-a7c4-2b6f0e5d1c3a"}`,
		`{"command_id":"x"}`, `{"occurred_at":"2026-11-25T12:00:00.5+01:00"}`, `{"occurred_at":"2026-11-25"}`, `{"occurred_at":"2026-11-25T12:00:00,5Z"}`,
		`{"occurred_at":""}`, "{\"actor\":\"a\nb\"}", "{\"actor\":\"a\x7fb\"}", `{"$causationId":"c","traceparent":"t","session":"s"}`,
	} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, stored []byte) {
		var want Metadata
		refused := json.Unmarshal(stored, &want)
		got, err := DecodeMetadata(stored)
		if (err == nil) != (refused == nil) {
			t.Fatalf("%q: error %v, want %v", stored, err, refused)
		}
		if diff := cmp.Diff(want, got); err == nil && diff != "" {
			t.Errorf("%q (-want +got):\n%s", stored, diff)
		}
	})
}

// What we write ourselves is read without encoding/json.

// What we write ourselves is read without encoding/json.
func TestOwnMetadataIsFlat(t *testing.T) {
	var m Metadata
	if stored := metadataOf(t, 1); !flatStrings(string(stored), m.set) {
		t.Errorf("%s is left to encoding/json", stored)
	}
}

// BenchmarkDecode measures one event with a sealed part, clear here, beside
// encoding/json alone, which checks no shape.
func BenchmarkDecode(b *testing.B) {
	encoded, err := Encode(samples[EventName{"ProfileUpdated", 1}].event)
	if err != nil {
		b.Fatal(err)
	}
	data, err := encoded.Data(sealClear(encoded.Personal))
	if err != nil {
		b.Fatal(err)
	}
	stored := Stored{Stream: AccountStream(person), Type: encoded.Type, Data: data, Metadata: metadataOf(b, 1)}
	b.Run("decode", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := Decode(stored, openClear); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("control", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			var e ProfileUpdated
			var m Metadata
			if json.Unmarshal(stored.Data, &e) != nil || json.Unmarshal(encoded.Personal, &e.Personal.Value) != nil || json.Unmarshal(stored.Metadata, &m) != nil {
				b.Fatal("not read")
			}
		}
	})
}
