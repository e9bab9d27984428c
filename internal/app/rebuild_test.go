package app_test

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"daybook/internal/app"
	"daybook/internal/testkit"
	"daybook/workers/relay"
)

// rebuiltUnderLoad are the views that it is tried with.
func rebuiltUnderLoad() []string {
	if os.Getenv("DAYBOOK_TEST_LONG") != "" {
		return []string{"accounts", "activity", "resets", "registrations", "presence"}
	}
	return []string{"accounts"}
}

// rebuilding is a service whose views are rebuilt while a person writes and reads.
type rebuilding struct {
	*service
	settings app.Settings
	writer   *browser

	mu            sync.Mutex
	writes, reads int
}

// TestRebuildUnderLoad builds views anew, switches, goes back and switches again
// while somebody writes and others read: no answer fails or goes back, no mail is
// sent and nothing is published but what was written.
func TestRebuildUnderLoad(t *testing.T) {
	const email = "loaded@example.com"
	settings := settings(t)
	settings.KafkaURL = "embedded"
	r := &rebuilding{service: start(t, settings), settings: settings}
	r.writer = r.signedIn(email)
	readers := []*browser{r.browser(), r.browser()}
	for _, reader := range readers {
		want(t, reader.signIn(email, goodPassword), http.StatusOK, "", "")
	}
	mails := len(r.mails(""))
	ctx, stop := context.WithCancel(t.Context())
	var working sync.WaitGroup
	working.Go(func() { r.write(ctx, t) })
	for _, reader := range readers {
		working.Go(func() { r.read(ctx, t, reader) })
	}
	for _, view := range rebuiltUnderLoad() {
		mustConsole(t, settings, "rebuild", view)
		r.awaitKept(t, view)
		mustConsole(t, settings, "rebuild", view, "--rollback")
		mustConsole(t, settings, "rebuild", view, "--rollback")
	}
	stop()
	working.Wait()
	if r.writes < 5 || r.reads < 50 {
		t.Errorf("there was no load: %d writes, %d reads", r.writes, r.reads)
	}
	r.checkOutside(t, mails)
}

// name is what the person is called after so many writes.
func name(n int) string { return fmt.Sprintf("Ann %06d", n) }

// write sees each of its own writes.
func (r *rebuilding) write(ctx context.Context, t *testing.T) {
	for n := 1; ctx.Err() == nil && !t.Failed(); n++ {
		if a := r.writer.patch(map[string]string{"first_name": name(n)}, nil); a.Status != http.StatusOK {
			t.Errorf("write %d: %d %s", n, a.Status, a.Body)
		}
		if a := r.writer.get("/users/current-user/"); a.Status != http.StatusOK || a.text("first_name") != name(n) {
			t.Errorf("read %d: %d %s", n, a.Status, a.Body)
		}
		r.mu.Lock()
		r.writes = n
		r.mu.Unlock()
	}
}

// read never sees anything older than before.
func (r *rebuilding) read(ctx context.Context, t *testing.T, b *browser) {
	for last := ""; ctx.Err() == nil && !t.Failed(); {
		a := b.get("/users/current-user/")
		if seen := a.text("first_name"); a.Status != http.StatusOK || seen < last {
			t.Errorf("after %q: %d %s", last, a.Status, a.Body)
		}
		if last = a.text("first_name"); !strings.HasPrefix(last, "Ann ") {
			last = "" // nothing is written yet
		}
		r.mu.Lock()
		r.reads++
		r.mu.Unlock()
	}
}

// awaitKept waits until the service keeps the previous version up to date.
func (r *rebuilding) awaitKept(t *testing.T, view string) {
	t.Helper()
	testkit.Await(t, 10*time.Second, "a projector of the previous version", func() bool {
		var kept bool
		err := r.app.Pool().QueryRow(t.Context(), `SELECT p.epoch > 0 AND p.position >= s.position FROM app.checkpoints p, app.checkpoints s
			WHERE p.name = $1 || ':previous' AND s.name = $1`, "projection:"+view).Scan(&kept)
		return err == nil && kept
	})
}

func (r *rebuilding) checkOutside(t *testing.T, mails int) {
	t.Helper()
	if got := len(r.mails("")); got != mails {
		t.Errorf("%d mails, were %d", got, mails)
	}
	want(t, r.writer.post("/users/logout/", nil), http.StatusOK, "", "") // what comes after all that
	all := consume(t, kafkaURL(t, r.settings), relay.Topic(""), func(all []published) bool {
		return has(all, "daybook.account.signed_out.v1")
	})
	updates := 0
	for _, p := range all {
		if p.Type == "daybook.account.profile_updated.v1" {
			updates++
		}
	}
	if beside := len(all) - updates; updates != r.writes || beside != 7 { // registered, requested, activated, signed in thrice and out
		t.Errorf("%d updates of %d writes are published, and %d beside", updates, r.writes, beside)
	}
	t.Logf("%d writes, %d reads", r.writes, r.reads)
}
