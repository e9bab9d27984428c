package app

import (
	"os"
	"path/filepath"
	"testing"

	"daybook/internal/keyring"
)

// FuzzKeyFile: a damaged file of generated keys stops a start with a sentence; what
// is taken holds whole keys of every kind.
func FuzzKeyFile(f *testing.F) {
	dir := f.TempDir()
	path := filepath.Join(dir, keyFileName)
	if _, err := makeKeyFile(path); err != nil {
		f.Fatal(err)
	}
	whole, err := os.ReadFile(path)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(whole)
	f.Add(whole[:len(whole)/2])
	f.Add([]byte(`{"master":"a:x"}`))
	f.Add([]byte(`{}`))
	f.Add([]byte("\x00"))
	f.Fuzz(func(t *testing.T, content []byte) {
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
		sets, err := (&Settings{DataDir: dir}).readKeys()
		if err != nil {
			return
		}
		for _, kind := range keyring.Kinds() {
			if len(sets[kind]) == 0 || len(sets[kind][0].Secret) != 32 {
				t.Errorf("%q is taken for whole, without %s keys", content, kind)
			}
		}
	})
}
