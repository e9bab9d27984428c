package app_test

import (
	"bufio"
	"bytes"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/uuid"

	"daybook/internal/embedded/s3"
	"daybook/internal/embedded/smtp"
	"daybook/internal/postgres"
	"daybook/internal/testkit"
	"daybook/projections"
)

// takeover is how long the role of a killed process may be without one that does
// its work.
const takeover = 5 * time.Second

// member is one process of a deployment. It answers probes at addr; a process
// without one is ready when it has printed something.
type member struct {
	tb        testing.TB
	arguments []string
	env       []string
	addr      string
	command   *exec.Cmd
	output    *logBuffer
}

func (m *member) start() {
	m.tb.Helper()
	m.output = &logBuffer{}
	m.command = exec.Command(os.Args[0], m.arguments...)
	m.command.Env = append(os.Environ(), append(m.env, serveVariable+"=1")...)
	m.command.Stdout, m.command.Stderr = m.output, m.output
	if err := m.command.Start(); err != nil {
		m.tb.Fatal(err)
	}
	testkit.Await(m.tb, 20*time.Second, fmt.Sprint(m.arguments, " is ready"), func() bool {
		if m.addr == "" {
			return m.output.String() != ""
		}
		return probe(m.addr) == http.StatusOK
	})
}

func probe(addr string) int {
	response, err := http.Get("http://" + addr + "/readyz")
	if err != nil {
		return 0
	}
	_ = response.Body.Close()
	return response.StatusCode
}

func (m *member) kill() {
	m.tb.Helper()
	if err := m.command.Process.Signal(syscall.SIGKILL); err != nil {
		m.tb.Fatalf("kill %v: %v; it printed %s", m.arguments, err, m.output)
	}
	_ = m.command.Wait() // it was killed
	m.command = nil
}

// run runs a subcommand to its end.
func (d *deployment) run(arguments ...string) string {
	d.tb.Helper()
	command := exec.Command(os.Args[0], arguments...)
	command.Env = append(os.Environ(), append(d.env, serveVariable+"=1")...)
	output, err := command.CombinedOutput()
	if err != nil {
		d.tb.Fatalf("%v: %v: %s", arguments, err, output)
	}
	return string(output)
}

// deployment is the topology of docker-compose.yml with the binary itself: real
// processes before a real Postgres, the event store as one of them.
type deployment struct {
	tb         *testing.T
	env        []string
	events     string // the event store's file
	store      *member
	apis       [2]*member
	projectors [2]*member
	workers    [2]*member
	mail       *smtp.Server
	view       *projections.Queries
}

func deploy(t *testing.T) *deployment {
	t.Helper()
	d := &deployment{tb: t, events: filepath.Join(t.TempDir(), "events.db")}
	d.backends(t)
	d.store.start()
	d.run("migrate")
	for i := range 2 {
		d.apis[i] = d.role("API", "api")
		d.projectors[i] = d.role("projector", "projector")
		d.workers[i] = d.role("worker", "worker", "email")
	}
	for _, m := range []*member{d.apis[0], d.apis[1], d.projectors[0], d.projectors[1], d.workers[0], d.workers[1]} {
		m.start()
	}
	return d
}

// backends prepares the servers and the environment that all roles share, under
// the production rules.
func (d *deployment) backends(t *testing.T) {
	t.Helper()
	objects, err := s3.Start(t.Context(), s3.Config{Dir: t.TempDir(), AccessKey: "key", SecretKey: "secret", Bucket: "daybook"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = objects.Stop(t.Context()) })
	if d.mail, err = smtp.Start(t.Context(), smtp.Config{Dir: t.TempDir()}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = d.mail.Stop(t.Context()) })
	database := testkit.DatabaseURL(t)
	pool, err := postgres.Open(t.Context(), postgres.Config{Setting: "the test database", URL: database})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pool.Close)
	d.view = &projections.Queries{Pool: pool}
	store := secureStore(t, d.events)
	d.store = store.member
	d.env = []string{
		"DAYBOOK_ENV=production", "DAYBOOK_ALLOW=http-url", "DAYBOOK_PUBLIC_URL=http://accounts.example.com",
		"DAYBOOK_HTTP_ADDR=127.0.0.1:0", "DAYBOOK_METRICS_ADDR=off", "DAYBOOK_LOG_LEVEL=warn", "DAYBOOK_DATA_DIR=/nonexistent",
		"DAYBOOK_EVENTSTORE_URL=" + store.url, "DAYBOOK_S3_URL=" + objects.URL(), "DAYBOOK_SMTP_URL=" + d.mail.URL(),
		"DAYBOOK_DATABASE_URL_FILE=" + secretFile(t, database),
	}
	for _, kind := range []string{"MASTER", "TOKEN", "ADDRESS"} {
		d.env = append(d.env, "DAYBOOK_"+kind+"_KEYS_FILE="+secretFile(t, testkit.KeySet("k").String()))
	}
}

func secretFile(t *testing.T, value string) string {
	t.Helper()
	path := fileAt(t)
	if err := os.WriteFile(path, []byte(value+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// role prepares a process that answers on a port of its own.
func (d *deployment) role(role string, arguments ...string) *member {
	m := &member{tb: d.tb, arguments: arguments, addr: closedPort(d.tb)}
	variable := "DAYBOOK_METRICS_ADDR="
	if role == "API" {
		variable = "DAYBOOK_HTTP_ADDR="
	}
	m.env = append(append(m.env, d.env...), variable+m.addr)
	d.tb.Cleanup(m.stop)
	return m
}

func (m *member) stop() {
	if m.command != nil {
		m.kill()
	}
}

// at is the person's browser on one of the two APIs, with the same session.
func (d *deployment) at(api int, session string) *browser {
	b := (&service{tb: d.tb, URL: "http://" + d.apis[api].addr}).browser()
	b.session = session
	return b
}

// link waits for the mail with the subject and returns the path of its link.
func (d *deployment) link(to, subject string) string {
	d.tb.Helper()
	var found mail
	testkit.Await(d.tb, 20*time.Second, "mail "+subject, func() bool {
		messages, err := d.mail.Messages(to)
		if err != nil {
			d.tb.Fatal(err)
		}
		for _, m := range messages {
			if m.Subject == subject {
				found = mail{Text: m.Text, HTML: m.HTML}
			}
		}
		return found.Text != ""
	})
	return found.link(d.tb)
}

// edit sends an edit and does not wait. Its outcome is unknown.
func (d *deployment) edit(b *browser, name, key string) (answered <-chan struct{}) {
	d.tb.Helper()
	body, contentType := form(d.tb, map[string]string{"first_name": name}, nil)
	done := make(chan struct{})
	go func() {
		defer close(done)
		_, _ = b.try(http.MethodPatch, "/users/update-user/", body, contentType, "Idempotency-Key", key)
	}()
	return done
}

// insist repeats one edit, with one key, until it is acknowledged.
func (d *deployment) insist(b *browser, name, key string) {
	d.tb.Helper()
	body, contentType := form(d.tb, map[string]string{"first_name": name}, nil)
	var content bytes.Buffer
	if _, err := content.ReadFrom(body); err != nil {
		d.tb.Fatal(err)
	}
	testkit.Await(d.tb, 20*time.Second, "the edit is acknowledged", func() bool {
		a, err := b.try(http.MethodPatch, "/users/update-user/", bytes.NewReader(content.Bytes()), contentType, "Idempotency-Key", key)
		return err == nil && a.Status == http.StatusOK && a.text("first_name") == name
	})
}

// awaitView waits until a projector has written the name. The API is not asked: it
// would answer without any projector.
func (d *deployment) awaitView(id uuid.UUID, name string, within time.Duration) {
	d.tb.Helper()
	testkit.Await(d.tb, within, "the view shows "+name, func() bool {
		row, found, err := d.view.Account(d.tb.Context(), id)
		return err == nil && found && row.FirstName == name
	})
}

// active tells which of the projectors has all leases, and that the other has none.
func (d *deployment) active() int {
	d.tb.Helper()
	var owned [2]int
	testkit.Await(d.tb, takeover, "one projector works and the other stands by", func() bool {
		for i, m := range d.projectors {
			owned[i] = owners(m.addr)
		}
		return min(owned[0], owned[1]) == 0 && max(owned[0], owned[1]) >= 5
	})
	if owned[0] > 0 {
		return 0
	}
	return 1
}

// owners counts the consumers that a process has the lease of.
func owners(addr string) int {
	response, err := http.Get("http://" + addr + "/metrics")
	if err != nil {
		return 0
	}
	defer func() { _ = response.Body.Close() }()
	n := 0
	for lines := bufio.NewScanner(response.Body); lines.Scan(); {
		if strings.HasPrefix(lines.Text(), "daybook_consumer_owner{") && strings.HasSuffix(lines.Text(), " 1") {
			n++
		}
	}
	return n
}

// TestTopology is a person's way through two APIs while every process of the
// deployment is killed and started again in turn.
func TestTopology(t *testing.T) {
	if testing.Short() {
		t.Skip("starts eight processes; not with -short")
	}
	d := deploy(t)
	const email = "ann@example.com"
	d.workers[0].kill()
	id, session := d.registered(t, email)
	d.workers[0].start()
	d.killAPIs(t, session)
	d.killProjectors(t, id, session)
	d.killStore(t, id, session)
	d.killWorkers(t, email, session)
	d.checkStore(t)
}

// registered opens an account on one API, activates it on the other, and edits
// the profile.
func (d *deployment) registered(t *testing.T, email string) (id uuid.UUID, session string) {
	t.Helper()
	a := d.at(0, "").post("/users/register/", map[string]any{"email": email, "first_name": "Ann", "last_name": "Lee", "password": goodPassword})
	want(t, a, http.StatusCreated, "", "")
	wantRedirect(t, d.at(1, "").activate(d.link(email, subjectActivation)), "http://accounts.example.com/auth/confirmed")
	b := d.at(0, "")
	a = b.signIn(email, goodPassword)
	want(t, a, http.StatusOK, "email", email)
	id, err := uuid.Parse(a.text("id"))
	if err != nil {
		t.Fatal(err)
	}
	want(t, d.at(1, b.session).get("/users/current-user/"), http.StatusOK, "first_name", "Ann")
	a = b.patch(map[string]string{"phone_number": "+2348145359073"}, picture(t, 64, 64))
	want(t, a, http.StatusOK, "", "")
	if shown := d.at(1, "").get(mustPath(t, a.text("thumbnail"))); shown.Status != http.StatusOK {
		t.Errorf("the picture on the other API: %d", shown.Status)
	}
	return id, b.session
}

// killAPIs kills each API under an edit, which the person then repeats on the
// other.
func (d *deployment) killAPIs(t *testing.T, session string) {
	t.Helper()
	for i, name := range []string{"Grace", "Ada"} {
		key := uuid.NewString()
		answered := d.edit(d.at(i, session), name, key)
		d.apis[i].kill()
		<-answered
		d.insist(d.at(1-i, session), name, key)
		d.apis[i].start()
		want(t, d.at(i, session).get("/users/current-user/"), http.StatusOK, "first_name", name)
	}
}

// killProjectors kills the one that works, twice: the other takes over.
func (d *deployment) killProjectors(t *testing.T, id uuid.UUID, session string) {
	t.Helper()
	for _, name := range []string{"Emmy", "Lise"} {
		working := d.projectors[d.active()]
		began := time.Now()
		working.kill()
		want(t, d.at(0, session).patch(map[string]string{"first_name": name}, nil), http.StatusOK, "first_name", name)
		d.awaitView(id, name, takeover)
		t.Logf("a projector was killed; the other had written %v later", time.Since(began))
		working.start()
	}
}

// killStore kills the event store under an edit. Every other process outlives it.
func (d *deployment) killStore(t *testing.T, id uuid.UUID, session string) {
	t.Helper()
	d.store.kill()
	want(t, d.at(0, session).get("/users/current-user/"), http.StatusOK, "first_name", "Lise")
	key := uuid.NewString()
	answered := d.edit(d.at(1, session), "Maria", key)
	testkit.Await(t, 20*time.Second, "the API notices", func() bool { return probe(d.apis[0].addr) == http.StatusServiceUnavailable })
	d.store.start()
	<-answered
	d.insist(d.at(1, session), "Maria", key)
	d.awaitView(id, "Maria", 20*time.Second)
	for _, m := range append(append(d.apis[:], d.projectors[:]...), d.workers[:]...) {
		testkit.Await(t, 20*time.Second, fmt.Sprint(m.arguments, " is ready again"), func() bool { return probe(m.addr) == http.StatusOK })
	}
}

// killWorkers kills both before a reset is asked for. The mail comes when one is
// back, and the way ends on the other API.
func (d *deployment) killWorkers(t *testing.T, email, session string) {
	t.Helper()
	const newPassword = "SomeOther123456"
	d.workers[0].kill()
	d.workers[1].kill()
	want(t, d.at(0, "").post("/users/password-change/request-password-change/", map[string]any{"email": email}), http.StatusOK, "", "")
	d.workers[1].start()
	a := d.at(1, "").get(d.link(email, subjectReset))
	location, err := url.Parse(a.Header.Get("Location"))
	if err != nil || a.Status != http.StatusFound {
		t.Fatalf("open reset link: %d %v", a.Status, err)
	}
	want(t, d.at(0, "").changeByReset(location.Query().Get("token"), newPassword), http.StatusOK, "", "")
	want(t, d.at(1, session).get("/users/current-user/"), http.StatusUnauthorized, "", "")
	want(t, d.at(1, "").signIn(email, newPassword), http.StatusOK, "first_name", "Maria")
	d.workers[0].start()
}

// checkStore: after all that, the event store's file is sound, and so are copies.
func (d *deployment) checkStore(t *testing.T) {
	t.Helper()
	d.store.kill()
	verified := d.run("eventstore", "verify", "--file", d.events)
	_, found, _ := strings.Cut(verified, " is sound: ")
	for _, command := range []string{"backup", "compact"} {
		target := filepath.Join(t.TempDir(), "copy.db")
		if output := d.run("eventstore", command, "--file", d.events, target); found == "" || !strings.HasSuffix(output, found) {
			t.Errorf("%s says %q, verify %q", command, output, verified)
		}
	}
}
