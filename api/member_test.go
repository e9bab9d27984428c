package api

import (
	"bytes"
	"context"
	"encoding/json"
	"image"
	"image/png"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgxpool"

	"daybook/commands"
	"daybook/domain"
	"daybook/internal/idempotency"
	"daybook/internal/session"
	"daybook/internal/testkit"
	"daybook/internal/thumbnail"
	"daybook/projections"
)

// person is somebody signed in: sessions and idempotency are the real ones.
type person struct {
	service
	t       *testing.T
	pool    *pgxpool.Pool
	account domain.Account
	cookie  string
}

func signedIn(t *testing.T, change ...func(*Server)) person {
	t.Helper()
	pool := testkit.Database(t)
	s := newService(t, append([]func(*Server){func(s *Server) { connect(s, pool) }}, change...)...)
	p := person{service: s, t: t, pool: pool, account: s.activated(t, "ada@example.org")}
	p.cookie = p.signIn("12345SomeData")
	return p
}

func connect(s *Server, pool *pgxpool.Pool) {
	s.Sessions = &session.Store{Pool: pool, Lifetime: time.Hour, Account: s.Commands.Store.Account}
	s.Commands.Sessions = s.Sessions
	s.Accounts = &projections.Queries{Pool: pool, Changes: &projections.Changes{}}
	s.Idempotency = &idempotency.Store{Pool: pool, Key: make([]byte, 32)}
	s.Thumbnails = thumbnail.New(thumbnail.Config{})
}

func (p person) signIn(password string) string {
	p.t.Helper()
	w := p.post("/users/login/", `{"email":"ada@example.org","password":"`+password+`"}`)
	wantStatus(p.t, w, http.StatusOK)
	return w.Result().Cookies()[0].Value
}

func (p person) ask(method, path, body string, header ...string) *httptest.ResponseRecorder {
	return p.do(method, path, body, append([]string{"Cookie", "sessionid=" + p.cookie}, header...)...)
}

func (p person) patch(body string, header ...string) *httptest.ResponseRecorder {
	return p.ask("PATCH", "/users/me/", body, append([]string{"Content-Type", "application/merge-patch+json"}, header...)...)
}

func (p person) update(parts ...part) *httptest.ResponseRecorder {
	return p.ask("PATCH", "/users/update-user/", encodeForm(parts...), "Content-Type", formType)
}

func (p person) user(w *httptest.ResponseRecorder) user {
	p.t.Helper()
	wantStatus(p.t, w, http.StatusOK)
	var u user
	if err := json.Unmarshal(w.Body.Bytes(), &u); err != nil {
		p.t.Fatal(err)
	}
	if w.Header().Get("ETag") != entityTag(u.Version) || w.Header().Get(positionHeader) == "" {
		p.t.Errorf("headers: %v", w.Header())
	}
	return u
}

func TestProfile(t *testing.T) {
	t.Parallel()
	p := signedIn(t)
	before := p.user(p.ask("GET", "/users/current-user", ""))
	if before.FirstName != "Ada" || before.ID != p.account.ID || !before.IsActive {
		t.Errorf("%+v", before)
	}
	after := p.user(p.update(text("first_name", "Augusta"), text("last_name", ""), text("phone_number", "+2348145359073"),
		text("birth_date", "1915-12-10"), text("is_staff", "true"), text("email", "other@example.org")))
	if after.FirstName != "Augusta" || after.LastName != "King" || *after.Profile.PhoneNumber != "+2348145359073" || after.IsStaff || after.Email != "ada@example.org" {
		t.Errorf("%+v", after)
	}
}

func TestProfileIsAllOrNothing(t *testing.T) {
	t.Parallel()
	p := signedIn(t)
	w := p.update(text("first_name", "Augusta"), text("birth_date", "1815-12-10"), text("github_link", "javascript:alert(1)"))
	if got := wantProblem(t, w, http.StatusBadRequest); got.Fields["birth_date"] == "" || got.Fields["github_link"] == "" || got.Fields["first_name"] != "" {
		t.Errorf("%+v", got)
	}
	if got := p.user(p.ask("GET", "/users/me/", "")); got.FirstName != "Ada" {
		t.Errorf("%+v", got)
	}
}

func TestProfileShowsOwnWritesWithoutAProjector(t *testing.T) {
	t.Parallel()
	p := signedIn(t)
	changed := p.user(p.update(text("first_name", "Augusta")))
	if got := p.user(p.ask("GET", "/users/current-user/", "")); got != changed && (got.FirstName != "Augusta" || got.Version != changed.Version) {
		t.Errorf("%+v after %+v", got, changed)
	}
}

func TestMergePatch(t *testing.T) {
	t.Parallel()
	p := signedIn(t)
	first := p.user(p.patch(`{"phone_number":"+2348145359073","github_link":"https://github.com/ada","birth_date":"1915-12-10"}`))
	cleared := p.user(p.patch(`{"phone_number":null,"github_link":""}`, "If-Match", entityTag(first.Version)))
	if cleared.Profile.PhoneNumber != nil || cleared.Profile.GithubLink != nil || *cleared.Profile.BirthDate != "1915-12-10" {
		t.Errorf("%+v", cleared)
	}
	wantProblem(t, p.patch(`{"first_name":"Late"}`, "If-Match", entityTag(first.Version)), http.StatusPreconditionFailed)
	wantProblem(t, p.patch(`{"first_name":null}`), http.StatusBadRequest)
	wantProblem(t, p.patch(`{"thumbnail":"http://169.254.169.254/"}`), http.StatusBadRequest)
	wantProblem(t, p.patch(`{"is_staff":"true"}`), http.StatusBadRequest)
	wantProblem(t, p.patch(`{"version":"7"}`), http.StatusBadRequest)
	same := p.user(p.patch(`{"birth_date":"1915-12-10"}`))
	if same.Version != cleared.Version {
		t.Errorf("a change of nothing moved the version: %+v", same)
	}
}

func somePNG(t *testing.T) []byte {
	t.Helper()
	var picture bytes.Buffer
	if err := png.Encode(&picture, image.NewRGBA(image.Rect(0, 0, 30, 20))); err != nil {
		t.Fatal(err)
	}
	return picture.Bytes()
}

func TestThumbnail(t *testing.T) {
	t.Parallel()
	p := signedIn(t)
	picture := string(somePNG(t))
	with := p.user(p.update(file("thumbnail", "../../x.html", picture)))
	if with.Thumbnail == nil || !strings.HasPrefix(*with.Thumbnail, public+"/media/thumbnails/") || strings.Contains(*with.Thumbnail, "html") {
		t.Fatalf("%+v", with)
	}
	for _, upload := range []string{"<svg xmlns='http://www.w3.org/2000/svg'/>", "<html>", "%PDF-1.4", "PK\x03\x04", picture[:40]} {
		if got := wantProblem(t, p.update(file("thumbnail", "a.png", upload), text("first_name", "Never")), http.StatusBadRequest); got.Fields["thumbnail"] == "" {
			t.Errorf("%q: %+v", upload, got)
		}
	}
	without := p.user(p.ask("DELETE", "/users/me/thumbnail/", ""))
	if without.Thumbnail != nil || without.FirstName != "Ada" {
		t.Errorf("%+v", without)
	}
}

// TestNobodyIsRefusedBeforeTheBodyIsRead gives a body that fails the test when
// it is touched.
func TestNobodyIsRefusedBeforeTheBodyIsRead(t *testing.T) {
	t.Parallel()
	p := signedIn(t)
	for _, cookie := range []string{"", "sessionid=", "sessionid=" + strings.Repeat("a", 43), "sessionid=" + p.cookie + "x", "sessionid=" + strings.Repeat("a", 4000)} {
		for method, path := range map[string]string{"PATCH": "/users/update-user/", "POST": "/users/me/password/"} {
			r := httptest.NewRequest(method, path, untouchable{t})
			r.Header.Set("Content-Type", formType)
			if cookie != "" {
				r.Header.Set("Cookie", cookie)
			}
			got := wantProblem(t, p.send(r), http.StatusUnauthorized)
			if got.Error != "You are not logged in. Kindly ensure you are logged in and try again" {
				t.Errorf("%+v", got)
			}
		}
	}
}

type untouchable struct{ t *testing.T }

func (u untouchable) Read([]byte) (int, error) {
	u.t.Error("the body was read")
	return 0, io.EOF
}

func TestIdempotencyKey(t *testing.T) {
	t.Parallel()
	p := signedIn(t)
	first := p.user(p.patch(`{"first_name":"One"}`, keyHeader, "key-1"))
	p.user(p.patch(`{"first_name":"Two"}`))
	again := p.user(p.patch(`{ "first_name" : "\u004fne" }`, keyHeader, "key-1"))
	if again.FirstName != "Two" || again.Version != first.Version+1 {
		t.Errorf("the same request was run again: %+v after %+v", again, first)
	}
	wantProblem(t, p.patch(`{"first_name":"Other"}`, keyHeader, "key-1"), http.StatusConflict)
	wantProblem(t, p.patch(`{}`, keyHeader, "key-1"), http.StatusConflict)
	// Another resource, or another account, has keys of its own.
	p.user(p.ask("DELETE", "/users/me/thumbnail/", "", keyHeader, "key-1"))
	for _, email := range []string{"new@example.org", "NEW@example.org"} {
		wantStatus(t, p.post("/users/register/", registration(email), keyHeader, "key-1"), map[bool]int{true: 201, false: 409}[email == "new@example.org"])
	}
}

func TestSessions(t *testing.T) {
	t.Parallel()
	p := signedIn(t)
	other, third := p.signIn("12345SomeData"), p.signIn("12345SomeData")
	var list sessionList
	w := p.ask("GET", "/users/me/sessions/", "")
	wantStatus(t, w, http.StatusOK)
	if err := json.Unmarshal(w.Body.Bytes(), &list); err != nil || len(list.Sessions) != 3 || !list.Sessions[2].Current || list.Sessions[0].Current {
		t.Fatalf("%s", w.Body)
	}
	if strings.Contains(w.Body.String(), p.cookie) || strings.Contains(w.Body.String(), other) {
		t.Error("the list shows a token")
	}
	for _, id := range []string{"x", "00000000-0000-4000-8000-000000000000"} {
		wantProblem(t, p.ask("DELETE", "/users/me/sessions/"+id+"/", ""), http.StatusNotFound)
	}
	wantMessage(t, p.ask("DELETE", "/users/me/sessions/"+list.Sessions[0].ID.String()+"/", ""), http.StatusOK, sessionEnded)
	p.wantSession(third, false)
	wantMessage(t, p.ask("DELETE", "/users/me/sessions/", ""), http.StatusOK, othersEnded)
	p.wantSession(other, false)
	p.wantSession(p.cookie, true)
	wantMessage(t, p.ask("POST", "/users/logout/", ""), http.StatusOK, signedOut)
	p.wantSession(p.cookie, false)
}

func (p person) wantSession(cookie string, open bool) {
	p.t.Helper()
	if w := p.do("GET", "/users/current-user/", "", "Cookie", "sessionid="+cookie); (w.Code == http.StatusOK) != open {
		p.t.Errorf("open: want %v, got %d", open, w.Code)
	}
}

// TestEndingOthersLiftsNoSession plays a password change that happens between
// the check of a stolen session and its request to end the others.
func TestEndingOthersLiftsNoSession(t *testing.T) {
	t.Parallel()
	p := signedIn(t)
	store := &session.Store{Pool: p.pool, Account: p.Account}
	stolen, err := store.Check(t.Context(), p.cookie)
	if err != nil {
		t.Fatal(err)
	}
	handler := &commands.Handler{Store: p, Sessions: store, Now: time.Now, Logger: slog.New(slog.DiscardHandler)}
	changed := p.account
	changed.CredentialRevision, changed.Revision = p.account.CredentialRevision+1, p.account.Revision+1
	if err := store.Settle(t.Context(), changed); err != nil {
		t.Fatal(err)
	}
	if err := handler.EndOtherSessions(t.Context(), commands.Caller{CommandID: uuid.New()}, p.account.ID, stolen.Session.ID); err != nil {
		t.Fatal(err)
	}
	p.wantSession(p.cookie, false)
}

func TestChangePassword(t *testing.T) {
	t.Parallel()
	p := signedIn(t)
	other := p.signIn("12345SomeData")
	change := func(current, password string) *httptest.ResponseRecorder {
		body, _ := json.Marshal(map[string]string{"current_password": current, "password": password})
		return p.ask("POST", "/users/me/password", string(body), "Content-Type", "application/json")
	}
	wantProblem(t, change("wrong", "SomeOther123456"), http.StatusForbidden)
	wantProblem(t, change("12345SomeData", ""), http.StatusBadRequest)
	wantProblem(t, change("12345SomeData", "short"), http.StatusBadRequest)
	p.wantSession(other, true)
	w := change("12345SomeData", "SomeOther123456")
	wantMessage(t, w, http.StatusOK, passwordChanged)
	if w.Header().Get(positionHeader) == "" {
		t.Error("no position")
	}
	p.wantSession(other, false)
	p.wantSession(p.cookie, true)
	p.signIn("SomeOther123456")
}

func TestCurrentUserIsOneStatement(t *testing.T) {
	t.Parallel()
	p := signedIn(t)
	a, _ := p.Account(context.Background(), p.account.ID)
	_, err := p.pool.Exec(t.Context(), `INSERT INTO readmodel.accounts SELECT $1, $2, $3, 'active', false, 'ada@example.org', 'View', 'King', '', '', '', '', now(), '{}'`, a.ID, a.Revision, a.Version)
	if err != nil {
		t.Fatal(err)
	}
	acquired := p.pool.Stat().AcquireCount()
	if got := p.user(p.ask("GET", "/users/current-user/", "")); got.FirstName != "View" {
		t.Errorf("%+v", got)
	}
	if n := p.pool.Stat().AcquireCount() - acquired; n != 1 {
		t.Errorf("%d statements", n)
	}
}
