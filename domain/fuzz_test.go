package domain

import (
	"bytes"
	"net/mail"
	"testing"
	"unicode/utf8"
)

// fuzzValue holds a parser to its promise: what it accepts can be stored and
// parses to itself.
func fuzzValue(f *testing.F, cases []valueCase, parse func(string) (string, error)) {
	for _, c := range cases {
		f.Add(c.typed)
	}
	f.Fuzz(func(t *testing.T, typed string) {
		got, err := parse(typed)
		if err != nil {
			if got != "" || !IsKind(err, KindInvalid) {
				t.Errorf("%q refused with %q, %v", typed, got, err)
			}
			return
		}
		if again, err := parse(got); err != nil || again != got {
			t.Errorf("%q parses to %q, and that to %q (%v)", typed, got, again, err)
		}
		if got == "" || !storable(got) {
			t.Errorf("%q parses to %q, which cannot be stored", typed, got)
		}
	})
}

func FuzzParseName(f *testing.F) {
	fuzzValue(f, nameCases, func(typed string) (string, error) { return ParseName(FieldLastName, typed) })
}

func FuzzParsePhoneNumber(f *testing.F) { fuzzValue(f, phoneCases, ParsePhoneNumber) }

func FuzzParseGithubLink(f *testing.F) { fuzzValue(f, githubCases, ParseGithubLink) }

func FuzzParseBirthDate(f *testing.F) {
	fuzzValue(f, dateCases, func(typed string) (string, error) { return ParseBirthDate(typed, noon) })
}

func FuzzParseEmail(f *testing.F) {
	for _, c := range emailCases {
		f.Add(c.typed)
	}
	f.Fuzz(func(t *testing.T, typed string) {
		got, err := ParseEmail(typed)
		if err != nil {
			return
		}
		if again, err := ParseEmail(got.Canonical); err != nil || again.Canonical != got.Canonical {
			t.Errorf("%q is %q, and that is %q (%v)", typed, got.Canonical, again.Canonical, err)
		}
		if again, err := ParseEmail(got.Spelling); err != nil || again != got {
			t.Errorf("%q is %+v, its spelling %+v (%v)", typed, got, again, err)
		}
		if got.Spelling != typed || !storable(typed) {
			t.Errorf("%q is spelled %q", typed, got.Spelling)
		}
		// What mail libraries make of the spelling must be this one address.
		if list, err := mail.ParseAddressList(got.Spelling); err != nil || len(list) != 1 || list[0].Address != typed || list[0].Name != "" {
			t.Errorf("%q is a list of %v (%v)", typed, list, err)
		}
		if len(got.Canonical) > maxEmail || !lowerASCII(got.Canonical) {
			t.Errorf("%q is %q, which is no canonical key", typed, got.Canonical)
		}
	})
}

func lowerASCII(s string) bool {
	for _, r := range s {
		if r <= ' ' || r > '~' || r >= 'A' && r <= 'Z' {
			return false
		}
	}
	return true
}

func FuzzPasswordPolicy(f *testing.F) {
	for _, password := range []string{"12345SomeData", "Password123", "Lo\u0308welace", "ada", "xk7#qp2z\xff", "passwordpassword"} {
		f.Add(password, "ada@example.com")
	}
	f.Fuzz(func(t *testing.T, password, context string) {
		policy := PasswordPolicy{MinLength: 8}
		got, err := policy.Check(password, context)
		if err != nil {
			return
		}
		if again, err := policy.Check(got, context); err != nil || again != got {
			t.Errorf("%q becomes %q, and that %q (%v)", password, got, again, err)
		}
		if n := utf8.RuneCountInString(got); n < 8 || n > MaxPasswordLength || !utf8.ValidString(got) {
			t.Errorf("%q becomes %q of %d code points", password, got, n)
		}
	})
}

// What Decode accepts has one stored shape, and that decodes to the same event.
func FuzzDecode(f *testing.F) {
	for name, s := range samples {
		encoded, err := Encode(s.event)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(name.Name, encoded.Public, encoded.Personal, metadataOf(f, name.Schema))
	}
	f.Fuzz(func(t *testing.T, name string, public, personal, metadata []byte) {
		joined, err := joinClear(public, personal)
		if err != nil {
			return
		}
		got, err := Decode(Stored{Stream: AccountStream(person), Type: name, Data: joined, Metadata: metadata}, openClear)
		if err != nil {
			return
		}
		first := storedShape(t, got.Event)
		again, err := Decode(Stored{Stream: AccountStream(person), Type: name, Data: first, Metadata: metadata}, openClear)
		if err != nil {
			t.Fatalf("%s decoded to %+v, stored as %s: %v", joined, got.Event, first, err)
		}
		if second := storedShape(t, again.Event); !bytes.Equal(first, second) {
			t.Errorf("stored as %s, then as %s", first, second)
		}
		Evolve(given(activeSince(noon)...), again)
		EvolveClaim(NewClaim(address), again)
	})
}

// joinClear puts the clear box into the stored object, if there is one.
func joinClear(public, personal []byte) ([]byte, error) {
	if len(personal) == 0 || !bytes.HasSuffix(public, []byte("}")) {
		return public, nil
	}
	return Encoded{Public: public, Personal: personal}.Data(sealClear(personal))
}

func storedShape(t *testing.T, e Event) []byte {
	t.Helper()
	encoded, err := Encode(e)
	if err != nil {
		t.Fatal(err)
	}
	data, err := encoded.Data(sealClear(encoded.Personal))
	if err != nil {
		t.Fatal(err)
	}
	return data
}
