package app_test

import (
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"daybook/internal/eventstore"
	"daybook/internal/testkit"
)

// TestEventStoreCommandsAfterACrash kills an event store under load. Its newest events
// are in its log then, and no command reads the file without them unless told to.
func TestEventStoreCommandsAfterACrash(t *testing.T) {
	file, addr := filepath.Join(t.TempDir(), "events.db"), closedPort(t)
	m := &member{tb: t, arguments: []string{"eventstore", "--addr", addr, "--file", file}}
	m.start()
	t.Cleanup(m.stop)
	load := appendTo(t, storeClient(t, eventstore.Config{URL: "esdb://" + addr + "?tls=false"}), 8)
	testkit.Await(t, 20*time.Second, "appends", func() bool { return load.total() > 100 })
	load.stop()
	m.kill()
	target := func(name string) string { return filepath.Join(filepath.Dir(file), name) }
	out, err := command(t, "eventstore", "verify", "--file", file)
	counted := regexp.MustCompile(`(\d+) events in \d+ streams`).FindStringSubmatch(out)
	if err != nil || counted == nil {
		t.Fatalf("verify: %v %s", err, out)
	}
	if count, err := strconv.ParseInt(counted[1], 10, 64); err != nil || count < load.total() {
		t.Errorf("there are %d events (%v), %d were acknowledged", count, err, load.total())
	}
	sound := counted[0]
	wantCommand(t, nil, sound, "compact", "--file", file, target("compact.db"))

	if err := os.Rename(file+".log0", target("moved")); err != nil {
		t.Fatal(err)
	}
	refused := errors.New("a file of it is missing")
	wantCommand(t, refused, "", "verify", "--file", file)
	wantCommand(t, refused, "", "compact", "--file", file, target("refused.db"))
	wantCommand(t, refused, "", "backup", "--file", file, target("refused.db"))
	wantCommand(t, refused, "", "copy", file, target("refused.db"))
	wantCommand(t, nil, "is sound", "compact", "--without-log", "--file", file, target("without.db"))
	if err := os.Rename(target("moved"), file+".log0"); err != nil {
		t.Fatal(err)
	}
	wantCommand(t, nil, sound, "backup", "--file", file, target("backup.db"))
	wantCommand(t, nil, sound, "verify", "--file", file)
}

// wantCommand runs a subcommand of eventstore that is to say something, or to be refused
// with a sentence like that of the error.
func wantCommand(t *testing.T, refused error, says string, arguments ...string) {
	t.Helper()
	out, err := command(t, append([]string{"eventstore"}, arguments...)...)
	if refused == nil && err == nil && strings.Contains(out, says) {
		return
	}
	if refused == nil || err == nil || !strings.Contains(err.Error(), refused.Error()) {
		t.Errorf("%s: %v %s, want %q %v", arguments[0], err, out, says, refused)
	}
}
