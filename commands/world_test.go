package commands_test

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"sync"
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
	"daybook/internal/eventstore/node/nodetest"
	"daybook/internal/objectstore"
	"daybook/internal/password"
	"daybook/internal/postgres"
	"daybook/internal/session"
	"daybook/internal/testkit"
	"daybook/internal/token"
	"daybook/internal/vault"
)

func TestMain(m *testing.M) { os.Exit(testkit.Main(m)) }

const (
	ada      = "ada@example.com"
	secret   = "12345SomeData"
	newWords = "SomeOther123456"
	tries    = 10
)

// cheap makes hashing no subject of these tests.
var cheap = password.Parameters{MemoryKiB: 64, Passes: 1, Threads: 1}

// world is the write side with real parts.
type world struct {
	*commands.Handler
	t          testing.TB
	pool       *pgxpool.Pool
	client     *eventstore.Client
	vault      *vault.Vault
	repository *eventstore.Repository
	sessions   *session.Store
	objects    *objectstore.Store
	notices    *notices
	clock      *clock
	counts     *counts
	masters    vault.KeySet
	links      vault.KeySet // keys of tokens
}

func newWorld(t testing.TB) *world {
	t.Helper()
	w := &world{t: t, masters: testkit.KeySet("master"), links: testkit.KeySet("token"), clock: &clock{}, notices: &notices{}, counts: &counts{calls: map[eventstore.Operation]int{}}}
	var err error
	w.pool, err = postgres.Open(t.Context(), postgres.Config{Setting: "test", URL: testkit.SharedDatabaseURL(t), Tracer: w.counts})
	must(t, err)
	t.Cleanup(w.pool.Close)
	running := nodetest.Start(t)
	w.client, err = eventstore.NewClient(eventstore.Config{Socket: running.Address()[len("unix:"):], Observe: w.counts.observe})
	must(t, err)
	t.Cleanup(w.client.Close)
	w.connect()
	return w
}

// connect puts the handler together; a second call is another process.
func (w *world) connect() {
	w.vault = vault.New(w.pool, w.masters)
	w.repository = &eventstore.Repository{
		Client: w.client, Vault: w.vault, Addresses: testkit.KeySet("address"), Logger: slog.New(slog.DiscardHandler),
	}
	w.sessions = &session.Store{Pool: w.pool, Lifetime: time.Hour, IdleLifetime: time.Hour, Account: w.repository.Account}
	w.objects = startObjects(w.t)
	w.Handler = &commands.Handler{
		Store:       w.repository,
		Credentials: &vault.Credentials{Vault: w.pool, App: w.pool, Tries: tries, TryWindow: 15 * time.Minute},
		Passwords:   password.NewHasher(cheap),
		Tokens:      &token.Maker{Keys: w.links, Vault: w.vault},
		Sessions:    w.sessions, Objects: w.objects, Vault: w.vault, Notices: w.notices,
		Config: commands.Config{IDKey: []byte("0123456789abcdef0123456789abcdef"), Producer: "test"},
		Now:    w.clock.now, Logger: slog.New(slog.DiscardHandler),
	}
}

func startObjects(t testing.TB) *objectstore.Store {
	t.Helper()
	server, err := s3.Start(t.Context(), s3.Config{Dir: t.TempDir(), AccessKey: "key", SecretKey: "secret", Bucket: "pictures"})
	must(t, err)
	t.Cleanup(func() { must(t, server.Stop(context.Background())) })
	store, err := objectstore.New(server.URL())
	must(t, err)
	return store
}

// another returns a copy whose ports may be exchanged.
func (w *world) another() *commands.Handler {
	h := *w.Handler
	return &h
}

// clock is the time of day, moved by tests.
type clock struct{ ahead atomic.Int64 }

func (c *clock) now() time.Time          { return time.Now().Add(time.Duration(c.ahead.Load())) }
func (c *clock) advance(d time.Duration) { c.ahead.Add(int64(d)) }

// notices counts the mails that no event stands for.
type notices struct{ sent atomic.Int64 }

func (n *notices) AlreadyRegistered(context.Context, domain.Account) error {
	n.sent.Add(1)
	return nil
}

// counts counts round trips.
type counts struct {
	mu         sync.Mutex
	statements int
	calls      map[eventstore.Operation]int
}

func (c *counts) TraceQueryStart(ctx context.Context, _ *pgx.Conn, _ pgx.TraceQueryStartData) context.Context {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.statements++
	return ctx
}

func (c *counts) TraceQueryEnd(context.Context, *pgx.Conn, pgx.TraceQueryEndData) {}

func (c *counts) observe(_ context.Context, operation eventstore.Operation, _ time.Duration, _ error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.calls[operation]++
}

// spent is what a command costs.
type spent struct{ statements, reads, appends int }

func (c *counts) during(run func()) spent {
	before := c.now()
	run()
	after := c.now()
	return spent{after.statements - before.statements, after.reads - before.reads, after.appends - before.appends}
}

func (c *counts) now() spent {
	c.mu.Lock()
	defer c.mu.Unlock()
	return spent{c.statements, c.calls[eventstore.OpReadStream], c.calls[eventstore.OpAppend]}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// want fails unless err is the refusal.
func want(t *testing.T, err, refusal error) {
	t.Helper()
	if !errors.Is(err, refusal) {
		t.Fatalf("got %v, want %v", err, refusal)
	}
}

func caller() commands.Caller {
	return commands.Caller{CommandID: uuid.New(), Actor: domain.ActorAnonymous, UserAgent: "test", ClientAddress: "192.0.2.1"}
}

func registration(email string) commands.Register {
	return commands.Register{Email: email, FirstName: "Ada", LastName: "Lovelace", Password: secret}
}

// accountOf folds the account that holds the address.
func (w *world) accountOf(email string) domain.Account {
	w.t.Helper()
	parsed, err := domain.ParseEmail(email)
	must(w.t, err)
	claim, err := w.repository.Claim(w.t.Context(), parsed)
	must(w.t, err)
	return w.account(claim.Holder)
}

func (w *world) account(id uuid.UUID) domain.Account {
	w.t.Helper()
	account, err := w.repository.Account(w.t.Context(), id)
	must(w.t, err)
	return account
}

// events returns the decoded events of a stream.
func (w *world) events(stream string) []domain.Recorded {
	w.t.Helper()
	var stored []domain.Stored
	for s, err := range w.client.ReadStream(w.t.Context(), stream, 0) {
		must(w.t, err)
		stored = append(stored, s)
	}
	recorded, err := w.vault.Decode(w.t.Context(), stored...)
	must(w.t, err)
	return recorded
}

func count[E domain.Event](events []domain.Recorded) int {
	n := 0
	for _, r := range events {
		if _, ok := r.Event.(E); ok {
			n++
		}
	}
	return n
}

func (w *world) token(purpose domain.Purpose, account, id uuid.UUID, expires time.Time) string {
	w.t.Helper()
	made, err := w.Tokens.Token(w.t.Context(), purpose, account, id, expires)
	must(w.t, err)
	return made
}

func (w *world) activationToken(account domain.Account, n int) string {
	w.t.Helper()
	attempt := account.Activations[n]
	return w.token(domain.PurposeActivation, account.ID, attempt.ID, attempt.ExpiresAt)
}

// pending registers.
func (w *world) pending(email string) domain.Account {
	w.t.Helper()
	must(w.t, w.Register(w.t.Context(), caller(), registration(email)))
	return w.accountOf(email)
}

// active registers and activates.
func (w *world) active(email string) domain.Account {
	w.t.Helper()
	account := w.pending(email)
	result, err := w.Activate(w.t.Context(), caller(), account.ID, w.activationToken(account, 0))
	must(w.t, err)
	return result.Account
}

// mailedReset asks for a reset and returns the mailed token.
func (w *world) mailedReset(email string) (domain.Account, string) {
	w.t.Helper()
	must(w.t, w.RequestReset(w.t.Context(), caller(), email))
	account := w.accountOf(email)
	return account, w.token(domain.PurposeReset, account.ID, account.Reset.ID, account.Reset.ExpiresAt)
}

// secondToken goes the first two steps of a reset.
func (w *world) secondToken(email string) (domain.Account, string) {
	w.t.Helper()
	account, mailed := w.mailedReset(email)
	second, err := w.OpenResetLink(w.t.Context(), caller(), account.ID, mailed)
	must(w.t, err)
	return account, second
}

// in signs in.
func (w *world) in(email, password string) commands.SignedIn {
	w.t.Helper()
	in, err := w.SignIn(w.t.Context(), caller(), email, password)
	must(w.t, err)
	return in
}

func (w *world) valid(in commands.SignedIn) bool {
	w.t.Helper()
	_, err := w.sessions.Check(w.t.Context(), in.Token)
	if err != nil && !errors.Is(err, domain.ErrNotSignedIn) {
		w.t.Fatal(err)
	}
	return err == nil
}

// signsIn reports whether the password opens a session that works. It forgets
// the failed try.
func (w *world) signsIn(email, password string) bool {
	w.t.Helper()
	in, err := w.SignIn(w.t.Context(), caller(), email, password)
	if errors.Is(err, commands.ErrCredentials) {
		must(w.t, w.Credentials.SignInSucceeded(w.t.Context(), w.accountOf(email).AddressClaim))
		return false
	}
	must(w.t, err)
	if !w.valid(in) {
		w.t.Fatal("a session is refused right after it was opened")
	}
	return true
}

// patiently repeats what a full queue has shed.
func patiently(run func() error) error {
	for {
		if err := run(); !errors.Is(err, password.ErrBusy) {
			return err
		}
	}
}

// rounds is how often what must never happen gets its chance.
func rounds(few int) int {
	if os.Getenv("DAYBOOK_TEST_LONG") != "" {
		return 1000
	}
	return few
}

// together runs n at once and returns what became of each.
func together(n int, run func(i int) error) []error {
	results := make([]error, n)
	start := make(chan struct{})
	var all sync.WaitGroup
	for i := range n {
		all.Go(func() {
			<-start
			results[i] = run(i)
		})
	}
	close(start)
	all.Wait()
	return results
}
