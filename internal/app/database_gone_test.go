package app_test

import (
	"net/http"
	"path/filepath"
	"testing"
	"time"

	"daybook/internal/testkit"
)

// TestDatabaseGone: while nobody listens at the database's address, whoever asks is told
// to come again, and never that something is wrong with the request or with us.
func TestDatabaseGone(t *testing.T) {
	t.Parallel()
	set := settings(t)
	database := databaseProxy(t, set.DatabaseURL)
	set.DatabaseURL = through(t, set.DatabaseURL, database.addr)
	s := start(t, set)
	const email = "gone@example.com"
	b := s.signedIn(email)
	there, gone := *database.target.Load(), filepath.Join(t.TempDir(), "nobody")
	database.target.Store(&gone)
	for name, ask := range map[string]func() answer{
		"session": func() answer { return b.get("/users/current-user/") },
		"command": func() answer { return b.patch(map[string]string{"first_name": "Never"}, nil) },
		"sign-in": func() answer { return s.browser().signIn(email, goodPassword) },
	} {
		testkit.Await(t, 20*time.Second, name+" is refused", func() bool {
			database.cut() // also what was being connected meanwhile
			a := ask()
			if a.Status >= http.StatusInternalServerError {
				want(t, a, http.StatusServiceUnavailable, "", "")
			}
			return a.Status == http.StatusServiceUnavailable && a.Header.Get("Retry-After") != ""
		})
	}
	database.target.Store(&there)
	s.awaitReady()
	want(t, s.browser().signIn(email, goodPassword), http.StatusOK, "", "")
}
