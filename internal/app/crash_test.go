package app_test

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"daybook/domain"
	"daybook/internal/testkit"
	"daybook/projections"
)

// kills is how often the whole service is killed; DAYBOOK_TEST_KILLS changes it.
func kills(tb testing.TB) int {
	if given := os.Getenv("DAYBOOK_TEST_KILLS"); given != "" {
		n, err := strconv.Atoi(given)
		if err != nil {
			tb.Fatal(err)
		}
		return n
	}
	return 100
}

// process is the service as a process of its own, everything embedded.
type process struct {
	tb      testing.TB
	addr    string
	dataDir string
	command *exec.Cmd
	output  *logBuffer
}

func (p *process) start() {
	p.tb.Helper()
	p.command = exec.Command(os.Args[0], "serve")
	p.command.Env = append(os.Environ(), serveVariable+"=1", "DAYBOOK_HTTP_ADDR="+p.addr, "DAYBOOK_DATA_DIR="+p.dataDir, "DAYBOOK_METRICS_ADDR=off",
		"DAYBOOK_SIGN_IN_TRIES=1000") // a try that a kill interrupts counts as failed
	p.command.Stdout, p.command.Stderr = p.output, p.output
	if err := p.command.Start(); err != nil {
		p.tb.Fatal(err)
	}
}

func (p *process) awaitReady() {
	p.tb.Helper()
	testkit.Await(p.tb, 60*time.Second, "the service is ready", func() bool {
		response, err := http.Get("http://" + p.addr + "/healthz")
		if err != nil {
			return false
		}
		_ = response.Body.Close()
		return response.StatusCode == http.StatusOK
	})
}

func (p *process) kill() {
	p.tb.Helper()
	if err := p.command.Process.Signal(syscall.SIGKILL); err != nil {
		p.tb.Fatalf("kill: %v; it printed %s", err, p.output)
	}
	_ = p.command.Wait() // it was killed
}

// TestKilledService kills the whole service at random moments under load, again
// and again. No acknowledged command may be lost, no mail may go out twice with
// different links, and the view must equal a fresh fold.
func TestKilledService(t *testing.T) {
	if testing.Short() {
		t.Skip("kills a service many times; not with -short")
	}
	p := &process{tb: t, addr: closedPort(t), dataDir: reachableDir(t), output: &logBuffer{}}
	s := &service{tb: t, URL: "http://" + p.addr, logs: p.output}
	p.start()
	p.awaitReady()
	load := newLoad(s, 4)
	ctx, stop := context.WithCancel(t.Context())
	var working sync.WaitGroup
	for _, w := range load.workers {
		working.Go(func() { w.run(ctx) })
	}
	for range kills(t) {
		idle(ctx, rand.N(400*time.Millisecond))
		p.kill()
		p.start()
		p.awaitReady()
	}
	stop()
	working.Wait()
	load.check(t)
	checkMail(t, s, load)
	p.kill()
	checkView(t, p.dataDir)
	t.Logf("%d kills, %d commands acknowledged, %d repeated", kills(t), load.acknowledged.Load(), load.repeated.Load())
}

// idle lets the load run for a while; nothing is awaited by it.
func idle(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

type load struct {
	workers                []*worker
	acknowledged, repeated atomic.Int64
}

// worker is one person, who repeats a command with the same key until it is
// acknowledged.
type worker struct {
	*browser
	load     *load
	email    string
	password string
	name     string // last acknowledged first name
	resets   int
}

func newLoad(s *service, people int) *load {
	l := &load{}
	for i := range people {
		email := fmt.Sprintf("person%d@example.com", i)
		b := s.signedIn(email)
		l.workers = append(l.workers, &worker{browser: b, load: l, email: email, password: goodPassword, name: "Ann"})
	}
	return l
}

func (w *worker) run(ctx context.Context) {
	for n := 0; ctx.Err() == nil; n++ {
		switch {
		case n%25 == 24:
			w.resetPassword(ctx, n)
		case n%10 == 9:
			w.registerAnother(ctx, n)
		default:
			w.edit(ctx, n)
		}
	}
}

// insist sends the same request until it is answered by a service that is up.
func (w *worker) insist(ctx context.Context, method, path, body, contentType, key string) (answer, bool) {
	for tries := 0; ctx.Err() == nil; tries++ {
		header := []string{"Idempotency-Key", key}
		if key == "" {
			header = nil
		}
		a, err := w.try(method, path, strings.NewReader(body), contentType, header...)
		if err == nil && a.Status != http.StatusServiceUnavailable {
			w.load.acknowledged.Add(1)
			return a, true
		}
		if tries == 0 {
			w.load.repeated.Add(1)
		}
		idle(ctx, 20*time.Millisecond)
	}
	return answer{}, false
}

func (w *worker) edit(ctx context.Context, n int) {
	name := fmt.Sprintf("Name%d", n)
	const boundary = "edge"
	body := "--edge\r\nContent-Disposition: form-data; name=\"first_name\"\r\n\r\n" + name + "\r\n--edge--\r\n"
	a, ok := w.insist(ctx, http.MethodPatch, "/users/update-user/", body, "multipart/form-data; boundary="+boundary, uuid.NewString())
	if !ok {
		w.name = "" // unknown
		return
	}
	if a.Status != http.StatusOK || a.text("first_name") != name {
		w.tb.Errorf("edit: %d %s, wanted %s", a.Status, a.Body, name)
		return
	}
	w.name = name
	shown, ok := w.insist(ctx, http.MethodGet, "/users/current-user/", "", "", "")
	if ok && shown.text("first_name") != name {
		w.tb.Errorf("read %d %s after writing %s", shown.Status, shown.Body, name)
	}
}

func (w *worker) registerAnother(ctx context.Context, n int) {
	body := fmt.Sprintf(`{"email":"%d.%s","first_name":"A","last_name":"B","password":%q}`, n, w.email, goodPassword)
	a, ok := w.insist(ctx, http.MethodPost, "/users/register/", body, "application/json", uuid.NewString())
	if ok && a.Status != http.StatusCreated {
		w.tb.Errorf("register: %d %s", a.Status, a.Body)
	}
}

// resetPassword goes the whole way of a forgotten password, a few times only: an
// address gets six links an hour at most.
func (w *worker) resetPassword(ctx context.Context, n int) {
	if w.resets++; w.resets > 3 {
		return
	}
	body := fmt.Sprintf(`{"email":%q}`, w.email)
	a, ok := w.insist(ctx, http.MethodPost, "/users/password-change/request-password-change/", body, "application/json", uuid.NewString())
	if ok && a.Status != http.StatusOK {
		w.tb.Errorf("request reset: %d %s", a.Status, a.Body)
	}
	token, ok := w.secondToken(ctx)
	if !ok {
		return
	}
	w.password = fmt.Sprintf("NewSecret%d-%d", n, w.resets)
	body = fmt.Sprintf(`{"token":%q,"password":%q}`, token, w.password)
	a, ok = w.insist(ctx, http.MethodPost, "/users/password-change/change-user-password/", body, "application/json", uuid.NewString())
	if !ok {
		w.password = "" // unknown
		return
	}
	if a.Status != http.StatusOK {
		w.tb.Errorf("change password: %d %s", a.Status, a.Body)
	}
	if a, ok := w.insist(ctx, http.MethodGet, "/users/current-user/", "", "", ""); ok && a.Status != http.StatusUnauthorized {
		w.tb.Errorf("an older session outlived a reset: %d", a.Status)
	}
	w.signInAgain(ctx)
}

// secondToken waits for a reset mail whose link works and follows it.
func (w *worker) secondToken(ctx context.Context) (token string, ok bool) {
	for ctx.Err() == nil {
		a, ok := w.insist(ctx, http.MethodGet, "/dev/mailbox/messages?to="+url.QueryEscape(w.email), "", "", "")
		var mails []mail
		if ok && json.Unmarshal(a.Body, &mails) == nil {
			for _, m := range mails {
				if m.Subject != subjectReset {
					continue
				}
				a, ok := w.insist(ctx, http.MethodGet, m.link(w.tb), "", "", "")
				location, err := url.Parse(a.Header.Get("Location"))
				if token := location.Query().Get("token"); ok && err == nil && token != "" {
					return token, true
				}
			}
		}
		idle(ctx, 20*time.Millisecond)
	}
	return "", false
}

func (w *worker) signInAgain(ctx context.Context) {
	body := fmt.Sprintf(`{"email":%q,"password":%q}`, w.email, w.password)
	a, ok := w.insist(ctx, http.MethodPost, "/users/login/", body, "application/json", "")
	if !ok {
		return
	}
	if a.Status != http.StatusOK {
		w.tb.Errorf("sign in with the new password: %d %s", a.Status, a.Body)
	}
	w.keepSession(a)
}

// check compares what the service says now with what it acknowledged.
func (l *load) check(t *testing.T) {
	t.Helper()
	for _, w := range l.workers {
		if w.password != "" {
			want(t, w.signIn(w.email, w.password), http.StatusOK, "", "")
		}
		a := w.get("/users/current-user/")
		if a.Status != http.StatusOK || w.name != "" && a.text("first_name") != w.name {
			t.Errorf("%s: %d %s, last acknowledged %s", w.email, a.Status, a.Body, w.name)
		}
	}
	if l.acknowledged.Load() < 100 {
		t.Errorf("only %d commands were acknowledged: there was no load", l.acknowledged.Load())
	}
}

// checkMail: mails of one message id carry one link, and whoever registered has
// one activation link only.
func checkMail(t *testing.T, s *service, l *load) {
	t.Helper()
	links := map[string]string{}
	activations := map[string]map[string]bool{}
	for _, m := range s.mails("") {
		if m.Subject == subjectChanged {
			continue
		}
		link := m.link(t)
		if known, ok := links[m.MessageID]; ok && known != link {
			t.Errorf("message %s went out with two links", m.MessageID)
		}
		links[m.MessageID] = link
		if m.Subject == subjectActivation {
			if activations[m.To[0]] == nil {
				activations[m.To[0]] = map[string]bool{}
			}
			activations[m.To[0]][link] = true
		}
	}
	for to, distinct := range activations {
		if len(distinct) != 1 {
			t.Errorf("%s got %d different activation links", to, len(distinct))
		}
	}
	if len(activations) < len(l.workers) {
		t.Errorf("%d addresses got mail", len(activations))
	}
}

// checkView opens the data once more and compares every row with a fresh fold.
func checkView(t *testing.T, dataDir string) {
	t.Helper()
	s := settings(t)
	s.DatabaseURL, s.DataDir = "", dataDir
	opened := start(t, s).app
	folded := map[uuid.UUID]projections.Account{}
	for stored, err := range opened.Repository().Client.ReadAll(t.Context(), 0) {
		if err != nil {
			t.Fatal(err)
		}
		id, ok := domain.StreamSubject(stored.Stream)
		if !ok || !domain.IsAccountStream(stored.Stream) || folded[id].ID != uuid.Nil {
			continue
		}
		account, err := opened.Repository().Account(t.Context(), id)
		if err != nil {
			t.Fatal(err)
		}
		folded[id] = projections.AccountOf(account)
	}
	queries := &projections.Queries{Pool: opened.Pool(), Changes: &projections.Changes{Pool: opened.Pool(), Logger: slog.New(slog.DiscardHandler)}}
	for id, wanted := range folded {
		var row projections.Account
		testkit.Await(t, 20*time.Second, "the view has caught up", func() bool {
			var err error
			row, _, err = queries.Account(t.Context(), id)
			return err == nil && row.Revision >= wanted.Revision
		})
		if difference := cmp.Diff(wanted, row); difference != "" {
			t.Errorf("the view differs from the fold: %s", difference)
		}
	}
	if len(folded) == 0 {
		t.Error("there are no accounts")
	}
}
