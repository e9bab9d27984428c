package email

import (
	"bytes"
	"context"
	"encoding/json"
	"log/slog"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"daybook/domain"
	catcher "daybook/internal/embedded/smtp"
	"daybook/internal/eventstore"
	"daybook/internal/postgres"
	"daybook/internal/testkit"
	"daybook/internal/token"
)

const (
	patience  = 10 * time.Second
	publicURL = "https://daybook.example"
)

// world is a database, an event store and a relay of the test's own, with one
// account in them.
type world struct {
	pool   *pgxpool.Pool
	repo   *eventstore.Repository
	tokens *token.Maker
	relay  *catcher.Server
	logs   *log

	account   uuid.UUID
	address   string
	firstName string
}

func newWorld(t *testing.T) *world {
	t.Helper()
	pool := testkit.Database(t)
	repo := testkit.Repository(t, pool)
	relay, err := catcher.Start(t.Context(), catcher.Config{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = relay.Stop(context.Background()) })
	if err := postgres.CreateCheckpoint(t.Context(), pool, CheckpointName, uuid.New(), 0); err != nil {
		t.Fatal(err)
	}
	return &world{
		pool: pool, repo: repo, relay: relay, logs: &log{}, account: uuid.New(),
		tokens:  &token.Maker{Keys: testkit.KeySet("t1"), Vault: repo.Vault},
		address: "Zerlina.Quux@mail.example", firstName: "Zerlina",
	}
}

func (w *world) logger() *slog.Logger {
	return slog.New(slog.NewTextHandler(w.logs, &slog.HandlerOptions{Level: slog.LevelDebug}))
}

// append writes events as one command that happened some time ago.
func (w *world) append(t *testing.T, ago time.Duration, events ...domain.Event) {
	t.Helper()
	account, err := w.repo.Account(t.Context(), w.account)
	if err != nil {
		t.Fatal(err)
	}
	_, err = w.repo.Append(t.Context(), domain.Append{
		Stream: domain.AccountStream(w.account), Expected: account.Revision, Events: events,
		Metadata: domain.Metadata{Command: "test", CommandID: uuid.New(), OccurredAt: domain.Micro(time.Now().Add(-ago))},
	})
	if err != nil {
		t.Fatal(err)
	}
}

func (w *world) registered() domain.Event {
	return domain.AccountRegistered{AddressClaim: "address-a-00",
		Personal: domain.Seal(domain.RegisteredDetails{Email: w.address, FirstName: w.firstName, LastName: "Quux"})}
}

func (w *world) activation(life time.Duration) domain.ActivationRequested {
	return domain.ActivationRequested{ActivationID: uuid.New(), CredentialID: uuid.New(), ExpiresAt: in(life),
		Personal: domain.Seal(domain.Names{FirstName: w.firstName, LastName: "Quux"})}
}

// activate brings the account to active without any mail being asked for.
func (w *world) activate(t *testing.T) {
	t.Helper()
	w.append(t, time.Hour, w.registered(), domain.AccountActivated{ActivationID: uuid.New(), CredentialID: uuid.New()})
}

func reset(life time.Duration) domain.ResetRequested {
	return domain.ResetRequested{ResetID: uuid.New(), ExpiresAt: in(life)}
}

func in(life time.Duration) time.Time { return domain.Micro(time.Now().Add(life)) }

// reactor returns a started reactor, as a new process would.
func (w *world) reactor(t *testing.T) *Reactor {
	t.Helper()
	r, err := NewReactor(w.pool, w.logger())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	return r
}

func (w *world) stored(t *testing.T) []domain.Stored {
	t.Helper()
	var events []domain.Stored
	for event, err := range w.repo.Client.ReadStream(t.Context(), domain.AccountStream(w.account), 0) {
		if err != nil {
			t.Fatal(err)
		}
		events = append(events, event)
	}
	return events
}

// react gives the whole stream to a new reactor.
func (w *world) react(t *testing.T) {
	t.Helper()
	r := w.reactor(t)
	for _, event := range w.stored(t) {
		if err := r.React(t.Context(), event); err != nil {
			t.Fatal(err)
		}
	}
}

func (w *world) config() Config {
	return Config{PublicURL: publicURL, SMTPURL: w.relay.URL(), Logger: w.logger(), FirstPause: time.Millisecond, Timeout: 5 * time.Second,
		Claim: w.repo.ClaimAt}
}

// run runs a mailer until the test ends.
func (w *world) run(t *testing.T, config Config, fold Fold) {
	t.Helper()
	mailer, err := New(config, w.pool, fold, w.tokens)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- mailer.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("Run after cancellation: %v", err)
		}
	})
}

// send runs a mailer and returns what became of the jobs, and the mails, oldest
// first. No secret may have been left behind.
func (w *world) send(t *testing.T, config Config) ([]job, []catcher.Message) {
	t.Helper()
	w.run(t, config, w.repo.Account)
	jobs := w.finished(t)
	mails := w.mails(t)
	w.checkNothingLeft(t, mails)
	return jobs, mails
}

func (w *world) mails(t *testing.T) []catcher.Message {
	t.Helper()
	mails, err := w.relay.Messages("")
	if err != nil {
		t.Fatal(err)
	}
	for i, j := 0, len(mails)-1; i < j; i, j = i+1, j-1 {
		mails[i], mails[j] = mails[j], mails[i]
	}
	return mails
}

// job is what the queue knows of a job.
type job struct {
	State  string
	Mail   string
	Output string // outcome and reason
	Tries  int
	Snooze int
}

func (w *world) jobs(t *testing.T) []job {
	t.Helper()
	rows, err := w.pool.Query(t.Context(), `SELECT state::text, coalesce(args->>'mail', kind),
		trim(coalesce(metadata->'output'->>'outcome', '') || ' ' || coalesce(metadata->'output'->>'reason', '')),
		attempt, coalesce((metadata->>'snoozes')::int, 0) FROM app.river_job ORDER BY id`)
	if err != nil {
		t.Fatal(err)
	}
	jobs, err := pgx.CollectRows(rows, pgx.RowToStructByPos[job])
	if err != nil {
		t.Fatal(err)
	}
	return jobs
}

// finished waits until no job is left to do.
func (w *world) finished(t *testing.T) []job {
	t.Helper()
	var jobs []job
	testkit.Await(t, patience, "all jobs are finished", func() bool {
		jobs = w.jobs(t)
		for _, j := range jobs {
			if j.State != "completed" && j.State != "cancelled" {
				return false
			}
		}
		return true
	})
	return jobs
}

// checkNothingLeft looks for personal data and tokens in the queue and the log.
func (w *world) checkNothingLeft(t *testing.T, mails []catcher.Message) {
	t.Helper()
	var rows string
	if err := w.pool.QueryRow(t.Context(), `SELECT coalesce(string_agg(j::text, E'\n'), '') FROM app.river_job j`).Scan(&rows); err != nil {
		t.Fatal(err)
	}
	secrets := []string{w.address, "mail.example", "Zerlina", "Quux"}
	for _, mail := range mails {
		for _, found := range anyLink.FindAllStringSubmatch(mail.Text, -1) {
			secrets = append(secrets, found[2])
		}
	}
	for _, secret := range secrets {
		if strings.Contains(strings.ToLower(rows), strings.ToLower(secret)) {
			t.Errorf("%q is in the queue", secret)
		}
		if logs := w.logs.String(); strings.Contains(strings.ToLower(logs), strings.ToLower(secret)) {
			t.Errorf("%q is in the log", secret)
		}
	}
}

// anyLink finds links of the contract's form: its parts are the id and the token.
var anyLink = regexp.MustCompile(`https://daybook\.example/[a-z/-]+/([A-Za-z0-9_-]+)/([A-Za-z0-9_.-]+)/`)

// log is a buffer that several goroutines may write to.
type log struct {
	mu     sync.Mutex
	buffer bytes.Buffer
}

func (l *log) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buffer.Write(p)
}

func (l *log) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buffer.String()
}

func describe(v any) string {
	text, _ := json.Marshal(v)
	return string(text)
}
