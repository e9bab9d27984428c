package app_test

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"testing"

	"github.com/google/uuid"

	"daybook/internal/app"
)

const trustedFrontend = "https://front.example.org"

// limited is a service with low limits.
func limited(t *testing.T) app.Settings {
	s := settings(t)
	s.FrontendURL = trustedFrontend
	s.SignInSourceTries, s.TokenSourceTries, s.MailSourceTries, s.UploadTries = 20, 20, 20, 3
	return s
}

// storm sends n requests at once and counts the answers by status.
func storm(t *testing.T, s *service, n int, method, path string, body func(i int) string, header ...string) map[int]int {
	t.Helper()
	statuses := make(chan int, n)
	for i := range n {
		go func() {
			a, err := s.browser().try(method, path, strings.NewReader(body(i)), "application/json", header...)
			if err != nil {
				t.Error(err)
			}
			if seconds, err := strconv.Atoi(a.Header.Get("Retry-After")); a.Status == http.StatusTooManyRequests && (err != nil || seconds < 1 || !isProblem(a)) {
				t.Errorf("429 with Retry-After %q: %s", a.Header.Get("Retry-After"), a.Body)
			}
			statuses <- a.Status
		}()
	}
	counted := map[int]int{}
	for range n {
		counted[<-statuses]++
	}
	return counted
}

// TestStormOfSignIns sends 200 wrong passwords at once: no more get through than
// the limit, whatever address a client claims to have; the owner's live session and
// the way over a reset stay open.
func TestStormOfSignIns(t *testing.T) {
	s := start(t, limited(t))
	const email = "owner@example.com"
	owner := s.signedIn(email) // one try of the source
	wrong := func(i int) string { return fmt.Sprintf(`{"email":%q,"password":"wrong-%d-wrong"}`, email, i) }
	got := storm(t, s, 200, http.MethodPost, "/users/login/", wrong, "X-Forwarded-For", "203.0.113.9", "X-Real-IP", "203.0.113.9", "Forwarded", "for=203.0.113.9")
	if through := 200 - got[http.StatusTooManyRequests]; through != 19 {
		t.Errorf("%d tries got through, want 19: %v", through, got)
	}
	want(t, owner.get("/users/current-user/"), http.StatusOK, "email", email)
	token := owner.requestReset(email, 1)
	want(t, owner.changeByReset(token, "SomeOther123456"), http.StatusOK, "", "")
	// The reset has cleared the lock of the address; the frontend's server is no source.
	a := s.browser().post("/users/login/", map[string]any{"email": email, "password": "SomeOther123456"}, "Origin", trustedFrontend)
	want(t, a, http.StatusOK, "email", email)
}

// TestTriesOfTheFrontendCountByAddress: a trusted origin's server calls for many,
// so that the limit of a source does not hold for it; that of an address does.
func TestTriesOfTheFrontendCountByAddress(t *testing.T) {
	s := start(t, limited(t))
	const email = "victim@example.com"
	s.register(email)
	wrong := func(i int) string { return fmt.Sprintf(`{"email":%q,"password":"wrong-%d-wrong"}`, email, i) }
	if got := storm(t, s, 60, http.MethodPost, "/users/login/", wrong, "Origin", trustedFrontend); got[http.StatusTooManyRequests] != 0 {
		t.Errorf("the frontend's server was taken for one source: %v", got)
	}
	a := s.browser().post("/users/login/", map[string]any{"email": email, "password": goodPassword}, "Origin", trustedFrontend)
	want(t, a, http.StatusBadRequest, "error", "Email and password do not match") // locked answers as wrong
	browser := storm(t, s, 60, http.MethodPost, "/users/login/", wrong, "Origin", trustedFrontend, "Sec-Fetch-Site", "cross-site")
	if browser[http.StatusTooManyRequests] == 0 {
		t.Errorf("a browser on the frontend's origin is a source: %v", browser)
	}
}

// TestTokenGuessingIsThrottled at every step (C60).
func TestTokenGuessingIsThrottled(t *testing.T) {
	none := func(int) string { return "" }
	steps := map[string]func(s *service) map[int]int{
		"E2": func(s *service) map[int]int {
			return storm(t, s, 100, http.MethodPost, "/users/register/confirm/"+encoded(uuid.New())+"/k.guess/", none)
		},
		"E9": func(s *service) map[int]int {
			return storm(t, s, 100, http.MethodGet, "/users/password-change/confirm/change-password/"+encoded(uuid.New())+"/k.guess/", none)
		},
		"E10": func(s *service) map[int]int {
			return storm(t, s, 100, http.MethodPost, "/users/password-change/change-user-password/", func(i int) string {
				return fmt.Sprintf(`{"token":"%s:k.guess%d","password":"SomeOther123456"}`, encoded(uuid.New()), i)
			})
		},
	}
	for name, step := range steps {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := start(t, limited(t))
			if got := step(s); got[http.StatusTooManyRequests] != 80 {
				t.Errorf("%v, want 80 times 429", got)
			}
		})
	}
}

// TestMailRequestsAreThrottled by source, with one answer for known and unknown.
func TestMailRequestsAreThrottled(t *testing.T) {
	s := start(t, limited(t))
	s.register("known@example.com") // one request
	got := storm(t, s, 100, http.MethodPost, "/users/password-change/request-password-change/", func(i int) string {
		return fmt.Sprintf(`{"email":"%s"}`, []string{"known@example.com", "unknown@example.com"}[i%2])
	})
	if got[http.StatusOK] != 19 || got[http.StatusTooManyRequests] != 81 {
		t.Errorf("%v, want 19 times 200 and 81 times 429", got)
	}
	if n := len(s.mails("known@example.com")); n > 7 {
		t.Errorf("%d mails, more than the activation and six an hour", n)
	}
}

// TestUploadsAreThrottled by account (C83); other edits are not.
func TestUploadsAreThrottled(t *testing.T) {
	s := start(t, limited(t))
	b := s.signedIn("painter@example.com")
	for range 3 {
		want(t, b.patch(nil, picture(t, 8, 8)), http.StatusOK, "", "")
	}
	a := b.patch(map[string]string{"first_name": "Never"}, picture(t, 8, 8))
	want(t, a, http.StatusTooManyRequests, "code", "too_many")
	if a.Header.Get("Retry-After") == "" {
		t.Error("429 without Retry-After")
	}
	want(t, b.patch(map[string]string{"first_name": "Still"}, nil), http.StatusOK, "first_name", "Still")
	want(t, s.signedIn("other@example.com").patch(nil, picture(t, 8, 8)), http.StatusOK, "", "")
}

// encoded spells an account's id as links do.
func encoded(id uuid.UUID) string { return base64.RawURLEncoding.EncodeToString([]byte(id.String())) }
