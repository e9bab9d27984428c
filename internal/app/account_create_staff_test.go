package app_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/google/uuid"

	"daybook/domain"
)

const subjectInvitation = "An account was opened for you"

// TestCreateStaffAccount before the first start of a service and beside a running
// one: the mailed link leads to the choice of a password, which neither a command
// line nor a log ever has.
func TestCreateStaffAccount(t *testing.T) {
	set := settings(t)
	args := func(email string) []string {
		return []string{"account", "create-staff", email, "--first-name", "Ann", "--last-name", "Lee", "--reason", "hired"}
	}
	out, notes := mustConsole(t, set, args("first@example.com")...)
	for _, part := range []string{"pending", "staff     true", "first@example.com"} {
		if !strings.Contains(out, part) {
			t.Errorf("no %q in\n%s", part, out)
		}
	}
	if !strings.Contains(notes, "A link is mailed") {
		t.Errorf("notes: %s", notes)
	}
	s := start(t, set)
	s.acceptInvitation(t, "first@example.com")
	mustConsole(t, set, args("Second@example.com")...)
	s.acceptInvitation(t, "Second@example.com")

	if _, _, err := console(t, set, args("SECOND@example.com")...); err == nil || !strings.Contains(err.Error(), "grant-staff") {
		t.Errorf("a taken address: %v", err)
	}
	if _, _, err := console(t, set, append(args("third@example.com"), "--reason", " ")...); err == nil || !strings.Contains(err.Error(), "--reason must have") {
		t.Errorf("no reason: %v", err)
	}
	if _, _, err := console(t, set, args("third@example")...); err == nil || !strings.Contains(err.Error(), "valid email") {
		t.Errorf("no address: %v", err)
	}
}

// acceptInvitation follows the mailed link as a person does, to a session with staff
// rights.
func (s *service) acceptInvitation(t *testing.T, email string) {
	t.Helper()
	b, invited := s.browser(), s.awaitMail(email, subjectInvitation, 1)
	want(t, b.signIn(email, goodPassword), http.StatusBadRequest, "error", "Email and password do not match")
	a := b.activate(invited.link(t))
	location, err := url.Parse(a.Header.Get("Location"))
	if err != nil || a.Status != http.StatusFound || location.Path != "/auth/password/change-password" {
		t.Fatalf("%d to %s", a.Status, a.Header.Get("Location"))
	}
	want(t, b.signIn(email, goodPassword), http.StatusBadRequest, "error", "Email and password do not match")
	want(t, b.changeByReset(location.Query().Get("token"), goodPassword), http.StatusOK, "", "")
	a = b.signIn(email, goodPassword)
	if a.Status != http.StatusOK || a.JSON["is_staff"] != true || a.JSON["is_active"] != true {
		t.Fatalf("%d %s", a.Status, a.Body)
	}
	s.madeByTheConsole(t, uuid.MustParse(a.text("id")))
	if again := b.activate(invited.link(t)); !strings.Contains(again.Header.Get("Location"), "/auth/regenerate-token") {
		t.Errorf("the link works twice: %d to %s", again.Status, again.Header.Get("Location"))
	}
}

// madeByTheConsole looks at who did what in the account's stream.
func (s *service) madeByTheConsole(t *testing.T, account uuid.UUID) {
	t.Helper()
	history, err := s.app.Repository().History(t.Context(), account)
	if err != nil {
		t.Fatal(err)
	}
	var told []string
	for _, r := range history {
		told = append(told, domain.NameOf(r.Event)+" by "+r.Metadata.Actor)
	}
	const want = "AccountRegistered by system:console, ActivationRequested by system:console, StaffGranted by system:console, " +
		"AccountActivated by anonymous, ResetRequested by anonymous, PasswordChanged by anonymous"
	if got := strings.Join(told, ", "); got != want {
		t.Errorf("history: %s", got)
	}
}
