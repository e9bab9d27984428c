package app_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"daybook/internal/testkit"
)

// TestAKilledServiceLeavesNothingForGood kills the service twice: the next start removes
// what it left among the temporary files, and tells nobody of the dead one meanwhile.
func TestAKilledServiceLeavesNothingForGood(t *testing.T) {
	t.Parallel()
	data := filepath.Join(t.TempDir(), strings.Repeat("long", 25)) // too long for a socket's address
	short, err := os.MkdirTemp("/tmp", "d")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(short) })
	m := &member{tb: t, arguments: []string{"serve"}, addr: closedPort(t), env: []string{
		"TMPDIR=" + short, "DAYBOOK_DATA_DIR=" + data, "DAYBOOK_DATABASE_URL=" + testkit.DatabaseURL(t), "DAYBOOK_METRICS_ADDR=off",
	}}
	m.env = append(m.env, "DAYBOOK_HTTP_ADDR="+m.addr)
	t.Cleanup(m.stop)
	for range 2 {
		m.start()
		m.kill()
	}
	m.start()
	left, err := filepath.Glob(filepath.Join(short, "*"))
	if err != nil || len(left) != 1 {
		t.Errorf("besides the socket's directory of the one that runs there is %v (%v)", left, err)
	}
}
