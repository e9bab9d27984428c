package app_test

import (
	"encoding/json"
	"net/http"
	"net/url"
	"testing"
	"time"

	"daybook/internal/testkit"
)

type entry struct {
	What    string
	Session *string
	Changes []struct{ Field, Old, New string }
}

// awaitHistory waits until the newest entry is the wanted one.
func (b *browser) awaitHistory(what string, wanted func(newest entry) bool) {
	b.tb.Helper()
	testkit.Await(b.tb, 10*time.Second, what+" in the history", func() bool {
		var page struct{ Entries []entry }
		a := b.get("/users/me/history/")
		if err := json.Unmarshal(a.Body, &page); err != nil {
			b.tb.Fatalf("%v: %s", err, a.Body)
		}
		return len(page.Entries) > 0 && wanted(page.Entries[0])
	})
}

func TestHistory(t *testing.T) {
	s := start(t, settings(t))
	b := s.signedIn("history@example.com")
	before := time.Now().UTC()
	want(t, b.patch(map[string]string{"first_name": "Grace"}, nil), http.StatusOK, "", "")
	want(t, b.patch(map[string]string{"first_name": "Augusta"}, nil), http.StatusOK, "", "")
	b.awaitHistory("the second change", func(e entry) bool {
		return e.What == "ProfileUpdated" && len(e.Changes) == 1 && e.Changes[0].Old == "Grace" && e.Changes[0].New == "Augusta"
	})
	past := b.get("/users/me/?at=" + url.QueryEscape(before.Format(time.RFC3339Nano)))
	want(t, past, http.StatusOK, "first_name", "Ann")
	want(t, b.get("/users/me/?at=yesterday"), http.StatusBadRequest, "", "")
	want(t, b.get("/users/me/?at=1999-01-01T00:00:00Z"), http.StatusBadRequest, "", "")
	want(t, b.get("/users/me/history/?limit=0"), http.StatusBadRequest, "", "")
	want(t, b.get("/users/me/history/?before=x"), http.StatusBadRequest, "", "")
}

func TestSessions(t *testing.T) {
	s := start(t, settings(t))
	const email = "sessions@example.com"
	first := s.signedIn(email)
	second, third := s.browser(), s.browser()
	for _, b := range []*browser{second, third} {
		want(t, b.signIn(email, goodPassword), http.StatusOK, "", "")
	}
	var list struct {
		Sessions []struct {
			ID      string
			Current bool
		}
	}
	if err := json.Unmarshal(third.get("/users/me/sessions/").Body, &list); err != nil || len(list.Sessions) != 3 || !list.Sessions[0].Current {
		t.Fatalf("sessions: %+v %v", list, err)
	}
	want(t, third.do(http.MethodDelete, "/users/me/sessions/"+list.Sessions[1].ID+"/", nil, ""), http.StatusOK, "", "")
	want(t, second.get("/users/current-user/"), http.StatusUnauthorized, "", "")
	want(t, first.get("/users/current-user/"), http.StatusOK, "", "")
	stranger := s.signedIn("stranger@example.com")
	want(t, stranger.do(http.MethodDelete, "/users/me/sessions/"+list.Sessions[0].ID+"/", nil, ""), http.StatusNotFound, "", "")
	want(t, third.do(http.MethodDelete, "/users/me/sessions/", nil, ""), http.StatusOK, "", "")
	want(t, first.get("/users/current-user/"), http.StatusUnauthorized, "", "")
	want(t, third.get("/users/current-user/"), http.StatusOK, "", "")
	third.awaitHistory("the ended session", func(e entry) bool { return e.What == "SessionEnded" })
	want(t, third.post("/users/me/password/", map[string]any{"current_password": "wrong", "password": "SomeOther123456"}), http.StatusForbidden, "", "")
	fourth := s.browser()
	want(t, fourth.signIn(email, goodPassword), http.StatusOK, "", "")
	want(t, third.post("/users/me/password/", map[string]any{"current_password": goodPassword, "password": "SomeOther123456"}), http.StatusOK, "", "")
	want(t, third.get("/users/current-user/"), http.StatusOK, "", "")
	want(t, fourth.get("/users/current-user/"), http.StatusUnauthorized, "", "")
	s.awaitMail(email, subjectChanged, 1)
}
