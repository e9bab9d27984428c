package app_test

import (
	"net/http"
	"testing"
	"time"

	"daybook/internal/app"
)

// unused makes every session one that nobody has used for so long.
func (s *service) unused(d time.Duration) {
	s.tb.Helper()
	if _, err := s.app.Pool().Exec(s.tb.Context(), `UPDATE app.sessions SET last_seen_at = now() - $1::interval`, d); err != nil {
		s.tb.Fatal(err)
	}
}

// TestIdleSessionsEnd where the setting says so (C36): use keeps a session, to the
// absolute end; without the setting nothing idles out.
func TestIdleSessionsEnd(t *testing.T) {
	frozen(t, func(t *testing.T, roles app.Roles) {
		set := settings(t)
		set.SessionIdle = 10 * time.Minute
		s := startRoles(t, set, roles)
		b := s.signedIn("idle@example.com")
		for range 3 { // half an hour in use
			s.unused(9 * time.Minute)
			want(t, b.get("/users/current-user/"), http.StatusOK, "email", "idle@example.com")
		}
		s.unused(10*time.Minute + time.Second)
		for range 2 { // looking does not bring it back
			want(t, b.get("/users/current-user/"), http.StatusUnauthorized, "", "")
		}
		want(t, b.patch(map[string]string{"first_name": "Ghost"}, nil), http.StatusUnauthorized, "", "")
		want(t, b.signIn("idle@example.com", goodPassword), http.StatusOK, "first_name", "Ann")
	})
}

// TestNoIdleEndByDefault: the contract has none.
func TestNoIdleEndByDefault(t *testing.T) {
	t.Parallel()
	s := start(t, settings(t))
	b := s.signedIn("patient@example.com")
	s.unused(13 * 24 * time.Hour)
	want(t, b.get("/users/current-user/"), http.StatusOK, "email", "patient@example.com")
}
