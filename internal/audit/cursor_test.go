package audit_test

import (
	"encoding/base64"
	"math"
	"testing"

	"github.com/google/uuid"
	"pgregory.net/rapid"

	"daybook/domain"
	"daybook/internal/audit"
)

func cursors(tb testing.TB, secret string, store uuid.UUID) audit.Cursors {
	tb.Helper()
	c, err := audit.NewCursors([]byte(secret), store)
	if err != nil {
		tb.Fatal(err)
	}
	return c
}

func TestCursorsOfAllProcessesAreTheSame(t *testing.T) {
	t.Parallel()
	store := uuid.New()
	one, other := cursors(t, "secret", store), cursors(t, "secret", store)
	rapid.Check(t, func(t *rapid.T) {
		position := rapid.Uint64Range(0, math.MaxUint64).Draw(t, "position")
		if got, err := other.Position(one.At(position)); err != nil || got != position {
			t.Fatalf("%d came back as %d, %v", position, got, err)
		}
	})
}

func TestForgedCursorsAreRefused(t *testing.T) {
	t.Parallel()
	store := uuid.New()
	c := cursors(t, "secret", store)
	good := c.At(4711)
	raw, err := base64.RawURLEncoding.DecodeString(good)
	if err != nil {
		t.Fatal(err)
	}
	forged := []string{"", "0", good + "A", good[1:], good[:len(good)-1], good + "=", " " + good, good + "\n",
		cursors(t, "another secret", store).At(4711), cursors(t, "secret", uuid.New()).At(4711)}
	for i := range 8 * len(raw) {
		flipped := append([]byte{}, raw...)
		flipped[i/8] ^= 1 << (i % 8)
		forged = append(forged, base64.RawURLEncoding.EncodeToString(flipped))
	}
	for _, cursor := range forged {
		if position, err := c.Position(cursor); !domain.IsKind(err, domain.KindInvalid) {
			t.Errorf("%q is taken for %d, %v", cursor, position, err)
		}
	}
}
