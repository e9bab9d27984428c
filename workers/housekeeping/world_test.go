package housekeeping_test

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"daybook/commands"
	"daybook/domain"
	"daybook/internal/embedded/s3"
	"daybook/internal/eventstore"
	"daybook/internal/objectstore"
	"daybook/internal/password"
	"daybook/internal/postgres"
	"daybook/internal/session"
	"daybook/internal/testkit"
	"daybook/internal/token"
	"daybook/internal/vault"
	"daybook/projections"
	"daybook/workers/housekeeping"
)

func TestMain(m *testing.M) { os.Exit(testkit.Main(m)) }

const (
	ada    = "ada@example.com"
	bob    = "bob@example.com"
	secret = "12345SomeData"
	window = 15 * time.Minute
	// now makes everything old enough to be looked at.
	now = time.Nanosecond
)

// cheap makes hashing no subject of these tests.
var cheap = password.Parameters{MemoryKiB: 64, Passes: 1, Threads: 1}

// world is a deployment without processes: the views move when a test says so.
type world struct {
	*commands.Handler
	t        *testing.T
	pool     *pgxpool.Pool
	repo     *eventstore.Repository
	sessions *session.Store
	objects  *objectstore.Store
	ahead    atomic.Int64
	views    map[string]*projections.Projector
	seen     map[string]uint64
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{t: t, pool: emptied(t), views: map[string]*projections.Projector{}, seen: map[string]uint64{}}
	w.repo = testkit.Repository(t, w.pool)
	w.sessions = &session.Store{Pool: w.pool, Lifetime: time.Hour, Account: w.repo.Account}
	w.Handler = &commands.Handler{
		Store:       w.repo,
		Credentials: &vault.Credentials{Vault: w.pool, App: w.pool, Tries: 10, TryWindow: window},
		Passwords:   password.NewHasher(cheap),
		Tokens:      &token.Maker{Keys: testkit.KeySet("token"), Vault: w.repo.Vault},
		Sessions:    w.sessions,
		Vault:       w.repo.Vault,
		Config:      commands.Config{IDKey: []byte("0123456789abcdef0123456789abcdef"), Producer: "test"},
		Now:         func() time.Time { return time.Now().Add(time.Duration(w.ahead.Load())) },
		Logger:      slog.New(slog.DiscardHandler),
	}
	for _, view := range []projections.View{projections.Accounts{}, projections.Activity{}, projections.Registrations{}} {
		p := &projections.Projector{Pool: w.pool, Vault: w.repo.Vault, View: view, Logger: w.Logger}
		must(t, postgres.CreateCheckpoint(t.Context(), w.pool, p.CheckpointName(), uuid.New(), 0))
		_, err := p.Start(t.Context())
		must(t, err)
		w.views[view.Name()] = p
	}
	return w
}

// emptied returns the package's database without a row in it: the tests run one after
// the other, and to make a database takes longer than most of them.
func emptied(t *testing.T) *pgxpool.Pool {
	t.Helper()
	pool, err := postgres.Open(t.Context(), postgres.Config{Setting: "test", URL: testkit.SharedDatabaseURL(t)})
	must(t, err)
	t.Cleanup(pool.Close)
	_, err = pool.Exec(t.Context(), `DO $$ BEGIN EXECUTE (
		SELECT string_agg('DELETE FROM ' || quote_ident(schemaname) || '.' || quote_ident(tablename), ';') FROM pg_tables
		WHERE schemaname IN ('app', 'vault', 'readmodel') AND tablename NOT LIKE 'river%'); END $$`)
	must(t, err)
	return pool
}

// withObjects adds an S3 server.
func (w *world) withObjects() *world {
	server, err := s3.Start(w.t.Context(), s3.Config{Dir: w.t.TempDir(), AccessKey: "key", SecretKey: "secret", Bucket: "pictures"})
	must(w.t, err)
	w.t.Cleanup(func() { must(w.t, server.Stop(context.Background())) })
	w.objects, err = objectstore.New(server.URL())
	must(w.t, err)
	w.Objects = w.objects
	return w
}

// project brings all views up to the end of the store.
func (w *world) project() {
	w.t.Helper()
	for name, p := range w.views {
		var batch []domain.Stored
		for stored, err := range w.repo.Client.ReadAll(w.t.Context(), w.seen[name]) {
			must(w.t, err)
			batch = append(batch, stored)
			w.seen[name] = stored.Position
		}
		must(w.t, p.Apply(w.t.Context(), batch))
	}
}

func (w *world) exec(sql string, arguments ...any) {
	w.t.Helper()
	_, err := w.pool.Exec(w.t.Context(), sql, arguments...)
	must(w.t, err)
}

func scalar[T any](w *world, sql string, arguments ...any) (value T) {
	w.t.Helper()
	must(w.t, w.pool.QueryRow(w.t.Context(), sql, arguments...).Scan(&value))
	return value
}

// run runs the task, which must do so much.
func (w *world) run(task housekeeping.Task, want int) {
	w.t.Helper()
	if done, err := task.Run(w.t.Context()); done != want || err != nil {
		w.t.Fatalf("%s did %d, %v; want %d", task.Name, done, err, want)
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func caller() commands.Caller {
	return commands.Caller{CommandID: uuid.New(), Actor: domain.ActorAnonymous, UserAgent: "test"}
}

func registration(email string) commands.Register {
	return commands.Register{Email: email, FirstName: "Ada", LastName: "Lovelace", Password: secret}
}

func (w *world) claim(email string) domain.Claim {
	w.t.Helper()
	parsed, err := domain.ParseEmail(email)
	must(w.t, err)
	claim, err := w.repo.Claim(w.t.Context(), parsed)
	must(w.t, err)
	return claim
}

func (w *world) account(id uuid.UUID) domain.Account {
	w.t.Helper()
	account, err := w.repo.Account(w.t.Context(), id)
	must(w.t, err)
	return account
}

// pending registers.
func (w *world) pending(email string) domain.Account {
	w.t.Helper()
	must(w.t, w.Register(w.t.Context(), caller(), registration(email)))
	return w.account(w.claim(email).Holder)
}

// active registers and activates.
func (w *world) active(email string) domain.Account {
	w.t.Helper()
	return w.activate(w.pending(email), 0)
}

func (w *world) activate(account domain.Account, attempt int) domain.Account {
	w.t.Helper()
	a := account.Activations[attempt]
	link, err := w.Tokens.Token(w.t.Context(), domain.PurposeActivation, account.ID, a.ID, a.ExpiresAt)
	must(w.t, err)
	result, err := w.Activate(w.t.Context(), caller(), account.ID, link)
	must(w.t, err)
	return result.Account
}

func (w *world) signsIn(email, password string) bool {
	w.t.Helper()
	_, err := w.SignIn(w.t.Context(), caller(), email, password)
	if errors.Is(err, commands.ErrCredentials) {
		return false
	}
	must(w.t, err)
	return true
}

// append writes events as one command.
func (w *world) append(stream string, expected int64, events ...domain.Event) {
	w.t.Helper()
	_, err := w.repo.Append(w.t.Context(), domain.Append{Stream: stream, Expected: expected, Events: events,
		Metadata: domain.Metadata{Command: "test", CommandID: uuid.New(), OccurredAt: domain.Micro(w.Now())}})
	must(w.t, err)
}

// ofType counts events of a type in a stream.
func (w *world) ofType(stream, name string) (found []domain.Stored) {
	w.t.Helper()
	for stored, err := range w.repo.Client.ReadStream(w.t.Context(), stream, 0) {
		must(w.t, err)
		if stored.Type == name {
			found = append(found, stored)
		}
	}
	return found
}

// mortal is the event store to a process that is killed at its nth answer: what it
// asked for has happened, and it does not learn of it.
type mortal struct {
	commands.Store
	left atomic.Int64
	kill context.CancelFunc
}

func (m *mortal) dead() bool { return m.left.Load() <= 0 }

func (m *mortal) answered() error {
	if m.left.Add(-1) > 0 {
		return nil
	}
	m.kill()
	return context.Canceled
}

func (m *mortal) Account(ctx context.Context, id uuid.UUID) (domain.Account, error) {
	account, err := m.Store.Account(ctx, id)
	return account, errors.Join(err, m.answered())
}

func (m *mortal) Append(ctx context.Context, a domain.Append) ([]domain.Recorded, error) {
	recorded, err := m.Store.Append(ctx, a)
	return recorded, errors.Join(err, m.answered())
}

// killed runs the task of a process that dies at each answer in turn, and then that
// of another process to the end. check looks at what is left of what prepare made.
func (w *world) killed(task func(commands.Store, *commands.Handler) housekeeping.Task, prepare, check func()) {
	w.t.Helper()
	for n := int64(1); ; n++ {
		prepare()
		ctx, cancel := context.WithCancel(w.t.Context())
		m := &mortal{Store: w.repo, kill: cancel}
		m.left.Store(n)
		handler := *w.Handler
		handler.Store = m
		_, err := task(m, &handler).Run(ctx)
		cancel()
		if m.dead() != (err != nil) {
			w.t.Fatalf("killed at answer %d: %v, %v", n, m.dead(), err)
		}
		_, err = task(w.repo, w.Handler).Run(w.t.Context())
		must(w.t, err)
		check()
		if !m.dead() {
			if n < 3 {
				w.t.Fatalf("the task asked only %d times", n-1)
			}
			return
		}
	}
}

func (w *world) names(sql string, arguments ...any) []string {
	w.t.Helper()
	rows, err := w.pool.Query(w.t.Context(), sql, arguments...)
	must(w.t, err)
	names, err := pgx.CollectRows(rows, pgx.RowTo[string])
	must(w.t, err)
	return names
}
