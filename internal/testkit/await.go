package testkit

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// Await asks until the condition holds, and fails the test when it does not
// within the time.
func Await(tb testing.TB, within time.Duration, what string, condition func() bool) {
	tb.Helper()
	ticker := time.NewTicker(5 * time.Millisecond)
	defer ticker.Stop()
	deadline := time.After(within)
	for !condition() {
		select {
		case <-ticker.C:
		case <-deadline:
			tb.Fatalf("not within %v: %s", within, what)
		case <-tb.Context().Done():
			tb.Fatalf("test ended while waiting: %s", what)
		}
	}
}

// OpenParents lets other users pass through the test's directory, as Postgres's
// own user must when the tests run as root.
func OpenParents(tb testing.TB, dir string) {
	tb.Helper()
	for ; strings.HasPrefix(dir, os.TempDir()+string(os.PathSeparator)); dir = filepath.Dir(dir) {
		if err := os.Chmod(dir, 0o711); err != nil {
			tb.Fatal(err)
		}
	}
}
