package app_test

import (
	"context"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"daybook/internal/app"
	"daybook/internal/testkit"
)

// TestMovedStore: a deployment that moves to another event store notices it, and
// goes on with everything it had, without a mail sent twice.
func TestMovedStore(t *testing.T) {
	s := settings(t)
	const email = "moved@example.com"
	t.Run("before", func(t *testing.T) {
		service := start(t, s)
		service.signedIn(email)
		service.awaitRow(t, email, "Ann")
	})
	events := filepath.Join(s.DataDir, "events.db")
	move(t, s, events)
	if sentence := refused(t, s); !strings.Contains(sentence, "migrate --after-copy") {
		t.Errorf("it says %q", sentence)
	}
	mustConsole(t, s, "migrate", "--after-copy")
	mustConsole(t, s, "migrate", "--after-copy") // may be repeated
	service := start(t, s)
	service.awaitRow(t, email, "Ann")
	b := service.browser()
	want(t, b.signIn(email, goodPassword), http.StatusOK, "", "")
	want(t, b.patch(map[string]string{"first_name": "Beth"}, nil), http.StatusOK, "first_name", "Beth")
	service.awaitRow(t, email, "Beth")
	b.requestReset(email, 1) // the worker is awake, so that it would have sent the old mail before this one
	activations := 0
	for _, m := range service.mails(email) {
		if m.Subject == subjectActivation {
			activations++
		}
	}
	if activations != 1 {
		t.Errorf("%d activation mails, want the one of before", activations)
	}
}

// move replaces the file of an event store by a copy that went through a running
// node: file to esdb, esdb to file.
func move(t *testing.T, s app.Settings, events string) {
	t.Helper()
	url := runningStore(t)
	target := filepath.Join(t.TempDir(), "events.db")
	named := filepath.Join(t.TempDir(), "url")
	if err := os.WriteFile(named, []byte(url+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, step := range [][2]string{{events, url}, {"@" + named, target}} {
		out, _ := mustConsole(t, s, "eventstore", "copy", step[0], step[1])
		if !strings.Contains(out, "migrate --after-copy") {
			t.Errorf("it says %q", out)
		}
	}
	if out, err := command(t, "eventstore", "verify", "--file", target); err != nil {
		t.Fatalf("the copy is not sound: %v %s", err, out)
	}
	if err := os.Rename(target, events); err != nil {
		t.Fatal(err)
	}
}

var listensOn = regexp.MustCompile(`listens on (\S+);`)

// runningStore serves an empty event store until the test ends.
func runningStore(t *testing.T) string {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	output, ended := &logBuffer{}, make(chan error, 1)
	dir := t.TempDir()
	go func() {
		ended <- app.Main(ctx, []string{"eventstore", "--addr", "127.0.0.1:0", "--data-dir", dir}, output, output)
	}()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	testkit.Await(t, 10*time.Second, "it listens", func() bool { return listensOn.MatchString(output.String()) })
	return "esdb://" + listensOn.FindStringSubmatch(output.String())[1] + "?tls=false"
}

// TestCopyCommandRefuses: in a sentence, and nothing is written.
func TestCopyCommandRefuses(t *testing.T) {
	s := settings(t)
	once(t, s)
	events := filepath.Join(s.DataDir, "events.db")
	other := settings(t)
	once(t, other)
	otherEvents := filepath.Join(other.DataDir, "events.db")
	busy := settings(t)
	start(t, busy)
	for name, c := range map[string]struct{ from, to, says string }{
		"itself":            {events, events, "same event store"},
		"no source":         {filepath.Join(t.TempDir(), "none.db"), filepath.Join(t.TempDir(), "new.db"), "no such file"},
		"another history":   {events, otherEvents, "another history"},
		"nothing to copy":   {runningStore(t), filepath.Join(t.TempDir(), "new.db"), "nothing to copy"},
		"a store in use":    {filepath.Join(busy.DataDir, "events.db"), filepath.Join(t.TempDir(), "new.db"), "in use"},
		"not a store's URL": {"http://localhost", events, "esdb://"},
	} {
		out, err := command(t, "eventstore", "copy", c.from, c.to)
		if err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v %s", name, err, out)
		}
	}
	if out, err := command(t, "eventstore", "verify", "--file", otherEvents); err != nil {
		t.Errorf("%v %s", err, out)
	}
	if _, _, err := console(t, other, "migrate", "--after-copy"); err != nil {
		t.Errorf("after no copy: %v", err)
	}
	mixed := other
	mixed.DatabaseURL = s.DatabaseURL
	if _, _, err := console(t, mixed, "migrate", "--after-copy"); err == nil || !strings.Contains(err.Error(), "is no copy of") {
		t.Errorf("another deployment's database: %v", err)
	}
}
