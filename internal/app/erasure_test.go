package app_test

import (
	"bytes"
	"encoding/json"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"daybook/internal/app"
	"daybook/internal/testkit"
)

const subjectErased = "Your account was erased"

// erase sends the password as the page does.
func (b *browser) erase(members map[string]any) answer {
	b.tb.Helper()
	body, err := json.Marshal(members)
	if err != nil {
		b.tb.Fatal(err)
	}
	return b.do(http.MethodDelete, "/users/me/", bytes.NewReader(body), "application/json")
}

// TestEraseAccount goes the whole way in both contracts, with and without projectors:
// refusals change nothing, and from the answer on the account is nobody's.
func TestEraseAccount(t *testing.T) {
	for _, contract := range []string{"hardened", "seed"} {
		t.Run(contract, func(t *testing.T) {
			frozen(t, func(t *testing.T, roles app.Roles) {
				set := settings(t)
				set.Contract = contract
				eraseAccount(t, startRoles(t, set, roles))
			})
		})
	}
}

func eraseAccount(t *testing.T, s *service) {
	const email = "Leaving@example.com"
	b, other := s.signedIn(email), s.browser()
	want(t, other.signIn(email, goodPassword), http.StatusOK, "", "")
	bystander := s.signedIn("staying@example.com")
	a := b.patch(map[string]string{"phone_number": "+2348145359073"}, picture(t, 20, 20))
	want(t, a, http.StatusOK, "", "")
	id, thumbnail := a.text("id"), strings.TrimPrefix(a.text("thumbnail"), "http://localhost:8080")
	token := s.browser().requestReset(email, 1)

	want(t, s.browser().erase(map[string]any{"password": goodPassword}), http.StatusUnauthorized, "", "")
	want(t, b.erase(map[string]any{}), http.StatusBadRequest, "error", "Please provide password")
	want(t, b.erase(map[string]any{"password": "wrong"}), http.StatusForbidden, "code", "wrong_password")
	want(t, b.get("/users/current-user/"), http.StatusOK, "id", id)
	a = b.erase(map[string]any{"password": goodPassword})
	want(t, a, http.StatusOK, "message", "Your account has been erased")
	if a.Header.Get("Clear-Site-Data") == "" || !strings.Contains(a.Header.Get("Set-Cookie"), "sessionid=;") {
		t.Errorf("the browser keeps %v", a.Header)
	}

	for _, one := range []*browser{b, other} {
		want(t, one.get("/users/current-user/"), http.StatusUnauthorized, "", "")
		want(t, one.get("/users/me/export/"), http.StatusUnauthorized, "", "")
		want(t, one.patch(map[string]string{"first_name": "Ghost"}, nil), http.StatusUnauthorized, "", "")
		want(t, one.erase(map[string]any{"password": goodPassword}), http.StatusUnauthorized, "", "")
	}
	want(t, s.browser().signIn(email, goodPassword), http.StatusBadRequest, "error", "Email and password do not match")
	want(t, s.browser().changeByReset(token, "SomeOther123456"), http.StatusBadRequest, "", "")
	want(t, s.browser().get(thumbnail), http.StatusNotFound, "", "")
	want(t, bystander.get("/users/current-user/"), http.StatusOK, "", "")
	if last := s.awaitMail(email, subjectErased, 1); len(last.To) != 1 || last.To[0] != email || linkPattern.MatchString(last.Text) {
		t.Errorf("told by %+v", last)
	}

	next := s.browser()
	want(t, next.post("/users/register/", map[string]any{"email": email, "first_name": "New", "last_name": "Person", "password": goodPassword}), http.StatusCreated, "", "")
	next.activate(s.awaitMail(email, subjectActivation, 2).link(t))
	a = next.signIn(email, goodPassword)
	want(t, a, http.StatusOK, "first_name", "New")
	if a.text("id") == id || a.text("thumbnail") != "" || strings.Contains(string(next.get("/users/me/export/").Body), id) {
		t.Errorf("something of the old account is in the new one: %s", a.Body)
	}
}

// TestEraseGuessing: wrong passwords count as those of signing in do.
func TestEraseGuessing(t *testing.T) {
	t.Parallel()
	set := settings(t)
	set.SignInTries = 3
	s := start(t, set)
	b := s.signedIn("guessed@example.com")
	for range 4 {
		want(t, b.erase(map[string]any{"password": "wrong"}), http.StatusForbidden, "", "")
	}
	want(t, b.erase(map[string]any{"password": goodPassword}), http.StatusForbidden, "", "")
	want(t, b.get("/users/current-user/"), http.StatusOK, "", "")
}

// TestErasedCanaries leaves no trace: values that occur nowhere else are searched for in
// every store and the log after the erasure. What the relay delivered is the person's.
func TestErasedCanaries(t *testing.T) {
	t.Parallel()
	set := settings(t)
	s := start(t, set)
	const email, password = "gone-canary@example.com", "GoneCanaryPassword1"
	values := []string{"gone-canary", "Gonefirst", "Gonelast", "Laterfirst", "+2348145359073", "1986-05-04", "gone-github", "Goneagent", password}
	agent := []string{"User-Agent", "Goneagent/1.0"}
	b := s.browser()
	b.post("/users/register/", map[string]any{"email": email, "first_name": "Gonefirst", "last_name": "Gonelast", "password": password}, agent...)
	b.activate(s.awaitMail(email, subjectActivation, 1).link(t))
	b.keepSession(b.post("/users/login/", map[string]any{"email": email, "password": password}, agent...))
	a := b.patch(map[string]string{"first_name": "Laterfirst", "github_link": "https://github.com/gone-github", "phone_number": "+2348145359073", "birth_date": "1986-05-04"}, picture(t, 20, 20), agent...)
	want(t, a, http.StatusOK, "", "")
	id, thumbnail := a.text("id"), a.text("thumbnail")
	b.post("/users/login/", map[string]any{"email": email, "password": "wrong"}, agent...)
	b.post("/users/register/", map[string]any{"email": email, "first_name": "Gonefirst", "last_name": "Gonelast", "password": password}, agent...)
	s.browser().requestReset(email, 1)
	awaitRow := func(what, sql string) {
		testkit.Await(t, 20*time.Second, what, func() bool { return s.scalar(set.DatabaseURL, sql, id) == 1 })
	}
	awaitRow("the history", `SELECT count(*) FROM readmodel.activity WHERE account_id = $1 AND user_agent LIKE 'Goneagent%' AND type = 'SignedIn'`)
	want(t, b.erase(map[string]any{"password": password}), http.StatusOK, "", "")
	s.awaitMail(email, subjectErased, 1)
	awaitRow("the accounts", `SELECT count(*) FROM readmodel.accounts WHERE id = $1 AND status = 'erased'`)
	awaitRow("the last line of the history", `SELECT count(*) FROM readmodel.activity WHERE account_id = $1`)
	awaitRow("the end of the farewell", `SELECT count(*) FROM vault.erased_subjects e WHERE subject = $1 AND NOT EXISTS (SELECT FROM vault.farewells f WHERE f.subject = e.subject)`)

	searchEvents(t, filepath.Join(set.DataDir, "events.db"), values)
	searchTree(t, filepath.Join(set.DataDir, "objects"), slices.Concat(values, []string{thumbnail[strings.LastIndex(thumbnail, "/")+1:]}))
	searchText(t, "log", s.logs.String(), values)
	searchDatabase(t, set.DatabaseURL, nil, values)

	token, _ := mustConsole(t, set, "token", "create", "--scope", "audit:read", "--scope", "audit:read:personal", "--expires", "1h", "--name", "auditor")
	replayed := s.browser().do(http.MethodGet, "/audit/events?account="+id, nil, "", "Authorization", "Bearer "+strings.TrimSpace(token))
	searchText(t, "audit", string(replayed.Body), values)
	for _, event := range []string{"AccountRegistered", "ProfileUpdated", "SignedIn", "AccountErased"} {
		if !strings.Contains(string(replayed.Body), `"type":"`+event+`"`) {
			t.Errorf("the audit does not show %s", event)
		}
	}
	if n := strings.Count(string(replayed.Body), `"personal":"erased"`); n < 4 {
		t.Errorf("%d sealed members are shown as erased", n)
	}
}

// scalar asks the database for one number.
func (s *service) scalar(url, sql string, arguments ...any) (n int) {
	s.tb.Helper()
	conn, err := pgx.Connect(s.tb.Context(), url)
	if err != nil {
		s.tb.Fatal(err)
	}
	defer func() { _ = conn.Close(s.tb.Context()) }()
	if err := conn.QueryRow(s.tb.Context(), sql, arguments...).Scan(&n); err != nil {
		s.tb.Fatal(err)
	}
	return n
}

// TestEraseByOperator beside the running service, with and without projectors.
func TestEraseByOperator(t *testing.T) {
	frozen(t, func(t *testing.T, roles app.Roles) {
		const email = "asked@example.com"
		set := settings(t)
		s := startRoles(t, set, roles)
		b := s.signedIn(email)
		id := b.get("/users/current-user/").text("id")
		if _, _, err := console(t, set, "account", "erase", email); err == nil {
			t.Error("erased without a reason")
		}
		out, _ := mustConsole(t, set, "account", "erase", email, "--reason", "asked by letter")
		if !strings.Contains(out, "erased") || strings.Contains(out, email) || strings.Contains(out, "Ann") {
			t.Errorf("shown:\n%s", out)
		}
		want(t, b.get("/users/current-user/"), http.StatusUnauthorized, "", "")
		want(t, s.browser().signIn(email, goodPassword), http.StatusBadRequest, "", "")
		s.awaitMail(email, subjectErased, 1)
		if _, notes := mustConsole(t, set, "account", "erase", id, "--reason", "again"); !strings.Contains(notes, "Nothing to change") {
			t.Errorf("erased twice: %s", notes)
		}
		exported := filepath.Join(t.TempDir(), "audit.ndjson.gz")
		mustConsole(t, set, "audit", "export", exported)
		if text := unpack(t, exported); !strings.Contains(text, `"reason":"asked by letter"`) || !strings.Contains(text, `"actor":"system:console"`) {
			t.Error("the audit does not tell who erased and why")
		}
		// The former activation mail must not be taken for the one that comes now.
		s.browser().do(http.MethodDelete, "/dev/mailbox/messages", nil, "")
		s.signedIn(email) // the address is free
	})
}

// TestRestoredVault: the tables of keys come back from before the erasure. The key is
// destroyed again by whatever starts first, before anything could read it.
func TestRestoredVault(t *testing.T) {
	t.Parallel()
	const email = "restored@example.com"
	set := settings(t)
	s, stop := run(t, set)
	s.tb = t
	b := s.signedIn(email)
	id := b.get("/users/current-user/").text("id")
	execute := func(sql string) {
		conn, err := pgx.Connect(t.Context(), set.DatabaseURL)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = conn.Close(t.Context()) }()
		if _, err := conn.Exec(t.Context(), sql); err != nil {
			t.Fatal(err)
		}
	}
	execute(`CREATE SCHEMA backup; CREATE TABLE backup.keys AS SELECT * FROM vault.data_keys; CREATE TABLE backup.credentials AS SELECT * FROM vault.credentials;
		CREATE TABLE backup.fences AS SELECT * FROM vault.erased_subjects; CREATE TABLE backup.seen AS SELECT * FROM vault.erasures_seen`)
	want(t, b.erase(map[string]any{"password": goodPassword}), http.StatusOK, "", "")
	stop()

	execute(`SET session_replication_role = replica; DELETE FROM vault.data_keys; DELETE FROM vault.credentials; DELETE FROM vault.erased_subjects; DELETE FROM vault.erasures_seen;
		INSERT INTO vault.data_keys SELECT * FROM backup.keys; INSERT INTO vault.credentials SELECT * FROM backup.credentials;
		INSERT INTO vault.erased_subjects SELECT * FROM backup.fences; INSERT INTO vault.erasures_seen SELECT * FROM backup.seen; DROP SCHEMA backup CASCADE`)
	key := `SELECT count(*) FROM vault.data_keys WHERE subject = $1`
	if n := s.scalar(set.DatabaseURL, key, id); n != 1 {
		t.Fatalf("%d keys were restored: the test shows nothing", n)
	}
	out, notes := mustConsole(t, set, "account", "show", id)
	if strings.Contains(out, email) || !strings.Contains(out, "erased") {
		t.Errorf("shown:\n%s", out)
	}
	if n := s.scalar(set.DatabaseURL, key, id); n != 0 {
		t.Errorf("%d keys are left; told:\n%s", n, notes)
	}
	if n := s.scalar(set.DatabaseURL, `SELECT count(*) FROM vault.credentials WHERE account_id = $1`, id); n != 0 {
		t.Errorf("%d credentials are left", n)
	}
}

// TestExport hands out everything, from the streams, and nothing of anybody else.
func TestExport(t *testing.T) {
	frozen(t, func(t *testing.T, roles app.Roles) {
		const email = "exported@example.com"
		set := settings(t)
		set.ExportTries = 2
		s := startRoles(t, set, roles)
		s.signedIn("stranger@example.com")
		b := s.register(email)
		b.keepSession(b.post("/users/login/", map[string]any{"email": email, "password": goodPassword}, "User-Agent", "Mozilla/5.0 (X11; Linux x86_64; rv:141.0) Gecko/20100101 Firefox/141.0"))
		want(t, b.patch(map[string]string{"github_link": "https://github.com/exported", "birth_date": "1990-02-28"}, picture(t, 20, 20)), http.StatusOK, "", "")
		s.browser().requestReset(email, 1)
		a := b.get("/users/me/export/")
		want(t, a, http.StatusOK, "format", "daybook.export")
		if a.Header.Get("Content-Disposition") != `attachment; filename="daybook-export.json"` || a.Header.Get("Cache-Control") != "no-store" {
			t.Errorf("sent with %v", a.Header)
		}
		var document struct {
			Account  struct{ Email string }
			Picture  struct{ Data []byte }
			Sessions []struct{ Device string }
			Mails    []struct{ Kind, Outcome string }
			History  []struct{ Event, Actor string }
			Access   []struct {
				Event    string
				Personal map[string]string
			}
		}
		if err := json.Unmarshal(a.Body, &document); err != nil {
			t.Fatal(err)
		}
		var events []string
		for _, entry := range document.History {
			events = append(events, entry.Event)
		}
		wantEvents := []string{"AccountRegistered", "ActivationRequested", "AccountActivated", "ProfileUpdated", "ResetRequested", "ResetLinkOpened"}
		if !slices.Equal(events, wantEvents) || document.Account.Email != email || len(document.Picture.Data) == 0 {
			t.Errorf("%s, history %v", document.Account.Email, events)
		}
		if len(document.Sessions) != 1 || !strings.HasPrefix(document.Sessions[0].Device, "Firefox") || len(document.Mails) != 2 || document.Mails[0].Kind != "activation" || document.Mails[0].Outcome != "sent" {
			t.Errorf("sessions %v, mails %v", document.Sessions, document.Mails)
		}
		if len(document.Access) != 1 || document.Access[0].Personal["client_address"] != "127.0.0.1" || !strings.Contains(document.Access[0].Personal["user_agent"], "Firefox/141.0") {
			t.Errorf("access %v", document.Access)
		}
		if text := string(a.Body); !strings.Contains(text, "1990-02-28") || strings.Contains(text, "stranger") || strings.Contains(text, "$argon2") {
			t.Error("something is missing, somebody else's or secret")
		}
		want(t, b.get("/users/me/export/"), http.StatusOK, "", "")
		a = b.get("/users/me/export/")
		want(t, a, http.StatusTooManyRequests, "code", "too_many")
		if a.Header.Get("Retry-After") == "" {
			t.Error("no Retry-After")
		}
		want(t, s.browser().get("/users/me/export/"), http.StatusUnauthorized, "", "")
	})
}
