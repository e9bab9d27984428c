package golden_test

import (
	"os"
	"path/filepath"
	"slices"
	"testing"

	"daybook/internal/testkit/golden"
)

func TestAddMissing(t *testing.T) {
	folder := golden.Folder(filepath.Join(t.TempDir(), "events"))
	for _, name := range []string{"b.v1.json", "a.v1.json"} {
		folder.AddMissing(t, name, []byte(name))
	}
	list := string(folder.Read(t, "CHECKSUMS"))
	folder.AddMissing(t, "a.v1.json", []byte("another shape"))
	if got := string(folder.Read(t, "a.v1.json")); got != "a.v1.json" {
		t.Errorf("a file that was there is now %q", got)
	}
	if got := string(folder.Read(t, "CHECKSUMS")); got != list {
		t.Errorf("a file that was there changed the list to %q", got)
	}
	if names := folder.Names(t); !slices.Equal(names, []string{"a.v1.json", "b.v1.json"}) {
		t.Errorf("files %q", names)
	}
	folder.Check(t)
}

// recorder is a test that may fail.
type recorder struct {
	testing.TB
	failed bool
}

func (r *recorder) Errorf(string, ...any) { r.failed = true }

func TestCheck(t *testing.T) {
	for name, spoil := range map[string]func(dir string) error{
		"changed": func(dir string) error { return os.WriteFile(filepath.Join(dir, "a.v1.json"), []byte("another"), 0o644) },
		"added":   func(dir string) error { return os.WriteFile(filepath.Join(dir, "b.v1.json"), nil, 0o644) },
		"removed": func(dir string) error { return os.Remove(filepath.Join(dir, "a.v1.json")) },
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			golden.Folder(dir).AddMissing(t, "a.v1.json", []byte("a"))
			if err := spoil(dir); err != nil {
				t.Fatal(err)
			}
			r := &recorder{TB: t}
			golden.Folder(dir).Check(r)
			if !r.failed {
				t.Error("it was not noticed")
			}
		})
	}
}
