package domain

import (
	"errors"
	"fmt"
	"io"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestIsKind(t *testing.T) {
	wrapped := fmt.Errorf("decide: %w", ErrVersion)
	if !IsKind(wrapped, KindPreconditionFailed) || IsKind(wrapped, KindInvalid) || IsKind(nil, KindInvalid) || IsKind(io.EOF, KindInvalid) {
		t.Errorf("kinds of %v, nil and %v are mixed up", wrapped, io.EOF)
	}
}

func TestJoinInvalid(t *testing.T) {
	first, last := Invalid(FieldFirstName, "First."), Invalid(FieldLastName, "Last.")
	if err := JoinInvalid(nil, nil); err != nil {
		t.Errorf("nothing joined to %v", err)
	}
	if err := JoinInvalid(first, nil, io.EOF); !errors.Is(err, io.EOF) {
		t.Errorf("an error of another type became %v", err)
	}
	joined, ok := errors.AsType[*Error](JoinInvalid(nil, first, fmt.Errorf("x: %w", last)))
	want := &Error{KindInvalid, "invalid_first_name", "First.", map[string]string{FieldFirstName: "First.", FieldLastName: "Last."}}
	if diff := cmp.Diff(want, joined); !ok || diff != "" {
		t.Errorf("joined (-want +got):\n%s", diff)
	}
	if e, _ := errors.AsType[*Error](first); len(e.Fields) != 1 {
		t.Errorf("joining changed its argument to %v", e.Fields)
	}
}
