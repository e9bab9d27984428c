package api

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"daybook/domain"
)

func TestWrappedFailuresKeepTheirStatus(t *testing.T) {
	t.Parallel()
	cases := []struct {
		err    error
		status int
	}{
		{domain.ErrEmailInvalid, 400},
		{domain.ErrNotSignedIn, 401},
		{domain.Refuse(domain.KindForbidden, "x", "x"), 403},
		{domain.ErrNotPending, 404},
		{domain.ErrPasswordChanged, 409},
		{domain.ErrVersion, 412},
		{domain.Refuse(domain.KindTooMany, "x", "x"), 429},
		{domain.Refuse(domain.KindUnavailable, "x", "x"), 503},
		{domain.Refuse(domain.Kind(99), "x", "x"), 500},
		{&http.MaxBytesError{Limit: 1}, 413},
		{context.DeadlineExceeded, 503},
		{context.Canceled, 503},
		{errMethod, 405},
		{errMediaType, 415},
		{&pgconn.PgError{Code: "57P01"}, 503}, // the server shuts down
		{&pgconn.PgError{Code: "42601"}, 500}, // a mistake of ours
		{errors.New("no idea"), 500},
	}
	for _, c := range cases {
		for _, err := range []error{c.err, fmt.Errorf("a: %w", c.err), fmt.Errorf("b: %w", errors.Join(errors.New("c"), fmt.Errorf("a: %w", c.err)))} {
			if got := refusalOf(context.Background(), err).status; got != c.status {
				t.Errorf("%v: %d, want %d", err, got, c.status)
			}
		}
	}
	over, cancel := context.WithCancel(context.Background())
	cancel()
	if got := refusalOf(over, errors.New("rpc error: code = DeadlineExceeded")).status; got != 503 {
		t.Errorf("after the deadline: %d", got)
	}
}

func TestEveryKindHasAStatus(t *testing.T) {
	t.Parallel()
	for kind := domain.KindInvalid; kind <= domain.KindTooMany; kind++ {
		if kinds[kind] == 0 {
			t.Errorf("kind %d has no status", kind)
		}
	}
}

func TestUnexpectedFailureSaysOnlyItsID(t *testing.T) {
	t.Parallel()
	s := newService(t)
	s.failure = errors.New("connection to 10.0.0.7 refused for user secret")
	w := s.post("/users/login/", `{"email":"a@example.org","password":"12345SomeData"}`)
	p := wantProblem(t, w, http.StatusInternalServerError)
	if strings.Contains(fmt.Sprint(p), "10.0.0.7") {
		t.Errorf("%+v", p)
	}
	if id := w.Header().Get("X-Request-Id"); !strings.Contains(s.log.String(), id) || !strings.Contains(s.log.String(), "10.0.0.7") {
		t.Errorf("not to be found in the log: %s", s.log)
	}
}

func TestBusyAndLateAreToBeTriedAgain(t *testing.T) {
	t.Parallel()
	s := newService(t)
	for _, err := range []error{context.DeadlineExceeded, domain.Refuse(domain.KindUnavailable, "busy", "Busy")} {
		s.failure = fmt.Errorf("read: %w", err)
		w := s.post("/users/login/", `{"email":"a@example.org","password":"12345SomeData"}`)
		wantProblem(t, w, http.StatusServiceUnavailable)
		if got := w.Header().Get("Retry-After"); got != "1" {
			t.Errorf("Retry-After %q", got)
		}
	}
}

// TestDatabaseAwayIsToBeTriedAgain: what the driver says of a server that is not there
// is no fault of ours, and is found in the log all the same.
func TestDatabaseAwayIsToBeTriedAgain(t *testing.T) {
	t.Parallel()
	socket := t.TempDir() // in which nobody listens
	_, away := pgx.Connect(t.Context(), "host="+socket+" user=daybook")
	if away == nil {
		t.Fatal("connected")
	}
	s := newService(t)
	s.failure = fmt.Errorf("read: %w", away)
	w := s.post("/users/login/", `{"email":"a@example.org","password":"12345SomeData"}`)
	p := wantProblem(t, w, http.StatusServiceUnavailable)
	if got := w.Header().Get("Retry-After"); got != "1" || strings.Contains(fmt.Sprint(p), socket) {
		t.Errorf("Retry-After %q, %+v", got, p)
	}
	if id := w.Header().Get("X-Request-Id"); !strings.Contains(s.log.String(), id) || !strings.Contains(s.log.String(), socket) {
		t.Errorf("not to be found in the log: %s", s.log)
	}
}

func TestPanicIsAProblem(t *testing.T) {
	t.Parallel()
	s := newService(t, func(s *Server) {
		s.Media = func(context.Context, string) ([]byte, string, error) { panic("top secret") }
	})
	w := s.do("GET", "/media/thumbnails/there", "")
	wantProblem(t, w, http.StatusInternalServerError)
	if strings.Contains(s.log.String(), "top secret") || !strings.Contains(s.log.String(), "media.go") {
		t.Errorf("log: %s", s.log)
	}
	wantStatus(t, s.do("GET", "/healthz", ""), http.StatusOK)
}

func TestBodyFailures(t *testing.T) {
	t.Parallel()
	if got := bodyFailure(fmt.Errorf("read: %w", os.ErrDeadlineExceeded), errJSON); !errors.Is(got, errSlowBody) {
		t.Errorf("slow: %v", got)
	}
	if got := bodyFailure(io.ErrUnexpectedEOF, errForm); !errors.Is(got, errForm) {
		t.Errorf("broken off: %v", got)
	}
}
