package vault_test

import (
	"bytes"
	"testing"

	"github.com/google/uuid"

	"daybook/internal/testkit"
	"daybook/internal/vault"
)

// TestFixedOutlivesKeys: the first secret stays, whoever comes with another one, and
// when the master key is exchanged.
func TestFixedOutlivesKeys(t *testing.T) {
	pool := testkit.Database(t)
	before := testkit.KeySet("one")
	after := append(testkit.KeySet("two"), before...)
	first := bytes.Repeat([]byte{7}, 32)
	fixed := func(keys vault.KeySet, proposed byte) {
		t.Helper()
		secret, err := vault.New(pool, keys).Fixed(t.Context(), "ids", bytes.Repeat([]byte{proposed}, 32))
		if err != nil || !bytes.Equal(secret, first) {
			t.Fatalf("%x, %v", secret, err)
		}
	}
	fixed(before, 7)
	fixed(before, 8)
	if n, err := vault.New(pool, after).Rewrap(t.Context()); n != 1 || err != nil {
		t.Fatalf("%d wrapped anew, %v", n, err)
	}
	fixed(after[:1], 9)
	if subjects, err := vault.New(pool, after).Subjects(t.Context(), uuid.Nil, 10); err != nil || len(subjects) != 0 {
		t.Errorf("a secret passes for somebody: %v, %v", subjects, err)
	}
	other, err := vault.New(pool, after).Fixed(t.Context(), "others", bytes.Repeat([]byte{9}, 32))
	if err != nil || bytes.Equal(other, first) {
		t.Errorf("another name: %x, %v", other, err)
	}
}
