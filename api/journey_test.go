package api

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"daybook/domain"
)

func TestAnonymousJourneyOfTheHardenedContract(t *testing.T) {
	t.Parallel()
	s := newService(t)
	body := `{"email":"ada@example.org","first_name":"Ada","last_name":"<b>King</b>","password":"12345SomeData"}`
	wantMessage(t, s.post("/users/register", body), http.StatusCreated, registered)
	link := s.activationLink(s.accountOf("ada@example.org"))

	before, _ := s.counted()
	page := s.do("GET", link, "")
	wantStatus(t, page, http.StatusOK)
	if html := page.Body.String(); !strings.Contains(html, "Ada &lt;b&gt;King&lt;/b&gt;") {
		t.Errorf("the page does not show whose link it is: %s", html)
	}
	if after, _ := s.counted(); after != before || s.accountOf("ada@example.org").Active() {
		t.Error("opening the link has changed something")
	}
	done := s.do("POST", link, "", "Origin", "null")
	if got := done.Header().Get("Location"); done.Code != http.StatusFound || got != frontend+"/auth/confirmed" {
		t.Errorf("activation: %d to %q", done.Code, got)
	}
	for _, method := range []string{"GET", "POST"} {
		wantRefusedLink(t, s, method, link)
	}
	s.signInAndOut(t, "ada@example.org", "12345SomeData")
	s.reset(t, "ada@example.org")
}

func (s service) signInAndOut(t *testing.T, email, password string) {
	t.Helper()
	in := s.post("/users/login/", `{"email":"`+email+`","password":"`+password+`"}`)
	wantStatus(t, in, http.StatusOK)
	cookies := in.Result().Cookies()
	if len(cookies) != 1 || cookies[0].Name != "sessionid" || strings.Contains(cookies[0].Value, "=") {
		t.Fatalf("cookies: %v", cookies)
	}
	c := cookies[0]
	if !c.HttpOnly || !c.Secure || c.Path != "/" || c.MaxAge != 1209600 || c.SameSite != http.SameSiteLaxMode || c.Domain != "" {
		t.Errorf("cookie: %s", c)
	}
	if in.Header().Get(positionHeader) != "" {
		t.Error("signing in shows a position")
	}
	wantUser(t, in.Body.Bytes(), s.accountOf(email))
	out := s.do("POST", "/users/logout/", "{ not json", "Cookie", "id=7; sessionid="+c.Value, "Content-Encoding", "gzip")
	wantMessage(t, out, http.StatusOK, signedOut)
	if out.Header().Get("Clear-Site-Data") == "" || out.Result().Cookies()[0].MaxAge != -1 {
		t.Error("sign-out cleans nothing up")
	}
	if _, open, _ := s.End(context.Background(), c.Value); open {
		t.Error("the session is still open")
	}
	wantMessage(t, s.do("POST", "/users/logout", ""), http.StatusOK, signedOut)
}

func wantUser(t *testing.T, body []byte, a domain.Account) {
	t.Helper()
	var got map[string]any
	if err := json.Unmarshal(body, &got); err != nil {
		t.Fatal(err)
	}
	if got["id"] != a.ID.String() || got["email"] != a.Email || got["is_active"] != true || got["is_staff"] != false || got["thumbnail"] != nil {
		t.Errorf("user: %v", got)
	}
	if _, err := time.Parse(time.RFC3339, got["date_joined"].(string)); err != nil {
		t.Error(err)
	}
	profile := got["profile"].(map[string]any)
	if profile["user_id"] != a.ID.String() || profile["phone_number"] != nil || len(profile) != 5 || len(got) != 10 {
		t.Errorf("user: %v", got)
	}
}

func (s service) reset(t *testing.T, email string) {
	t.Helper()
	wantMessage(t, s.post("/users/password-change/request-password-change/", `{"email":"`+email+`"}`), http.StatusOK, resetSent)
	a := s.accountOf(email)
	token, _ := s.Token(context.Background(), domain.PurposeReset, a.ID, a.Reset.ID, a.Reset.ExpiresAt)
	link := "/users/password-change/confirm/change-password/" + encodeID(a.ID) + "/" + token + "/"
	if w := s.do("HEAD", link, ""); w.Code != http.StatusOK || w.Header().Get("Location") != "" || s.accountOf(email).Reset.LinkOpened {
		t.Errorf("HEAD looked at the link: %d", w.Code)
	}
	first, again := s.do("GET", link, "").Header().Get("Location"), s.do("GET", link, "").Header().Get("Location")
	second, ok := strings.CutPrefix(first, frontend+"/auth/password/change-password?token=")
	if !ok || first != again || strings.ContainsAny(second, "=&+%#") {
		t.Fatalf("redirects to %q, then to %q", first, again)
	}
	change := "/users/password-change/change-user-password/"
	for _, refused := range []string{`{"token":"` + second + `"}`, `{"token":"` + second + `","password":null}`, `{"token":"` + second + `","password":"short"}`} {
		if p := wantProblem(t, s.post(change, refused), http.StatusBadRequest); p.Fields["password"] == "" {
			t.Errorf("%s: %+v", refused, p)
		}
	}
	body := `{"token":"` + second + `","password":"SomeOther123456"}`
	wantMessage(t, s.post(change, body), http.StatusOK, resetDone)
	if p := wantProblem(t, s.post(change, body), http.StatusBadRequest); p.Error != "It appears that your password request token has expired or previously used" {
		t.Errorf("second use: %+v", p)
	}
	wantRefusedLink(t, s, "GET", link)
	s.signInAndOut(t, email, "SomeOther123456")
}

func wantRefusedLink(t *testing.T, s service, method, link string) {
	t.Helper()
	w := s.do(method, link, "")
	wantStatus(t, w, http.StatusFound)
	const want = frontend + "/auth/regenerate-token?reason=It%20appears%20that%20your%20confirmation%20token%20has%20expired%20or%20previously%20used.%20Kindly%20generate%20a%20new%20token"
	if got := w.Header().Get("Location"); got != want {
		t.Errorf("%s %s: to %q", method, link, got)
	}
}

func TestMalformedLinksAnswerLikeExpiredOnes(t *testing.T) {
	t.Parallel()
	s := newService(t)
	a := s.activated(t, "ada@example.org")
	ids := []string{encodeID(a.ID), encodeID(a.ID) + "=", strings.ToUpper(encodeID(a.ID)), "x", "%00", "..%2f..", "%F0%9F%98%80", a.ID.String(), url.PathEscape("a b")}
	var all sync.WaitGroup // each is held to the floor
	for _, id := range ids {
		for _, token := range []string{"x", "k.%00", "%2F", "..", "k.AAAA", strings.Repeat("A", 5000)} {
			all.Go(func() { wantRefusedLink(t, s, "GET", "/users/register/confirm/"+id+"/"+token+"/") })
			all.Go(func() { wantRefusedLink(t, s, "POST", "/users/register/confirm/"+id+"/"+token) })
			all.Go(func() {
				wantRefusedLink(t, s, "GET", "/users/password-change/confirm/change-password/"+id+"/"+token+"/")
			})
		}
	}
	all.Wait()
}

func TestSeedContract(t *testing.T) {
	t.Parallel()
	s := newService(t, seedContract)
	body := `{"email":"ada@example.org","first_name":"Ada","last_name":"King","password":"12345SomeData"}`
	wantMessage(t, s.post("/users/register/", body), http.StatusCreated, registered)
	link := s.activationLink(s.accountOf("ada@example.org"))
	if w := s.do("HEAD", link, ""); w.Code != http.StatusOK || s.accountOf("ada@example.org").Active() {
		t.Error("HEAD has activated")
	}
	if w := s.do("GET", link, ""); w.Header().Get("Location") != frontend+"/auth/confirmed" {
		t.Errorf("GET: %d to %q", w.Code, w.Header().Get("Location"))
	}
	for path, want := range map[string]string{
		"/users/register/":         "A user with that email address already exists",
		"/users/regenerate-token/": "A user with this e-mail address does not exist. If you registered with this email, ensure you haven't activated it yet. You can check by logging in",
	} {
		in, status := `{"email":"ada@example.org"}`, http.StatusNotFound
		if path == "/users/register/" {
			in, status = body, http.StatusBadRequest
		}
		if p := wantProblem(t, s.post(path, in), status); p.Error != want {
			t.Errorf("%s: %q", path, p.Error)
		}
	}
	const unknown = "An active user with this e-mail address does not exist. If you registered with this email, ensure you have activated your account. You can check by logging in. If you have not activated it, visit " +
		frontend + "/auth/regenerate-token to regenerate the token that will allow you activate your account."
	if p := wantProblem(t, s.post("/users/password-change/request-password-change/", `{"email":"nobody@example.org"}`), http.StatusNotFound); p.Error != unknown {
		t.Errorf("reset: %q", p.Error)
	}
}

func TestSentencesForMissingFields(t *testing.T) {
	t.Parallel()
	s := newService(t)
	cases := []struct{ path, body, sentence string }{
		{"/users/register/", `{}`, "All fields are required: email, first_name, last_name, password"},
		{"/users/register/", `{"email":"a@example.org","first_name":"","last_name":"b","password":"12345SomeData"}`, "All fields are required: email, first_name, last_name, password"},
		{"/users/register/", `{"email":"a@example.org","first_name":null,"last_name":"b","password":"12345SomeData"}`, "All fields are required: email, first_name, last_name, password"},
		{"/users/register/", `{"email":"john@example","first_name":"a","last_name":"b","password":"12345SomeData"}`, "Enter a valid email address."},
		{"/users/regenerate-token/", `{}`, "Email field is empty"},
		{"/users/regenerate-token/", `{"email":""}`, "Email field is empty"},
		{"/users/regenerate-token/", `{"email":"john@example"}`, "Enter a valid email address."},
		{"/users/regenerate-token/", `{"email":["a@example.org"]}`, "Enter a valid email address."},
		{"/users/login/", `{"email":"a@example.org"}`, "Please provide email and password"},
		{"/users/login/", `{"email":"a@example.org","password":"wrong password"}`, "Email and password do not match"},
		{"/users/login/", `{"email":"no address","password":"wrong password"}`, "Email and password do not match"},
		{"/users/password-change/request-password-change/", `{"email":null}`, "Email field is empty"},
		{"/users/password-change/request-password-change/", `{"email":{"$ne":null}}`, "Enter a valid email address."},
		{"/users/password-change/change-user-password/", `{"password":"12345SomeData"}`, "It appears that your password request token has expired or previously used"},
		{"/users/password-change/change-user-password/", `{"token":"a:b:c","password":"12345SomeData"}`, "It appears that your password request token has expired or previously used"},
	}
	for _, c := range cases {
		if p := wantProblem(t, s.post(c.path, c.body), http.StatusBadRequest); p.Error != c.sentence {
			t.Errorf("%s %s: %q", c.path, c.body, p.Error)
		}
	}
	if appends, _ := s.counted(); appends != 0 {
		t.Errorf("%d appends", appends)
	}
}
