package app_test

import (
	"encoding/json"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"daybook/internal/embedded/s3"
	"daybook/internal/embedded/smtp"
	"daybook/internal/eventstore"
	"daybook/internal/eventstore/node"
	"daybook/internal/testkit"
)

// proxy stands before a backend and can pause: bytes and connections are taken
// and nothing comes back, as from a machine that hangs.
type proxy struct {
	addr   string
	dial   func() (net.Conn, error)
	paused atomic.Bool

	// target is where new connections lead.
	target atomic.Pointer[string]

	mu    sync.Mutex
	conns []net.Conn
}

func startProxy(tb testing.TB, network, target string) *proxy {
	tb.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	p := &proxy{addr: listener.Addr().String()}
	p.target.Store(&target)
	p.dial = func() (net.Conn, error) { return net.Dial(network, *p.target.Load()) }
	tb.Cleanup(func() {
		_ = listener.Close()
		p.cut()
	})
	go func() {
		for {
			client, err := listener.Accept()
			if err != nil {
				return
			}
			go p.serve(client)
		}
	}()
	return p
}

func (p *proxy) serve(client net.Conn) {
	server, err := p.dial()
	if err != nil {
		_ = client.Close()
		return
	}
	p.mu.Lock()
	p.conns = append(p.conns, client, server)
	p.mu.Unlock()
	go p.copy(server, client)
	p.copy(client, server)
}

// copy forwards until either side ends; what passes during a pause is lost.
func (p *proxy) copy(to, from net.Conn) {
	defer func() { _, _ = to.Close(), from.Close() }()
	buffer := make([]byte, 32<<10)
	for {
		n, err := from.Read(buffer)
		if err != nil {
			return
		}
		if p.paused.Load() {
			continue
		}
		if _, err := to.Write(buffer[:n]); err != nil {
			return
		}
	}
}

// resume ends the pause; connections that have lost bytes end with it.
func (p *proxy) resume() {
	p.paused.Store(false)
	p.cut()
}

func (p *proxy) cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, conn := range p.conns {
		_ = conn.Close()
	}
	p.conns = nil
}

// readiness is the answer of /readyz.
type readiness struct {
	status int
	body   string
	parts  map[string]struct {
		OK    bool   `json:"ok"`
		State string `json:"state"`
	}
}

func (s *service) readiness() readiness {
	s.tb.Helper()
	a := s.browser().get("/readyz")
	r := readiness{status: a.Status, body: string(a.Body)}
	var document struct{ Report json.RawMessage }
	if err := json.Unmarshal(a.Body, &document); err != nil {
		s.tb.Fatalf("readyz: %v: %s", err, a.Body)
	}
	if err := json.Unmarshal(document.Report, &r.parts); err != nil {
		s.tb.Fatalf("readyz: %v: %s", err, a.Body)
	}
	return r
}

func (s *service) awaitReady() {
	s.tb.Helper()
	testkit.Await(s.tb, 30*time.Second, "ready", func() bool { return s.readiness().status == http.StatusOK })
}

// awaitDead waits, at most the ten seconds that are promised, until the part is
// named as not well and the service is not ready.
func (s *service) awaitDead(part string, states ...string) {
	s.tb.Helper()
	began := time.Now()
	var last readiness
	testkit.Await(s.tb, 10*time.Second, part+" is shown as "+strings.Join(states, " or "), func() bool {
		last = s.readiness()
		state := last.parts[part]
		return last.status == http.StatusServiceUnavailable && !state.OK && strings.Contains(strings.Join(states, " "), state.State)
	})
	s.tb.Logf("%s: %s after %v", part, last.parts[part].State, time.Since(began).Round(time.Millisecond))
}

// behindProxies runs the service with every backend behind a proxy.
func behindProxies(t *testing.T) (*service, map[string]*proxy) {
	t.Helper()
	settings := settings(t)
	keys := testkit.KeySet("k").String()
	settings.MasterKeys, settings.TokenKeys, settings.AddressKeys = keys, keys, keys
	proxies := map[string]*proxy{"event_store": startProxy(t, "tcp", startNode(t)), "database": databaseProxy(t, settings.DatabaseURL)}
	objects, err := s3.Start(t.Context(), s3.Config{Dir: t.TempDir(), AccessKey: "key", SecretKey: "secret-of-s3", Bucket: "daybook"})
	if err != nil {
		t.Fatal(err)
	}
	catcher, err := smtp.Start(t.Context(), smtp.Config{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _, _ = objects.Stop(t.Context()), catcher.Stop(t.Context()) })
	stored, err := url.Parse(objects.URL())
	if err != nil {
		t.Fatal(err)
	}
	proxies["object_store"], proxies["smtp"] = startProxy(t, "tcp", stored.Host), startProxy(t, "tcp", catcher.Addr())
	settings.EventStoreURL = "esdb://" + proxies["event_store"].addr + "?tls=false"
	settings.DatabaseURL = through(t, settings.DatabaseURL, proxies["database"].addr)
	settings.S3URL = strings.Replace(objects.URL(), stored.Host, proxies["object_store"].addr, 1)
	settings.SMTPURL = "smtp://" + proxies["smtp"].addr + "?tls=none"
	return start(t, settings), proxies
}

func startNode(t *testing.T) (addr string) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	n, err := node.Open(node.Config{})
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- n.Serve(listener) }()
	t.Cleanup(func() {
		if err := n.Close(); err != nil {
			t.Error(err)
		}
		<-served
	})
	return listener.Addr().String()
}

func databaseProxy(t *testing.T, database string) *proxy {
	t.Helper()
	config, err := pgx.ParseConfig(database)
	if err != nil {
		t.Fatal(err)
	}
	network, address := pgconn.NetworkAddress(config.Host, config.Port)
	return startProxy(t, network, address)
}

// through names the same database at another address.
func through(t *testing.T, database, addr string) string {
	t.Helper()
	config, err := pgx.ParseConfig(database)
	if err != nil {
		t.Fatal(err)
	}
	given := url.URL{Scheme: "postgres", User: url.UserPassword(config.User, config.Password), Host: addr, Path: config.Database, RawQuery: "sslmode=disable"}
	return given.String()
}

// TestDeadBackend pauses backends: the service must say within ten seconds which
// one is dead, be alive meanwhile, and be ready again afterwards by itself. While
// the relay hangs, the mails in hand wait for it and those behind them are not
// taken up, which is shown too.
func TestDeadBackend(t *testing.T) {
	t.Parallel()
	s, proxies := behindProxies(t)
	s.awaitReady()
	for _, paused := range [][]string{{"smtp", "object_store"}, {"event_store"}, {"database"}} {
		for _, part := range paused {
			proxies[part].paused.Store(true)
		}
		if paused[0] == "smtp" {
			for _, name := range []string{"a", "b", "c", "d", "e", "f"} { // the mailer has four workers
				a := s.browser().post("/users/register/", map[string]any{"email": name + "@example.com", "first_name": "A", "last_name": "B", "password": goodPassword})
				want(t, a, http.StatusCreated, "", "")
			}
			s.awaitDead("mail_queue", "stalled")
		}
		for _, part := range paused {
			s.awaitDead(part, "no_answer")
		}
		if a := s.browser().get("/healthz"); a.Status != http.StatusOK {
			t.Errorf("%v: alive: %d", paused, a.Status)
		}
		if body := s.readiness().body; strings.Contains(body, "127.0.0.1") || strings.Contains(body, "secret") {
			t.Errorf("%v: the report tells too much: %s", paused, body)
		}
		for _, part := range paused {
			proxies[part].resume()
		}
		s.awaitReady()
	}
}

// TestExchangedStore: while the service runs, another event store appears behind the
// address. Nothing is taken from it or written to it, the log says what to do, and with
// the right one back the service goes on.
func TestExchangedStore(t *testing.T) {
	t.Parallel()
	first, other := startNode(t), startNode(t)
	address := startProxy(t, "tcp", first)
	settings := settings(t)
	settings.EventStoreURL = "esdb://" + address.addr + "?tls=false"
	s := start(t, settings)
	const email = "exchanged@example.com"
	s.signedIn(email)
	s.awaitRow(t, email, "Ann")
	s.awaitReady()
	address.target.Store(&other)
	address.cut()
	s.awaitDead("event_store", "other_store")
	a := s.browser().post("/users/register/", map[string]any{"email": "lost@example.com", "first_name": "A", "last_name": "B", "password": goodPassword})
	want(t, a, http.StatusServiceUnavailable, "", "")
	if !strings.Contains(s.logs.String(), "another event store is behind DAYBOOK_EVENTSTORE_URL") {
		t.Error("the log doesn't say what to do")
	}
	theirs := storeClient(t, eventstore.Config{URL: "esdb://" + other + "?tls=false"})
	if tail, err := theirs.Tail(t.Context()); err != nil || tail != 1 { // the node's own $users
		t.Errorf("the other store has events up to %d (%v)", tail, err)
	}
	address.target.Store(&first)
	address.cut()
	s.awaitReady()
	b := s.browser()
	want(t, b.signIn(email, goodPassword), http.StatusOK, "", "")
	want(t, b.patch(map[string]string{"first_name": "Beth"}, nil), http.StatusOK, "first_name", "Beth")
	s.awaitRow(t, email, "Beth")
}

// sql runs statements as an operator would, in a transaction until the test is
// done with it.
func sql(t *testing.T, database string, statements ...string) (done func()) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), database)
	if err != nil {
		t.Fatal(err)
	}
	tx, err := conn.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, statement := range statements {
		if _, err := tx.Exec(t.Context(), statement); err != nil {
			t.Fatal(err)
		}
	}
	return func() { _, _ = tx.Rollback(t.Context()), conn.Close(t.Context()) }
}

// TestDeadConsumer stops projectors in ways in which they can die while every
// backend answers: one hangs, one fails.
func TestDeadConsumer(t *testing.T) {
	t.Parallel()
	settings := settings(t)
	s := start(t, settings)
	s.register("watched@example.com")
	s.awaitReady()
	release := sql(t, settings.DatabaseURL, `LOCK TABLE readmodel.resets IN ACCESS EXCLUSIVE MODE`)
	operate(t, settings.DatabaseURL, `ALTER TABLE readmodel.registrations RENAME TO hidden`)
	b := s.browser()
	b.requestReset("watched@example.com", 1)
	b.post("/users/register/", map[string]any{"email": "other@example.com", "first_name": "A", "last_name": "B", "password": goodPassword})
	s.awaitDead("projection:resets", "stuck", "stalled")
	s.awaitDead("projection:registrations", "failing", "stalled")
	operate(t, settings.DatabaseURL, `ALTER TABLE readmodel.hidden RENAME TO registrations`)
	release()
	s.awaitReady()
}

func operate(t *testing.T, database, statement string) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), database)
	if err == nil {
		_, err = conn.Exec(t.Context(), statement)
		_ = conn.Close(t.Context())
	}
	if err != nil {
		t.Fatal(err)
	}
}

// TestDeadOwner has the lease of a projector held by a process that does nothing:
// the one that stands by must not be green.
func TestDeadOwner(t *testing.T) {
	t.Parallel()
	settings := settings(t)
	release := sql(t, settings.DatabaseURL, `SELECT pg_advisory_lock(hashtextextended('projection:accounts', 0))`)
	s := start(t, settings)
	s.register("ownerless@example.com")
	s.awaitDead("projection:accounts", "stalled")
	release()
	s.awaitReady()
}
