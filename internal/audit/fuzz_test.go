package audit

import (
	"testing"

	"github.com/google/uuid"
)

// FuzzCursor: of all texts, the service takes those that it has made.
func FuzzCursor(f *testing.F) {
	store := uuid.MustParse("3d9eba7f-52ca-4d52-8d33-3b6d2d3f1e10")
	cursors, err := NewCursors([]byte("secret of all processes"), store)
	if err != nil {
		f.Fatal(err)
	}
	others, err := NewCursors([]byte("another secret"), store)
	if err != nil {
		f.Fatal(err)
	}
	for _, seed := range []string{cursors.At(0), cursors.At(1 << 40), others.At(1), cursors.At(1) + "\n", cursors.At(1)[:10], "", "AAAA"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, cursor string) {
		if position, err := cursors.Position(cursor); err == nil && cursors.At(position) != cursor {
			t.Errorf("%q is at %d, whose cursor is another", cursor, position)
		}
	})
}
