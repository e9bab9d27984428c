package domain

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/google/uuid"
)

// Event ids are on disk and make appends repeatable, so they never change.
func TestEventIDIsFixed(t *testing.T) {
	got := EventID(AccountStream(person), credential, 1)
	if want := uuid.MustParse("825ec507-7b5a-5e6f-a0f9-ed545c774e04"); got != want {
		t.Errorf("event id %s, want %s", got, want)
	}
	seen := map[uuid.UUID]bool{got: true}
	for _, other := range []uuid.UUID{
		EventID(AccountStream(person), credential, 0), EventID(AccountStream(person), credential, 11),
		EventID(AccessStream(person), credential, 1), EventID(AccountStream(person), attempt, 1),
	} {
		if seen[other] {
			t.Errorf("event id %s stands for two events", other)
		}
		seen[other] = true
	}
}

func TestMetadataIsAFlatMapOfStrings(t *testing.T) {
	for name, metadata := range map[string]Metadata{"full": sampleMetadata(1), "zero": {}} {
		stored, err := json.Marshal(metadata)
		if err != nil {
			t.Fatal(err)
		}
		var flat map[string]string
		if err := json.Unmarshal(stored, &flat); err != nil {
			t.Errorf("%s metadata %s: %v", name, stored, err)
		}
		for _, optional := range []string{"session", "request_id", "traceparent"} {
			if value, ok := flat[optional]; ok != (name == "full") || ok && value == "" {
				t.Errorf("%s metadata has %s %q", name, optional, value)
			}
		}
	}
}

func TestStreamNames(t *testing.T) {
	const text = "7b0c2f57-5d0e-4c6e-9a53-0d2f4f1f9b11"
	cases := []struct {
		stream                    string
		subject, account, address bool
	}{
		{AccountStream(person), true, true, false},
		{AccessStream(person), true, false, false},
		{AddressStream("k1", []byte{0, 255}), false, false, true},
		{StoreStream, false, false, false},
		{"account-", false, true, false},
		{"account-" + text[:35], false, true, false},
		{"account-7B0C2F57-5D0E-4C6E-9A53-0D2F4F1F9B11", false, true, false},
		{"account-{" + text + "}", false, true, false},
		{"account-urn:uuid:" + text, false, true, false},
		{"account-7b0c2f575d0e4c6e9a530d2f4f1f9b11", false, true, false},
		{"$$account-" + text, false, false, false},
		{"other-" + text, false, false, false},
		{text, false, false, false},
		{"", false, false, false},
	}
	for _, c := range cases {
		got, ok := StreamSubject(c.stream)
		if ok != c.subject || ok && got != person {
			t.Errorf("subject of %q is %s, %t", c.stream, got, ok)
		}
		if IsAccountStream(c.stream) != c.account || IsAddressStream(c.stream) != c.address {
			t.Errorf("%q: account %t, address %t", c.stream, IsAccountStream(c.stream), IsAddressStream(c.stream))
		}
	}
	if got := AddressStream("k1", []byte{0, 255}); got != "address-k1-00ff" {
		t.Errorf("address stream %q", got)
	}
}

func TestActors(t *testing.T) {
	for got, want := range map[string]string{
		AccountActor(person):        "account:7b0c2f57-5d0e-4c6e-9a53-0d2f4f1f9b11",
		SystemActor("housekeeping"): "system:housekeeping",
		OperatorActor("t1"):         "operator:t1",
	} {
		if got != want {
			t.Errorf("actor %q, want %q", got, want)
		}
	}
}

func TestMicro(t *testing.T) {
	typed := time.Date(2026, 11, 25, 13, 0, 0, 123456789, time.FixedZone("CET", 3600))
	if got, want := Micro(typed), time.Date(2026, 11, 25, 12, 0, 0, 123456000, time.UTC); got != want {
		t.Errorf("%s, want %s", got, want)
	}
	// A time must come back from the store as the very same value.
	stored, err := json.Marshal(Micro(time.Now()))
	if err != nil {
		t.Fatal(err)
	}
	var got time.Time
	if err := json.Unmarshal(stored, &got); err != nil || got != Micro(got) {
		t.Errorf("%s came back as %s (%v)", stored, got, err)
	}
}
