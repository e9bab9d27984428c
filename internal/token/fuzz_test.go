package token_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"daybook/domain"
	"daybook/internal/testkit"
	"daybook/internal/token"
	"daybook/internal/vault"
)

// FuzzMatches: of all texts one matches, and none is a failure.
func FuzzMatches(f *testing.F) {
	pool := testkit.Database(f)
	keys := vault.New(pool, masters)
	account, id, expires := uuid.New(), uuid.New(), domain.Micro(time.Now())
	if _, err := keys.Seal(f.Context(), vault.Place{Subject: account}, []byte("{}")); err != nil {
		f.Fatal(err)
	}
	m := &token.Maker{Keys: testkit.KeySet("token"), Vault: keys}
	made, err := m.Token(f.Context(), domain.PurposeReset, account, id, expires)
	if err != nil {
		f.Fatal(err)
	}
	for _, seed := range []string{made, made + "A", made[:len(made)-1], strings.ToUpper(made), strings.Replace(made, ".", "..", 1), ".", "", "token.", made + "\x00", made + "="} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if ok, err := m.Matches(t.Context(), text, domain.PurposeReset, account, id, expires); ok != (text == made) || err != nil {
			t.Errorf("%q: %v, %v", text, ok, err)
		}
	})
}
