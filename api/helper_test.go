package api

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"daybook/domain"
	"daybook/internal/testkit"
)

const (
	public   = "https://id.example.org"
	frontend = "https://front.example.org"
)

// service is a Server over memory, with what it logged.
type service struct {
	*memory
	tb      testing.TB
	handler http.Handler
	log     *logBuffer
}

type logBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func newService(t *testing.T, change ...func(*Server)) service {
	t.Helper()
	m, log := newMemory(), &logBuffer{}
	server := &Server{
		Commands: m.handler(time.Now), Logger: slog.New(slog.NewJSONHandler(log, nil)),
		Config: Config{PublicURL: public, FrontendURL: frontend, TrustedOrigins: []string{"https://partner.example.org:8443"}},
		Media: func(_ context.Context, key string) ([]byte, string, error) {
			if key == "thumbnails/there" {
				return []byte("picture"), "image/png", nil
			}
			return nil, "", domain.Refuse(domain.KindNotFound, "no_such_object", "There is no such picture")
		},
	}
	server.Commands.Logger = server.Logger
	for _, f := range change {
		f(server)
	}
	return service{m, t, server.Handler(), log}
}

func seedContract(s *Server) { s.Config.Contract = ContractSeed }

// do sends a request; header holds pairs of name and value.
func (s service) do(method, path, body string, header ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, path, strings.NewReader(body))
	for i := 0; i < len(header); i += 2 {
		r.Header.Add(header[i], header[i+1])
	}
	return s.send(r)
}

// send holds the answer against the description.
func (s service) send(r *http.Request) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	s.handler.ServeHTTP(w, r)
	description.Check(s.tb, r, w.Code, w.Header(), w.Body.Bytes())
	return w
}

var description = testkit.NewDescription(Description)

func (s service) post(path, body string, header ...string) *httptest.ResponseRecorder {
	return s.do("POST", path, body, append([]string{"Content-Type", "application/json"}, header...)...)
}

// activated registers and activates an account.
func (s service) activated(t *testing.T, address string) domain.Account {
	t.Helper()
	in, _ := json.Marshal(map[string]string{"email": address, "first_name": "Ada", "last_name": "King", "password": "12345SomeData"})
	wantStatus(t, s.post("/users/register/", string(in)), http.StatusCreated)
	account := s.accountOf(address)
	link := s.activationLink(account)
	if w := s.do("POST", link, ""); w.Header().Get("Location") != frontend+"/auth/confirmed" {
		t.Fatalf("activation: %d to %q", w.Code, w.Header().Get("Location"))
	}
	return s.accountOf(address)
}

func (s service) activationLink(a domain.Account) string {
	attempt := a.Activations[0]
	token, _ := s.Token(context.Background(), domain.PurposeActivation, a.ID, attempt.ID, attempt.ExpiresAt)
	return "/users/register/confirm/" + encodeID(a.ID) + "/" + token + "/"
}

func wantStatus(t *testing.T, w *httptest.ResponseRecorder, status int) {
	t.Helper()
	if w.Code != status {
		t.Fatalf("status %d, want %d: %s", w.Code, status, w.Body)
	}
}

// wantProblem checks the whole problem document and returns it.
func wantProblem(t *testing.T, w *httptest.ResponseRecorder, status int) problem {
	t.Helper()
	wantStatus(t, w, status)
	if got := w.Header().Get("Content-Type"); got != "application/problem+json" {
		t.Errorf("content type %q", got)
	}
	var p problem
	decoder := json.NewDecoder(w.Body)
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&p); err != nil {
		t.Fatalf("problem: %v", err)
	}
	if p.Status != status || p.Title != http.StatusText(status) || p.Error == "" || p.Code == "" ||
		p.Type != "urn:daybook:problem:"+p.Code || p.Instance != "urn:uuid:"+w.Header().Get("X-Request-Id") {
		t.Errorf("incomplete problem: %+v", p)
	}
	return p
}

func wantMessage(t *testing.T, w *httptest.ResponseRecorder, status int, sentence string) {
	t.Helper()
	wantStatus(t, w, status)
	var got message
	if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil || got.Message != sentence {
		t.Errorf("message %q (%v), want %q", got.Message, err, sentence)
	}
}

func readAll(t *testing.T, r io.Reader) string {
	t.Helper()
	body, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return string(body)
}
