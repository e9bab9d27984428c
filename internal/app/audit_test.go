package app_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"daybook/internal/app"
	"daybook/internal/testkit"
)

// console runs a subcommand as an operator does at the machine of the service.
func console(tb testing.TB, s app.Settings, args ...string) (out, notes string, err error) {
	tb.Helper()
	var printed, told logBuffer
	err = consoleWith(tb.Context(), s, &printed, &told, args...)
	return printed.String(), told.String(), err
}

func consoleWith(ctx context.Context, s app.Settings, out, notes io.Writer, args ...string) error {
	return app.Main(ctx, append(args, "--data-dir", s.DataDir, "--database-url", s.DatabaseURL), out, notes)
}

func mustConsole(tb testing.TB, s app.Settings, args ...string) (out, notes string) {
	tb.Helper()
	out, notes, err := console(tb, s, args...)
	if err != nil {
		tb.Fatalf("daybook %v: %v", args, err)
	}
	return out, notes
}

// run starts the service and returns what ends it.
func run(tb testing.TB, s app.Settings) (*service, func()) {
	tb.Helper()
	logs := &logBuffer{}
	a, err := app.Open(tb.Context(), s, app.Everything, slog.New(slog.NewJSONHandler(logs, nil)))
	if err != nil {
		tb.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- a.Run(ctx) }()
	return &service{tb: tb, app: a, URL: "http://" + a.Addr(), logs: logs}, func() {
		cancel()
		if err := <-ended; err != nil {
			tb.Errorf("run: %v", err)
		}
	}
}

// TestAudit is an auditor's way: a token made at the console, sealed and opened
// replays, and the record of both.
func TestAudit(t *testing.T) {
	t.Parallel()
	const email = "Canary.Audit@example.com"
	s := settings(t)
	running := start(t, s)
	member := running.signedIn(email)
	token, _ := mustConsole(t, s, "token", "create", "--scope", "audit:read", "--expires", "1h", "--name", "the auditor")
	opener, _ := mustConsole(t, s, "token", "create", "--scope", "audit:read", "--scope", "audit:read:personal")
	bearer := func(token string) []string { return []string{"Authorization", "Bearer " + strings.TrimSpace(token)} }

	b := running.browser()
	sealed := b.do(http.MethodGet, "/audit/events", nil, "", bearer(token)...)
	if sealed.Status != http.StatusOK || bytes.Contains(sealed.Body, []byte("anary")) || bytes.Contains(sealed.Body, []byte("127.0.0.1")) {
		t.Errorf("sealed: %d %s", sealed.Status, sealed.Body)
	}
	for _, name := range []string{"StoreOpened", "AddressClaimed", "AccountRegistered", "AccountActivated", "SignedIn", "TokenCreated"} {
		if !bytes.Contains(sealed.Body, []byte(`"type":"`+name+`"`)) {
			t.Errorf("no %s in the trail", name)
		}
	}
	opened := b.do(http.MethodGet, "/audit/events?type=AccountRegistered,SignedIn,AuditRead", nil, "", bearer(opener)...)
	if !bytes.Contains(opened.Body, []byte(email)) || !bytes.Contains(opened.Body, []byte("127.0.0.1")) || !bytes.Contains(opened.Body, []byte(`"type":"AuditRead"`)) {
		t.Errorf("opened: %d %s", opened.Status, opened.Body)
	}

	// Sessions do not open the audit, tokens open nothing else.
	want(t, member.get("/audit/events"), http.StatusUnauthorized, "code", "invalid_token")
	want(t, b.do(http.MethodGet, "/users/current-user/", nil, "", bearer(token)...), http.StatusUnauthorized, "code", "not_signed_in")

	list, _ := mustConsole(t, s, "token", "list")
	id := strings.Fields(strings.Split(list, "\n")[2])[0] // the older of two
	if secret := strings.SplitN(strings.TrimSpace(token), "_", 3)[2]; strings.Contains(list, secret) || strings.Contains(running.logs.String(), secret) || !strings.Contains(list, "the auditor") {
		t.Errorf("list:\n%s", list)
	}
	mustConsole(t, s, "token", "revoke", id)
	want(t, b.do(http.MethodGet, "/audit/events", nil, "", bearer(token)...), http.StatusUnauthorized, "code", "invalid_token")
}

// TestAuditConsole exports from a running service, follows it, and goes on from
// the printed cursor when no service runs at all.
func TestAuditConsole(t *testing.T) {
	t.Parallel()
	s := settings(t)
	running, stop := run(t, s)
	running.register("console@example.com")
	first := filepath.Join(t.TempDir(), "first.ndjson.gz")
	_, notes := mustConsole(t, s, "audit", "export", first)
	lines := unpack(t, first)
	if !strings.Contains(lines, "AccountActivated") || strings.Contains(lines, "console@") || !strings.Contains(notes, "100 %") {
		t.Errorf("exported:\n%s\n%s", lines, notes)
	}
	if _, _, err := console(t, s, "audit", "export", first); err == nil {
		t.Error("an export was overwritten")
	}
	tail(t, s, running)
	tailBehind(t, s, strings.SplitN(lines, "\n", 2)[0])
	stop()

	_, cursor, _ := strings.Cut(strings.TrimSpace(notes), "--after ")
	second := filepath.Join(t.TempDir(), "second.ndjson")
	mustConsole(t, s, "audit", "export", second, "--after", cursor, "--personal")
	content, err := os.ReadFile(second)
	if err != nil || !bytes.HasPrefix(content, []byte(`{"cursor":`)) || !bytes.Contains(content, []byte("tail@example.com")) || bytes.Contains(content, []byte("console@")) {
		t.Errorf("went on with %s, %v", content, err)
	}
	if entries, err := os.ReadDir(filepath.Dir(second)); err != nil || len(entries) != 1 {
		t.Errorf("left behind: %v %v", entries, err)
	}
	for _, args := range [][]string{
		{"audit", "export", second + "2", "--after", "x"}, {"audit", "export", second + "3", "--type", "Nothing"}, {"token", "create", "--scope", "everything"},
		{"token", "create", "--scope", "audit:read", "--expires", "-1h"}, {"token", "revoke", "00000000-0000-4000-8000-000000000000"},
	} {
		if _, _, err := console(t, s, args...); err == nil || strings.Contains(err.Error(), "invalid_") {
			t.Errorf("%v: %v", args, err)
		}
	}
}

func tail(t *testing.T, s app.Settings, running *service) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	var out, notes logBuffer
	ended := make(chan error, 1)
	go func() { ended <- consoleWith(ctx, s, &out, &notes, "audit", "tail", "--type", "AccountRegistered") }()
	reader := running.app.Repository()
	testkit.Await(t, 10*time.Second, "tail follows", func() bool {
		for stored, err := range reader.Client.ReadStream(t.Context(), "daybook-store", 0) {
			if err == nil && bytes.Contains(stored.Metadata, []byte("TailAudit")) {
				return true
			}
		}
		return false
	})
	running.register("tail@example.com")
	testkit.Await(t, 10*time.Second, "tail prints", func() bool { return strings.Contains(out.String(), "\n") })
	cancel()
	if err := <-ended; err != nil {
		t.Errorf("tail: %v", err)
	}
	var line struct{ Type string }
	if err := json.Unmarshal([]byte(out.String()), &line); err != nil || line.Type != "AccountRegistered" {
		t.Errorf("tail printed %s", out.String())
	}
}

// tailBehind follows from a line that is long past: how far it has caught up is told,
// and at the end where to go on.
func tailBehind(t *testing.T, s app.Settings, line string) {
	t.Helper()
	var begin struct{ Cursor string }
	if err := json.Unmarshal([]byte(line), &begin); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	var out, notes logBuffer
	ended := make(chan error, 1)
	go func() { ended <- consoleWith(ctx, s, &out, &notes, "audit", "tail", "--after", begin.Cursor) }()
	testkit.Await(t, 10*time.Second, "tail has caught up", func() bool { return strings.Contains(notes.String(), "events so far;") })
	cancel()
	if err := <-ended; err != nil {
		t.Errorf("tail: %v", err)
	}
	_, next, told := strings.Cut(strings.TrimSpace(notes.String()), "What comes later: --after ")
	if !told || next == begin.Cursor || strings.Count(out.String(), "\n") < 5 {
		t.Errorf("tail printed %s and told %s", out.String(), notes.String())
	}
}

func unpack(t *testing.T, path string) string {
	t.Helper()
	file, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = file.Close() }()
	packed, err := gzip.NewReader(file)
	if err != nil {
		t.Fatal(err)
	}
	content, err := io.ReadAll(packed)
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}

// TestAFollowerDoesNotHoldUpTheEnd ends the service while an auditor follows.
func TestAFollowerDoesNotHoldUpTheEnd(t *testing.T) {
	t.Parallel()
	s := settings(t)
	running, stop := run(t, s)
	token, _ := mustConsole(t, s, "token", "create", "--scope", "audit:read")
	request, err := http.NewRequest(http.MethodGet, running.URL+"/audit/events?follow=true", nil)
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Authorization", "Bearer "+strings.TrimSpace(token))
	response, err := http.DefaultClient.Do(request)
	if err != nil || response.StatusCode != http.StatusOK {
		t.Fatal(response, err)
	}
	defer func() { _ = response.Body.Close() }()
	begun := time.Now()
	stop()
	if took := time.Since(begun); took > 1400*time.Millisecond {
		t.Errorf("the end took %v", took)
	}
	if _, err := io.Copy(io.Discard, response.Body); err != nil {
		t.Errorf("the stream was cut: %v", err)
	}
}
