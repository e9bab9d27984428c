package audit_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgxpool"

	"daybook/api"
	"daybook/domain"
	"daybook/internal/apitoken"
	"daybook/internal/audit"
	"daybook/internal/eventstore"
	"daybook/internal/eventstore/node/nodetest"
	"daybook/internal/testkit"
	"daybook/internal/vault"
)

func TestMain(m *testing.M) { os.Exit(testkit.Main(m)) }

// stand is a store with its audit endpoint.
type stand struct {
	tb         testing.TB
	node       *nodetest.Running
	pool       *pgxpool.Pool
	client     *eventstore.Client
	masters    vault.KeySet
	repository *eventstore.Repository
	tokens     *apitoken.Store
	cursors    audit.Cursors
	url        string
}

var secret = []byte("a secret that all processes share")

func newStand(tb testing.TB, change ...func(*audit.Config, *api.Audit)) *stand {
	tb.Helper()
	s := &stand{tb: tb, node: nodetest.Start(tb, nodetest.OnDisk(tb)), pool: testkit.Database(tb), masters: testkit.KeySet("master")}
	s.client = s.connect(eventstore.Config{})
	s.repository = &eventstore.Repository{
		Client: s.client, Vault: vault.New(s.pool, s.masters), Addresses: testkit.KeySet("address"), Logger: slog.New(slog.DiscardHandler),
	}
	identity, err := s.repository.Identify(tb.Context(), "", nil, "test")
	if err != nil {
		tb.Fatal(err)
	}
	if s.cursors, err = audit.NewCursors(secret, identity.StoreID); err != nil {
		tb.Fatal(err)
	}
	s.tokens = &apitoken.Store{Pool: s.pool, Append: s.repository.Append, Producer: "test"}
	s.serve(change...)
	return s
}

func (s *stand) connect(config eventstore.Config) *eventstore.Client {
	s.tb.Helper()
	config.Socket = strings.TrimPrefix(s.node.Address(), "unix:")
	client, err := eventstore.NewClient(config)
	if err != nil {
		s.tb.Fatal(err)
	}
	s.tb.Cleanup(client.Close)
	return client
}

// reader returns a reader with an empty key cache.
func (s *stand) reader(change ...func(*audit.Config, *api.Audit)) (*audit.Reader, *api.Audit) {
	config := audit.Config{
		Client: s.connect(eventstore.Config{BufferBytes: 512 << 10}), Vault: vault.New(s.pool, s.masters),
		Cursors: s.cursors, Append: s.repository.Append, Producer: "test", Tick: 20 * time.Millisecond,
	}
	served := &api.Audit{Tokens: s.tokens}
	for _, f := range change {
		f(&config, served)
	}
	served.Reader = audit.New(config)
	return served.Reader, served
}

func (s *stand) serve(change ...func(*audit.Config, *api.Audit)) {
	reader, served := s.reader(change...)
	server := httptest.NewUnstartedServer((&api.Server{Audit: served, Config: api.Config{PublicURL: "http://localhost"}}).Handler())
	server.Start()
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- reader.Run(ctx) }()
	s.tb.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			s.tb.Errorf("run: %v", err)
		}
		server.CloseClientConnections()
		server.Close()
	})
	s.url = server.URL
}

// token returns a fresh token with the scopes.
func (s *stand) token(scopes ...apitoken.Scope) string {
	s.tb.Helper()
	text, _, err := s.tokens.Create(s.tb.Context(), domain.SystemActor("test"), "", scopes, time.Now().Add(time.Hour))
	if err != nil {
		s.tb.Fatal(err)
	}
	return text
}

// get asks for a replay; query is such as "limit=5", header pairs of name and
// value.
func (s *stand) get(token, query string, header ...string) *http.Response {
	s.tb.Helper()
	request, err := http.NewRequestWithContext(s.tb.Context(), http.MethodGet, s.url+"/audit/events?"+query, nil)
	if err != nil {
		s.tb.Fatal(err)
	}
	if token != "" {
		request.Header.Set("Authorization", "Bearer "+token)
	}
	for i := 0; i < len(header); i += 2 {
		request.Header.Add(header[i], header[i+1])
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		s.tb.Fatal(err)
	}
	s.tb.Cleanup(func() { _ = response.Body.Close() })
	return response
}

// lines reads a whole replay.
func (s *stand) lines(token, query string) []audit.Line {
	s.tb.Helper()
	response := s.get(token, query)
	body, err := io.ReadAll(response.Body)
	if err != nil || response.StatusCode != http.StatusOK {
		s.tb.Fatalf("replay: %d %v: %s", response.StatusCode, err, body)
	}
	fits(s.tb, response, body)
	return parseLines(s.tb, string(body))
}

var description = testkit.NewDescription(api.Description)

// fits holds an answer against the description.
func fits(tb testing.TB, response *http.Response, body []byte) {
	tb.Helper()
	description.Check(tb, response.Request, response.StatusCode, response.Header, body)
}

func parseLines(tb testing.TB, body string) []audit.Line {
	tb.Helper()
	var lines []audit.Line
	for text := range strings.Lines(body) {
		var line audit.Line
		if err := json.Unmarshal([]byte(text), &line); err != nil {
			tb.Fatalf("%v: %s", err, text)
		}
		lines = append(lines, line)
	}
	return lines
}

// metadata of an event that no command wrote.
func metadata(at time.Time) domain.Metadata {
	id := uuid.New()
	return domain.Metadata{
		Schema: 1, Command: "test", CommandID: id, CorrelationID: id.String(), CausationID: id.String(),
		Actor: domain.SystemActor("test"), OccurredAt: domain.Micro(at), Producer: "test",
	}
}

func encoded(tb testing.TB, value any) []byte {
	tb.Helper()
	b, err := json.Marshal(value)
	if err != nil {
		tb.Fatal(err)
	}
	return b
}

// refused returns n events that no view looks at; pad makes them big.
func refused(tb testing.TB, n int, pad string) []eventstore.Proposed {
	events := make([]eventstore.Proposed, n)
	data := encoded(tb, map[string]any{"count": 1, "from": time.Now(), "to": time.Now(), "pad": pad})
	for i := range events {
		events[i] = eventstore.Proposed{ID: uuid.New(), Type: "SignInRefused", Data: data, Metadata: encoded(tb, metadata(time.Now()))}
	}
	return events
}

// fill appends n events in small streams.
func (s *stand) fill(n int, pad string) {
	s.tb.Helper()
	for size := 100; n > 0; n -= size {
		size = min(size, n, 1+(512<<10)/(len(pad)+1))
		if _, err := s.client.Append(s.tb.Context(), domain.AccessStream(uuid.New()), eventstore.Any, refused(s.tb, size, pad)...); err != nil {
			s.tb.Fatal(err)
		}
	}
}

// truth reads the positions of everything, another way.
func (s *stand) truth() []uint64 {
	s.tb.Helper()
	var positions []uint64
	for stored, err := range s.client.ReadAll(s.tb.Context(), 0) {
		if err != nil {
			s.tb.Fatal(err)
		}
		if !strings.HasPrefix(stored.Stream, "$") {
			positions = append(positions, stored.Position)
		}
	}
	return positions
}

// register writes the first event of an account.
func (s *stand) register(email string) uuid.UUID {
	s.tb.Helper()
	id := uuid.New()
	_, err := s.repository.Append(s.tb.Context(), domain.Append{
		Stream: domain.AccountStream(id), Expected: domain.NoStream, Metadata: metadata(time.Now()),
		Events: []domain.Event{domain.AccountRegistered{
			AddressClaim: "address-x-1", Personal: domain.Seal(domain.RegisteredDetails{Email: email, FirstName: "Ann", LastName: "Lee"}),
		}},
	})
	if err != nil {
		s.tb.Fatal(err)
	}
	return id
}

func types(lines []audit.Line) string {
	names := make([]string, len(lines))
	for i, line := range lines {
		names[i] = line.Type
	}
	return strings.Join(names, " ")
}

// problemOf checks a refusal and returns its code.
func problemOf(tb testing.TB, response *http.Response, status int) string {
	tb.Helper()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		tb.Fatal(err)
	}
	fits(tb, response, body)
	var p struct{ Code, Error string }
	err = json.Unmarshal(body, &p)
	if err != nil || response.StatusCode != status || response.Header.Get("Content-Type") != "application/problem+json" || p.Error == "" {
		tb.Errorf("%d %s %v, want the problem %d", response.StatusCode, p, err, status)
	}
	return p.Code
}

func after(cursor string) string { return "after=" + url.QueryEscape(cursor) }

// cut reads at most n bytes and says whether that was all there was.
func cut(body io.Reader, n int64) (read string, whole bool, err error) {
	var buffer strings.Builder
	_, err = io.CopyN(&buffer, body, n)
	if errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		return buffer.String(), true, nil
	}
	if err != nil {
		err = fmt.Errorf("after %d bytes: %w", buffer.Len(), err)
	}
	return buffer.String(), false, err
}
