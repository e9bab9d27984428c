package app_test

import (
	"net/http"
	"strings"
	"testing"

	"daybook/internal/app"
)

// frozen runs a test twice: with the projectors, and with every one stopped.
func frozen(t *testing.T, test func(t *testing.T, roles app.Roles)) {
	t.Helper()
	for name, projector := range map[string]bool{"projector running": true, "projector stopped": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			roles := app.Everything
			roles.Projector = projector
			test(t, roles)
		})
	}
}

// TestDeactivatedAccount is shut by an operator beside the running service: its
// sessions, its links and its password are worth nothing from the next request on.
func TestDeactivatedAccount(t *testing.T) {
	frozen(t, func(t *testing.T, roles app.Roles) {
		const email = "Shut@example.com"
		set := settings(t)
		s := startRoles(t, set, roles)
		old := s.signedIn(email)
		other := s.signedIn("bystander@example.com")
		token := s.browser().requestReset(email, 1)
		out, _ := mustConsole(t, set, "account", "deactivate", email, "--reason", "abuse")
		if !strings.Contains(out, "deactivated") || !strings.Contains(out, email) {
			t.Errorf("shown:\n%s", out)
		}
		want(t, old.get("/users/current-user/"), http.StatusUnauthorized, "", "")
		want(t, old.patch(map[string]string{"first_name": "Ghost"}, nil), http.StatusUnauthorized, "", "")
		want(t, s.browser().signIn(email, goodPassword), http.StatusBadRequest, "error", "Email and password do not match")
		want(t, s.browser().changeByReset(token, "SomeOther123456"), http.StatusBadRequest, "", "")
		want(t, other.get("/users/current-user/"), http.StatusOK, "", "")
		if _, notes := mustConsole(t, set, "account", "deactivate", email, "--reason", "abuse"); !strings.Contains(notes, "Nothing to change") {
			t.Errorf("shut twice: %s", notes)
		}

		mustConsole(t, set, "account", "reactivate", email, "--reason", "appeal")
		want(t, old.get("/users/current-user/"), http.StatusUnauthorized, "", "") // ended is ended
		want(t, s.browser().changeByReset(token, "SomeOther123456"), http.StatusBadRequest, "", "")
		want(t, s.browser().signIn(email, goodPassword), http.StatusOK, "first_name", "Ann")
	})
}

func TestStaffRights(t *testing.T) {
	set := settings(t)
	s := start(t, set)
	b := s.signedIn("staff@example.com")
	id := b.get("/users/current-user/").text("id")
	for _, step := range []struct {
		command string
		staff   bool
	}{{"grant-staff", true}, {"revoke-staff", false}} {
		mustConsole(t, set, "account", step.command, id, "--reason", "duty")
		if a := b.signIn("staff@example.com", goodPassword); a.JSON["is_staff"] != step.staff {
			t.Errorf("after %s: %s", step.command, a.Body)
		}
	}
}

func TestAccountConsole(t *testing.T) {
	set := settings(t)
	s := start(t, set)
	s.signedIn("shown@example.com")
	out, _ := mustConsole(t, set, "account", "show", "shown@example.com")
	for _, part := range []string{"shown@example.com", "Ann Lee", "active", "sessions"} {
		if !strings.Contains(out, part) {
			t.Errorf("no %q in\n%s", part, out)
		}
	}
	for refusal, args := range map[string][]string{
		"There is no such account": {"account", "show", "nobody@example.com"},
		"--reason must have":       {"account", "deactivate", "shown@example.com", "--reason", " "},
		"missing flags: --reason":  {"account", "deactivate", "shown@example.com"},
	} {
		if _, _, err := console(t, set, args...); err == nil || !strings.Contains(err.Error(), refusal) {
			t.Errorf("%v: %v, want %q", args, err, refusal)
		}
	}
}
