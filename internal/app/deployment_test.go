package app_test

import (
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

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
	output, err := d.try(arguments...)
	if err != nil {
		d.tb.Fatalf("%v: %v: %s", arguments, err, output)
	}
	return output
}

func (d *deployment) try(arguments ...string) (output string, err error) {
	command := exec.Command(os.Args[0], arguments...)
	command.Env = append(os.Environ(), append(d.env, serveVariable+"=1")...)
	both, err := command.CombinedOutput()
	return string(both), err
}

// deployment is the topology of docker-compose.yml with the binary itself: real
// processes before a real Postgres, the event store as one of them.
type deployment struct {
	tb           *testing.T
	env          []string
	events       string // the event store's file
	store        *member
	apis         [2]*member
	projectors   [2]*member
	mailers      [2]*member
	relays       [2]*member
	housekeepers [2]*member
	kafka        *member
	kafkaURL     string
	mailbox      string // URL of the caught mail
	pool         *pgxpool.Pool
	view         *projections.Queries
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
		d.mailers[i] = d.role("worker", "worker", "email")
		d.relays[i] = d.role("worker", "worker", "relay")
		d.housekeepers[i] = d.role("worker", "worker", "housekeeping")
	}
	for _, m := range d.roles() {
		m.start()
	}
	return d
}

// roles are all processes of Daybook itself, but for the event store.
func (d *deployment) roles() []*member {
	return slices.Concat(d.apis[:], d.projectors[:], d.mailers[:], d.relays[:], d.housekeepers[:])
}

// backends prepares the servers and the environment that all roles share, under
// the production rules.
func (d *deployment) backends(t *testing.T) {
	t.Helper()
	_, objects := standIn(t, "s3")
	_, mail := standIn(t, "smtp")
	smtpURL, mailbox, _ := strings.Cut(mail, " ")
	d.mailbox = mailbox
	d.kafka, d.kafkaURL = standIn(t, "kafka")
	database := testkit.DatabaseURL(t)
	pool, err := postgres.Open(t.Context(), postgres.Config{Setting: "the test database", URL: database})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pool.Close)
	d.pool, d.view = pool, &projections.Queries{Pool: pool}
	store := secureStore(t, d.events)
	d.store = store.member
	d.env = []string{
		"DAYBOOK_ENV=production", "DAYBOOK_ALLOW=http-url", "DAYBOOK_PUBLIC_URL=http://accounts.example.com",
		"DAYBOOK_HTTP_ADDR=127.0.0.1:0", "DAYBOOK_METRICS_ADDR=off", "DAYBOOK_LOG_LEVEL=warn", "DAYBOOK_DATA_DIR=/nonexistent",
		"DAYBOOK_EVENTSTORE_URL=" + store.url, "DAYBOOK_S3_URL=" + objects, "DAYBOOK_SMTP_URL=" + smtpURL,
		"DAYBOOK_KAFKA_URL=" + d.kafkaURL,
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
	return (&service{tb: d.tb, URL: d.mailbox}).awaitMail(to, subject, 1).link(d.tb)
}
