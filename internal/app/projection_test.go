package app_test

import (
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"daybook/internal/app"
	"daybook/internal/testkit"
)

// TestParkedAccount: the view refuses what a person writes. They, in every
// session, and all others see what is true; the operator sees which account it
// is, and puts it right.
func TestParkedAccount(t *testing.T) {
	settings := settings(t)
	s := start(t, settings)
	const email = "parked@example.com"
	b, late, other := s.signedIn(email), s.browser(), s.signedIn("other@example.com")
	want(t, late.signIn(email, goodPassword), http.StatusOK, "", "")
	operate(t, settings.DatabaseURL, `ALTER TABLE readmodel.accounts ADD CONSTRAINT fussy CHECK (first_name <> 'Refused')`)
	want(t, b.patch(map[string]string{"first_name": "Refused"}, nil), http.StatusOK, "first_name", "Refused")
	var id string
	testkit.Await(t, 10*time.Second, "the account is parked", func() bool {
		out, _ := mustConsole(t, settings, "projection", "parked")
		for line := range strings.Lines(out) {
			if fields := strings.Fields(line); fields[0] == "accounts" && fields[4] == "refused_23514" { // check_violation
				id = fields[1]
			}
		}
		return id != ""
	})
	for _, seen := range []*browser{b, late} {
		want(t, seen.get("/users/current-user/"), http.StatusOK, "first_name", "Refused")
	}
	want(t, b.patch(map[string]string{"last_name": "Later"}, nil), http.StatusOK, "", "")
	want(t, late.get("/users/current-user/"), http.StatusOK, "last_name", "Later")
	want(t, other.patch(map[string]string{"first_name": "Grace"}, nil), http.StatusOK, "", "")
	s.awaitRow(t, "other@example.com", "Grace")
	if ready := s.readiness(); ready.status != http.StatusOK || !strings.Contains(ready.body, `"parked":1`) {
		t.Errorf("ready: %d %s", ready.status, ready.body)
	}
	s.checkParkedCommands(t, settings.DatabaseURL, id, func(args ...string) (string, error) {
		out, notes, err := console(t, settings, append([]string{"projection"}, args...)...)
		return out + notes, err
	})
	checkParkedActs(t, settings, id)
	s.awaitRow(t, email, "Refused")
	want(t, late.get("/users/current-user/"), http.StatusOK, "last_name", "Later")
}

func (s *service) checkParkedCommands(t *testing.T, database, id string, command func(args ...string) (string, error)) {
	t.Helper()
	for _, refused := range [][]string{
		{"retry", "accounts", id}, {"retry", "accounts"}, {"retry", "accounts", uuid.NewString()}, {"retry", "shoes", id},
		{"discard", "accounts", id}, {"discard", "accounts", id, "--reason", "a\nb"}, {"discard", "accounts", uuid.NewString(), "--reason", "none"},
	} {
		if out, err := command(refused...); err == nil {
			t.Errorf("projection %v: %s", refused, out)
		}
	}
	if out, err := command("discard", "accounts", id, "--reason", "given up"); err != nil {
		t.Errorf("discard: %v: %s", err, out)
	}
	if out, err := command("parked"); err != nil || !strings.Contains(out, "given up") {
		t.Errorf("parked: %v: %s", err, out)
	}
	testkit.Await(t, 10*time.Second, "no alarm any more", func() bool { return !strings.Contains(s.readiness().body, "parked") })
	operate(t, database, `ALTER TABLE readmodel.accounts DROP CONSTRAINT fussy`)
	if out, err := command("retry", "accounts", id); err != nil || !strings.Contains(out, id) {
		t.Errorf("retry: %v: %s", err, out)
	}
	if out, err := command("parked"); err != nil || strings.Contains(out, id) {
		t.Errorf("parked: %v: %s", err, out)
	}
}

// checkParkedActs: the audit tells what operators did, and refused acts are none: two
// retries that did not help, the discard, the retry after it.
func checkParkedActs(t *testing.T, settings app.Settings, id string) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "acts")
	mustConsole(t, settings, "audit", "export", file, "--type", "ParkedAccountDiscarded,ParkedAccountRetried")
	content, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var told []string
	for line := range strings.Lines(string(content)) {
		var act struct{ Type json.RawMessage }
		if err := json.Unmarshal([]byte(line), &act); err != nil {
			t.Fatal(err)
		}
		told = append(told, string(act.Type))
		for _, part := range []string{`"view":"accounts"`, `"account_id":"` + id + `"`, `"parked":"refused_23514"`} {
			if !strings.Contains(line, part) {
				t.Errorf("an act does not tell %s: %s", part, line)
			}
		}
	}
	if got := strings.Join(told, " "); got != `"ParkedAccountRetried" "ParkedAccountRetried" "ParkedAccountDiscarded" "ParkedAccountRetried"` {
		t.Errorf("acts: %s", got)
	}
	if !strings.Contains(string(content), `"reason":"given up"`) || !strings.Contains(string(content), `"system:console"`) {
		t.Errorf("acts do not tell who and why: %s", content)
	}
}

// awaitRow waits until the view has the first name.
func (s *service) awaitRow(t *testing.T, email, firstName string) {
	t.Helper()
	testkit.Await(t, 10*time.Second, "the row of "+email, func() bool {
		var found bool
		err := s.app.Pool().QueryRow(t.Context(), `SELECT EXISTS (SELECT FROM readmodel.accounts WHERE email = $1 AND first_name = $2)`,
			email, firstName).Scan(&found)
		return err == nil && found
	})
}

// TestRebuildCommand on a running service: what the table has lost is there again.
func TestRebuildCommand(t *testing.T) {
	settings := settings(t)
	s := start(t, settings)
	const email = "rebuilt@example.com"
	b := s.signedIn(email)
	s.awaitRow(t, email, "Ann")
	operate(t, settings.DatabaseURL, `UPDATE readmodel.accounts SET first_name = 'Nobody'`)
	_, notes := mustConsole(t, settings, "rebuild", "accounts", "--all")
	for _, told := range []string{"100 %", "a second", "1 accounts equal", "--rollback"} {
		if !strings.Contains(notes, told) {
			t.Errorf("it does not tell %q: %s", told, notes)
		}
	}
	s.awaitRow(t, email, "Ann")
	want(t, b.patch(map[string]string{"first_name": "Grace"}, nil), http.StatusOK, "", "")
	s.awaitRow(t, email, "Grace")
	mustConsole(t, settings, "rebuild", "accounts", "--rollback")
	s.awaitRow(t, email, "Grace")
	mustConsole(t, settings, "rebuild", "accounts", "--drop")
	if _, _, err := console(t, settings, "rebuild", "accounts", "--rollback"); err == nil {
		t.Error("it went back to what was dropped")
	}
	checkDifferenceRefuses(t, settings)
	s.awaitRow(t, email, "Grace")
	if ready := s.readiness(); ready.status != http.StatusOK {
		t.Errorf("ready: %d %s", ready.status, ready.body)
	}
}

// checkDifferenceRefuses: what was built and differs from the fold is not shown; the
// account is named, and nobody in it.
func checkDifferenceRefuses(t *testing.T, settings app.Settings) {
	t.Helper()
	operate(t, settings.DatabaseURL, `CREATE TABLE readmodel_next.accounts (LIKE readmodel.accounts INCLUDING ALL);
		INSERT INTO readmodel_next.accounts SELECT * FROM readmodel.accounts;
		UPDATE readmodel_next.accounts SET first_name = 'Planted';
		INSERT INTO app.checkpoints (name, store_id, position) SELECT name || ':next', store_id, position FROM app.checkpoints WHERE name = 'projection:accounts'`)
	_, notes, err := console(t, settings, "rebuild", "accounts")
	if err == nil || !strings.Contains(err.Error(), "1 accounts, such as ") {
		t.Errorf("a difference: %v %s", err, notes)
	} else if text := err.Error() + notes; strings.Contains(text, "Planted") || strings.Contains(text, "Grace") || strings.Contains(text, "@") {
		t.Errorf("it tells personal data: %s", text)
	}
}
