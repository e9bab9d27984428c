package golden

import (
	"crypto/sha256"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write missing golden files and generated documents")

// Updating reports whether the tests were asked, by -update, to write what is missing
// or generated.
func Updating() bool { return *update }

// Folder is the path of a folder of golden files, each a .json. Its file CHECKSUMS
// lists them as sha256sum --check reads it.
type Folder string

// Read returns what is in the file of the name, and fails the test when there is none.
func (f Folder) Read(tb testing.TB, name string) []byte {
	tb.Helper()
	content, err := os.ReadFile(f.path(name))
	if err != nil {
		tb.Fatal(err)
	}
	return content
}

// Names lists the files, sorted.
func (f Folder) Names(tb testing.TB) (names []string) {
	tb.Helper()
	paths, err := filepath.Glob(f.path("*.json"))
	if err != nil {
		tb.Fatal(err)
	}
	for _, path := range paths {
		names = append(names, filepath.Base(path))
	}
	return names
}

// AddMissing writes the file and its line of CHECKSUMS. It changes no file that is
// there, and no other line.
func (f Folder) AddMissing(tb testing.TB, name string, content []byte) {
	tb.Helper()
	if _, err := os.Stat(f.path(name)); !errors.Is(err, fs.ErrNotExist) {
		return
	}
	if err := os.MkdirAll(string(f), 0o755); err != nil {
		tb.Fatal(err)
	}
	list, err := os.ReadFile(f.path(checksums))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		tb.Fatal(err)
	}
	lines := append(slices.Collect(strings.Lines(string(list))), line(name, content))
	slices.SortFunc(lines, func(a, b string) int { return strings.Compare(a[2*sha256.Size:], b[2*sha256.Size:]) })
	for name, content := range map[string][]byte{name: content, checksums: []byte(strings.Join(lines, ""))} {
		if err := os.WriteFile(f.path(name), content, 0o644); err != nil {
			tb.Fatal(err)
		}
	}
}

// Check fails the test unless the files are those of CHECKSUMS, byte for byte.
func (f Folder) Check(tb testing.TB) {
	tb.Helper()
	var lines strings.Builder
	for _, name := range f.Names(tb) {
		lines.WriteString(line(name, f.Read(tb, name)))
	}
	if diff := cmp.Diff(string(f.Read(tb, checksums)), lines.String()); diff != "" {
		tb.Errorf("golden files differ from their list; what has changed needs a new version (-list +files):\n%s", diff)
	}
}

const checksums = "CHECKSUMS"

func (f Folder) path(name string) string { return filepath.Join(string(f), name) }

func line(name string, content []byte) string {
	return fmt.Sprintf("%x  %s\n", sha256.Sum256(content), name)
}
