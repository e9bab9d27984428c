package api

import (
	"maps"
	"net/http"
	"testing"
	"time"

	"github.com/google/uuid"
)

// TestAnonymousAnswersDoNotTellWhoExists compares status, header names, stable
// header values and bytes of the answers for every state an address can be in,
// and that none comes before the floor.
func TestAnonymousAnswersDoNotTellWhoExists(t *testing.T) {
	t.Parallel()
	s := newService(t)
	s.activated(t, "active@example.org")
	wantStatus(t, s.post("/users/register/", registration("pending@example.org")), http.StatusCreated)
	requests := []struct {
		path  string
		floor time.Duration
		body  func(email string) string
	}{
		{"/users/register/", floorHash, registration},
		{"/users/regenerate-token/", floor, func(email string) string { return `{"email":"` + email + `"}` }},
		{"/users/password-change/request-password-change/", floor, func(email string) string { return `{"email":"` + email + `"}` }},
	}
	for _, request := range requests {
		var first, firstHeader = "", http.Header(nil)
		for _, email := range []string{"active@example.org", "pending@example.org", "unknown-" + request.path[7:10] + "@example.org", "ACTIVE@example.org"} {
			start := time.Now()
			w := s.post(request.path, request.body(email))
			if took := time.Since(start); took < request.floor {
				t.Errorf("%s answered after %v", request.path, took)
			}
			header := w.Header().Clone()
			header.Del("X-Request-Id")
			if first == "" {
				first, firstHeader = w.Body.String(), header
			}
			if w.Body.String() != first || !maps.EqualFunc(header, firstHeader, func(a, b []string) bool { return len(a) == 1 && a[0] == b[0] }) {
				t.Errorf("%s for %s: %s %v", request.path, email, w.Body, header)
			}
		}
	}
	if _, notices := s.counted(); notices != 2 {
		t.Errorf("%d notices to owners", notices)
	}
}

// TestRefusalsTakeTheSameTime: a sign-in that is refused and a mailed link that does
// not work come no sooner than the floor, whatever they were refused for (C23, C59).
func TestRefusalsTakeTheSameTime(t *testing.T) {
	t.Parallel()
	s := newService(t)
	s.activated(t, "active@example.org")
	const change, confirm, register = "/users/password-change/change-user-password/", "/users/password-change/confirm/change-password/", "/users/register/confirm/"
	const address = "/users/email-change/confirm/"
	uid := encodeID(uuid.New())
	for _, c := range []struct{ method, path, body string }{
		{http.MethodPost, "/users/login/", `{"email":"active@example.org","password":"wrong-wrong"}`},
		{http.MethodPost, "/users/login/", `{"email":"unknown@example.org","password":"wrong-wrong"}`},
		{http.MethodPost, "/users/login/", `{"email":"no address","password":"wrong-wrong"}`},
		{http.MethodPost, change, `{"token":"` + uid + `:k.x","password":"SomeOther123456"}`},
		{http.MethodPost, change, `{"token":"malformed","password":"SomeOther123456"}`},
		{http.MethodGet, confirm + uid + "/k.x/", ""},
		{http.MethodGet, confirm + "malformed/k.x/", ""},
		{http.MethodGet, register + uid + "/k.x/", ""},
		{http.MethodPost, register + uid + "/k.x/", ""},
		{http.MethodPost, register + "malformed/k.x/", ""},
		{http.MethodGet, address + uid + "/k.x/", ""},
		{http.MethodPost, address + uid + "/k.x/", ""},
		{http.MethodPost, address + "malformed/k.x/", ""},
	} {
		began := time.Now()
		w := s.do(c.method, c.path, c.body, "Content-Type", "application/json")
		if took := time.Since(began); took < floor || w.Code != http.StatusBadRequest && w.Code != http.StatusFound {
			t.Errorf("%s %s: %d after %v", c.method, c.path, w.Code, took)
		}
	}
}

func registration(email string) string {
	return `{"email":"` + email + `","first_name":"Ada","last_name":"King","password":"12345SomeData"}`
}

func TestSignInHasOneRefusal(t *testing.T) {
	t.Parallel()
	s := newService(t)
	s.activated(t, "active@example.org")
	wantStatus(t, s.post("/users/register/", registration("pending@example.org")), http.StatusCreated)
	for _, body := range []string{
		`{"email":"active@example.org","password":"12345SomeDatA"}`, `{"email":"pending@example.org","password":"12345SomeData"}`,
		`{"email":"unknown@example.org","password":"12345SomeData"}`, `{"email":"not an address","password":"12345SomeData"}`,
	} {
		p := wantProblem(t, s.post("/users/login/", body), http.StatusBadRequest)
		if p.Error != "Email and password do not match" || p.Fields != nil {
			t.Errorf("%s: %+v", body, p)
		}
	}
}
