package app_test

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"daybook/internal/app"
)

// TestAuditorKeepsHeads is the way of an auditor who keeps heads where the operator
// cannot write: later exports, and the store itself, must go on from them.
func TestAuditorKeepsHeads(t *testing.T) {
	t.Parallel()
	s := settings(t)
	running, stop := run(t, s)
	defer stop()
	dir := t.TempDir()
	at := func(name string) string { return filepath.Join(dir, name) }
	running.register("kept@example.com")
	_, notes := mustConsole(t, s, "audit", "export", at("1.ndjson.gz"), "--head", at("1.head"), "--personal")
	kept, err := os.ReadFile(at("1.head"))
	if err != nil || !strings.Contains(notes, "head "+string(kept)) {
		t.Fatalf("the head is not shown: %v: %s", err, notes)
	}
	running.register("later@example.com")
	mustConsole(t, s, "audit", "export", at("2.ndjson"), "--head", at("2.head"))
	mustConsole(t, s, "audit", "export", at("rest.ndjson"), "--behind", at("1.head"), "--head", at("3.head"))
	for _, sound := range [][]string{
		{at("1.ndjson.gz"), "--head", at("1.head")}, {at("2.ndjson"), "--head", at("2.head"), "--against", at("1.head")},
		{at("rest.ndjson"), "--behind", at("1.head"), "--head", at("3.head"), "--against", at("2.head")},
	} {
		if out, _ := mustConsole(t, s, append([]string{"audit", "verify"}, sound...)...); !strings.Contains(out, "the same as the heads say") {
			t.Errorf("%v: %s", sound, out)
		}
	}
	if out, _ := mustConsole(t, s, "audit", "verify", at("2.ndjson")); !strings.Contains(out, "may have made it all up") {
		t.Errorf("verified against nothing: %s", out)
	}
	if head, _ := mustConsole(t, s, "audit", "head", "--against", at("1.head"), "--against", at("3.head")); !strings.Contains(head, `"chain":`) {
		t.Errorf("head of the store: %s", head)
	}
	wrongFiles(t, s, at)
	wrongHead(t, s, at, kept)
	if _, _, err := console(t, s, "audit", "export", at("4.ndjson"), "--type", "SignedIn", "--head", at("4.head")); err == nil || !strings.Contains(err.Error(), "whole export") {
		t.Errorf("a selection has a head: %v", err)
	}
}

func wrongFiles(t *testing.T, s app.Settings, at func(string) string) {
	t.Helper()
	content, err := os.ReadFile(at("2.ndjson"))
	if err != nil {
		t.Fatal(err)
	}
	lines := bytes.SplitAfter(content, []byte("\n"))
	lines = lines[:len(lines)-1]
	for name, wrong := range map[string][]byte{
		"cut off":   content[:len(content)-2],
		"shorter":   bytes.Join(lines[:3], nil),
		"removed":   bytes.Join(append(lines[:2:2], lines[3:]...), nil),
		"moved":     bytes.Join(append([][]byte{lines[1], lines[0]}, lines[2:]...), nil),
		"rewritten": bytes.ReplaceAll(content, []byte("AccountActivated"), []byte("AccountAbandoned")),
		"a cursor":  bytes.Replace(content, []byte(`"cursor":"`), []byte(`"cursor":"A`), 1), // only the file's own hash has it
	} {
		path := at(strings.ReplaceAll(name, " ", "-") + ".ndjson")
		if err := os.WriteFile(path, wrong, 0o600); err != nil {
			t.Fatal(err)
		}
		if out, _, err := console(t, s, "audit", "verify", path, "--against", at("1.head"), "--head", at("2.head")); err == nil {
			t.Errorf("%s: %s", name, out)
		}
	}
}

// wrongHead plays a store whose history is another one than the auditor's head says.
func wrongHead(t *testing.T, s app.Settings, at func(string) string, kept []byte) {
	t.Helper()
	_, rest, _ := bytes.Cut(kept, []byte(`"chain":"`))
	other := byte('0')
	if rest[0] == other {
		other = '1'
	}
	changed := bytes.Replace(kept, append([]byte(`"chain":"`), rest[0]), append([]byte(`"chain":"`), other), 1)
	if err := os.WriteFile(at("other.head"), changed, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{
		{"audit", "verify", at("2.ndjson"), "--against", at("other.head")}, {"audit", "head", "--against", at("other.head")},
		{"audit", "verify", at("1.ndjson.gz"), "--against", at("2.head")}, // the end is missing
	} {
		if _, _, err := console(t, s, args...); err == nil || !strings.Contains(err.Error(), "not the history") {
			t.Errorf("%v: %v", args, err)
		}
	}
}
