package vault_test

import (
	"strings"
	"testing"

	"daybook/internal/vault"
)

// FuzzParseKeySet: a set that is taken has whole keys of different ids and one
// spelling, and a refusal shows nothing of a key.
func FuzzParseKeySet(f *testing.F) {
	const secret = "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="
	for _, seed := range []string{"a:" + secret, " a:" + secret + " , b:" + secret + "\n", "a:" + secret + ",a:" + secret, "a:", ":", secret, "a b:" + secret, "a:" + secret[:43], ""} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		set, err := vault.ParseKeySet(text)
		if err != nil {
			if strings.Contains(text, secret) && strings.Contains(err.Error(), secret[:20]) {
				t.Errorf("the refusal shows a key: %v", err)
			}
			return
		}
		ids := map[string]bool{}
		for _, key := range set {
			if ids[key.ID] || key.ID == "" || len(key.Secret) != 32 {
				t.Errorf("%q has the key %q of %d bytes", text, key.ID, len(key.Secret))
			}
			ids[key.ID] = true
		}
		again, err := vault.ParseKeySet(set.String())
		if err != nil || again.String() != set.String() {
			t.Errorf("written again: %v", err)
		}
	})
}
