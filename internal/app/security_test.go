package app_test

import (
	"bytes"
	"fmt"
	"image"
	"net/http"
	"strings"
	"testing"
	"time"

	"daybook/internal/app"
)

// What is asked of the service's security, black box; docs/security.md says which
// test stands for which row.

// production is a service as people reach it: https, and a frontend of its own.
func production(t *testing.T) app.Settings {
	s := settings(t)
	s.PublicURL, s.FrontendURL = "https://accounts.example.com", trustedFrontend
	s.Allow = []string{"mailbox", "embedded-eventstore", "embedded-s3", "generated-keys"}
	return s
}

// TestMailGoesToTheStoredAddress: whatever spelling asks, mail goes to the one that
// was registered, and lookalikes are somebody else.
func TestMailGoesToTheStoredAddress(t *testing.T) {
	t.Parallel()
	s := start(t, settings(t))
	const stored = "Mike.Stone@example.com"
	s.register(stored)
	b := s.browser()
	ask := func(email string) answer {
		return b.post("/users/password-change/request-password-change/", map[string]any{"email": email})
	}
	for _, twin := range []string{"mıke.stone@example.com", "MİKE.STONE@example.com", "mi\u212ae.stone@example.com", "mike.\u017ftone@example.com", "ｍike.stone@example.com", "mi\u00adke.stone@example.com", "mike.stone@ex\u00e4mple.com", "mike.stone@xn--example-.com"} {
		if a := ask(twin); a.Status != http.StatusOK && a.Status != http.StatusBadRequest {
			t.Errorf("%q: %d", twin, a.Status)
		}
	}
	want(t, ask("mIKE.sTONE@EXAMPLE.com"), http.StatusOK, "", "")
	sent := s.awaitMail(stored, subjectReset, 1)
	if len(sent.To) != 1 || sent.To[0] != stored {
		t.Errorf("sent to %q, registered was %q", sent.To, stored)
	}
	if n := len(s.mails("")); n != 2 {
		t.Errorf("%d mails, want the activation and one reset", n)
	}
}

// TestAddressIsOneText: lists, objects and headers in the place of the address mail
// nobody.
func TestAddressIsOneText(t *testing.T) {
	t.Parallel()
	s := start(t, settings(t))
	s.register("v@example.com")
	b := s.browser()
	for _, value := range []string{
		`["v@example.com","a@evil.example"]`, `{"0":"v@example.com"}`, `1`, `true`, `null`, `""`, `[]`, `{"$ne":null}`, `"v@example.com","email":"a@evil.example"`,
		`"v@example.com,a@evil.example"`, `"v@example.com;a@evil.example"`, `"v@example.com a@evil.example"`, `"v@example.com\ta@evil.example"`,
		`"v@example.com\r\nBcc: a@evil.example"`, `"v@example.com%0acc:a@evil.example"`, `"v@example.com(a@evil.example)"`, `"<v@example.com>"`, `"V <v@example.com>"`,
	} {
		body := strings.NewReader(`{"email":` + value + `}`)
		a := b.do(http.MethodPost, "/users/password-change/request-password-change/", body, "application/json")
		if a.Status != http.StatusBadRequest || !isProblem(a) {
			t.Errorf("%s: %d %s", value, a.Status, a.Body)
		}
	}
	want(t, b.post("/users/password-change/request-password-change/", map[string]any{"email": "v@example.com"}), http.StatusOK, "", "")
	s.awaitMail("v@example.com", subjectReset, 1)
	if n := len(s.mails("")); n != 2 {
		t.Errorf("%d mails, want the activation and the one that was rightly asked for", n)
	}
}

// TestLinksComeFromSettings: nothing in a request moves the base of a mailed link or
// of a redirect.
func TestLinksComeFromSettings(t *testing.T) {
	t.Parallel()
	s := start(t, production(t))
	const email = "link@example.com"
	s.register(email)
	hostile := []string{
		"X-Forwarded-Host", "evil.example", "X-Forwarded-Proto", "http", "X-Forwarded-Port", "81", "X-Forwarded-Prefix", "/evil", "X-Original-Host", "evil.example",
		"X-Host", "evil.example", "Forwarded", "host=evil.example;proto=http", "X-Forwarded-Server", "evil.example", "X-Rewrite-Url", "//evil.example/", "Referer", "https://evil.example/",
	}
	b := s.browser()
	b.post("/users/password-change/request-password-change/?next=//evil.example&redirect_uri=https://evil.example", map[string]any{"email": email}, hostile...)
	sent := s.awaitMail(email, subjectReset, 1)
	if found := linkPattern.FindAllString(sent.Text+" "+sent.HTML, -1); len(found) == 0 || strings.Contains(sent.Text+sent.HTML, "evil") || !strings.HasPrefix(found[0], "https://accounts.example.com/users/") {
		t.Errorf("links %q", found)
	}
	a := b.do(http.MethodGet, sent.link(t)+"?next=//evil.example&return_to=https://evil.example", nil, "", hostile...)
	if location := a.Header.Get("Location"); !strings.HasPrefix(location, trustedFrontend+"/auth/password/change-password?token=") || strings.Contains(location, "evil") {
		t.Errorf("redirected to %q", location)
	}
	if a.Header.Get("Referrer-Policy") != "no-referrer" || a.Header.Get("Cache-Control") != "no-store" {
		t.Errorf("the redirect with a token carries %v", a.Header)
	}
	if strings.Contains(s.logs.String(), tokenOf(sent.link(t))) {
		t.Error("the log has the token")
	}
	want(t, b.post("/users/password-change/request-password-change/", map[string]any{"email": email, "redirect_uri": "https://evil.example"}), http.StatusBadRequest, "code", "unknown_field")
}

// TestSessionCookie looks at its attributes, that no two sign-ins share one, and
// that one brought along is never adopted.
func TestSessionCookie(t *testing.T) {
	t.Parallel()
	s := start(t, production(t))
	const email = "cookie@example.com"
	s.register(email)
	seen := map[string]bool{}
	for range 5 {
		b := s.browser()
		b.session = "planted-by-somebody-else-0123456789abcdefgh"
		a := b.signIn(email, goodPassword)
		cookies := (&http.Response{Header: a.Header}).Cookies()
		if len(cookies) != 1 {
			t.Fatalf("%d cookies", len(cookies))
		}
		c := cookies[0]
		if c.Name != "sessionid" || !c.Secure || !c.HttpOnly || c.Path != "/" || c.Domain != "" || c.SameSite != http.SameSiteLaxMode || c.MaxAge != 1209600 || len(c.Value) < 43 || strings.Contains(c.Value, "=") {
			t.Errorf("cookie %s", c)
		}
		if seen[c.Value] || c.Value == "planted-by-somebody-else-0123456789abcdefgh" {
			t.Errorf("session %q is not new", c.Value)
		}
		seen[c.Value] = true
	}
	planted := s.browser()
	planted.session = "planted-by-somebody-else-0123456789abcdefgh"
	want(t, planted.get("/users/current-user/"), http.StatusUnauthorized, "", "")
}

// TestSignOut kills the session at the server, with and without projectors.
func TestSignOut(t *testing.T) {
	frozen(t, func(t *testing.T, roles app.Roles) {
		s := startRoles(t, settings(t), roles)
		b := s.signedIn("out@example.com")
		kept := b.session
		a := b.post("/users/logout/", nil)
		want(t, a, http.StatusOK, "", "")
		if a.Header.Get("Cache-Control") != "no-store" || a.Header.Get("Clear-Site-Data") == "" {
			t.Errorf("signed out with %v", a.Header)
		}
		b.session = kept
		want(t, b.get("/users/current-user/"), http.StatusUnauthorized, "", "")
	})
}

// TestResetEndsEverySession, on the first request after its answer, with and without
// projectors; used up is used up.
func TestResetEndsEverySession(t *testing.T) {
	frozen(t, func(t *testing.T, roles app.Roles) {
		s := startRoles(t, settings(t), roles)
		const email = "five@example.com"
		sessions := []*browser{s.signedIn(email)}
		for range 4 {
			b := s.browser()
			want(t, b.signIn(email, goodPassword), http.StatusOK, "", "")
			sessions = append(sessions, b)
		}
		thief := s.browser()
		token := thief.requestReset(email, 1)
		for _, b := range sessions { // a mere request changes nothing
			want(t, b.get("/users/current-user/"), http.StatusOK, "", "")
		}
		want(t, s.browser().signIn(email, goodPassword), http.StatusOK, "", "")
		a := thief.changeByReset(token, "SomeOther123456")
		want(t, a, http.StatusOK, "", "")
		if cookies := a.Header.Values("Set-Cookie"); len(cookies) != 0 {
			t.Errorf("the reset signs in: %v", cookies)
		}
		for i, b := range sessions {
			if a := b.get("/users/current-user/"); a.Status != http.StatusUnauthorized {
				t.Errorf("session %d: %d", i, a.Status)
			}
		}
		if notice := s.awaitMail(email, subjectChanged, 1); linkPattern.MatchString(notice.Text) && strings.Contains(notice.Text, tokenOf(token)) {
			t.Error("the notice holds a token")
		}
		want(t, thief.changeByReset(token, "YetAnother1234"), http.StatusBadRequest, "", "")
	})
}

// TestResetHasOneWinnerOverHTTP sends one token with many passwords at once, with
// and without projectors.
func TestResetHasOneWinnerOverHTTP(t *testing.T) {
	frozen(t, func(t *testing.T, roles app.Roles) {
		s := startRoles(t, settings(t), roles)
		const email, rivals = "race@example.com", 8
		s.register(email)
		token := s.browser().requestReset(email, 1)
		statuses := make([]int, rivals)
		done := make(chan int, rivals)
		for i := range rivals {
			go func() {
				body := fmt.Sprintf(`{"token":%q,"password":"SomeOther-%d-1234"}`, token, i)
				a, err := s.browser().try(http.MethodPost, "/users/password-change/change-user-password/", strings.NewReader(body), "application/json")
				if err != nil {
					t.Error(err)
				}
				statuses[i] = a.Status
				done <- i
			}()
		}
		for range rivals {
			<-done
		}
		winners := 0
		for i, status := range statuses {
			switch status {
			case http.StatusOK:
				winners++
				want(t, s.browser().signIn(email, fmt.Sprintf("SomeOther-%d-1234", i)), http.StatusOK, "", "")
			case http.StatusBadRequest, http.StatusServiceUnavailable: // used up, or shed before its hash
			default:
				t.Errorf("status %d", status)
			}
		}
		if winners != 1 {
			t.Errorf("%d winners: %v", winners, statuses)
		}
	})
}

// TestAChangeKillsTheLink: changing the password while signed in ends the reset that
// was asked for before, at both steps, with and without projectors.
func TestAChangeKillsTheLink(t *testing.T) {
	frozen(t, func(t *testing.T, roles app.Roles) {
		s := startRoles(t, settings(t), roles)
		const email = "older@example.com"
		b := s.signedIn(email)
		second := b.requestReset(email, 1)
		link := s.awaitMail(email, subjectReset, 1).link(t)
		want(t, b.post("/users/me/password/", map[string]any{"current_password": goodPassword, "password": "SomeOther123456"}), http.StatusOK, "", "")
		want(t, s.browser().changeByReset(second, "YetAnother1234"), http.StatusBadRequest, "", "")
		if location := s.browser().get(link).Header.Get("Location"); !strings.Contains(location, "/auth/regenerate-token?reason=") {
			t.Errorf("the old link leads to %q", location)
		}
	})
}

// TestARefusedPasswordBurnsNothing.
func TestARefusedPasswordBurnsNothing(t *testing.T) {
	t.Parallel()
	s := start(t, settings(t))
	const email = "weak@example.com"
	s.register(email)
	b := s.browser()
	token := b.requestReset(email, 1)
	for _, members := range []map[string]any{
		{"token": token}, {"token": token, "password": nil}, {"token": token, "password": ""}, {"token": token, "password": "short"}, {"token": token, "password": "passwordpassword"}, {"token": token, "password": "Ann Lee 1234"},
	} {
		want(t, b.post("/users/password-change/change-user-password/", members), http.StatusBadRequest, "", "")
	}
	want(t, b.signIn(email, goodPassword), http.StatusOK, "", "")
	want(t, b.changeByReset(token, "SomeOther123456"), http.StatusOK, "", "")
}

// TestStagesStandForThemselves puts every kind of secret into every place: only its
// own takes it, and a wrong try spoils nothing.
func TestStagesStandForThemselves(t *testing.T) {
	t.Parallel()
	s := start(t, settings(t))
	const email, rival, pending = "stage@example.com", "rival@example.com", "pending@example.com"
	member := s.signedIn(email)
	s.register(rival)
	member.post("/users/register/", map[string]any{"email": pending, "first_name": "A", "last_name": "B", "password": goodPassword})
	activation := s.awaitMail(pending, subjectActivation, 1).link(t)
	second := member.requestReset(email, 1)
	reset := s.awaitMail(email, subjectReset, 1).link(t)
	others := s.browser().requestReset(rival, 1)
	own := strings.SplitN(second, ":", 2)
	b := s.browser()
	for name, token := range map[string]string{
		"mailed token": own[0] + ":" + tokenOf(reset), "session": own[0] + ":" + member.session, "activation": uidOf(activation) + ":" + tokenOf(activation),
		"another's id": strings.SplitN(others, ":", 2)[0] + ":" + own[1], "another's token": own[0] + ":" + strings.SplitN(others, ":", 2)[1],
		"cut": second[:len(second)-1], "longer": second + "A", "no colon": own[1], "nothing": "", "only id": own[0] + ":", "padded": own[0] + "=:" + own[1], "spaces": " " + second,
	} {
		if a := b.changeByReset(token, "SomeOther123456"); a.Status != http.StatusBadRequest || a.text("error") != "It appears that your password request token has expired or previously used" {
			t.Errorf("%s as second token: %d %s", name, a.Status, a.Body)
		}
	}
	for name, path := range map[string]string{
		"second token as mailed": "/users/password-change/confirm/change-password/" + own[0] + "/" + own[1] + "/",
		"activation as mailed":   "/users/password-change/confirm/change-password/" + uidOf(activation) + "/" + tokenOf(activation) + "/",
		"reset as activation":    "/users/register/confirm/" + own[0] + "/" + tokenOf(reset) + "/",
	} {
		if location := b.activate(path).Header.Get("Location"); !strings.Contains(location, "/auth/regenerate-token?reason=") {
			t.Errorf("%s leads to %q", name, location)
		}
	}
	want(t, b.changeByReset(second, "SomeOther123456"), http.StatusOK, "", "")
	want(t, b.changeByReset(others, "SomeOther123456"), http.StatusOK, "", "")
	wantRedirect(t, b.activate(activation), s.app.URL()+"/auth/confirmed")
}

// TestTokenFailuresLookAlike compares the bytes of answers to tokens that fail for
// different reasons.
func TestTokenFailuresLookAlike(t *testing.T) {
	t.Parallel()
	s := start(t, settings(t))
	const email = "alike@example.com"
	s.register(email)
	b := s.browser()
	used := b.requestReset(email, 1)
	want(t, b.changeByReset(used, "SomeOther123456"), http.StatusOK, "", "")
	uid := strings.SplitN(used, ":", 2)[0]
	var first string
	for _, token := range []string{used, uid + ":k.x", uid + ":" + strings.Repeat("A", 5000), "x:y", "MzNkOWViYTI:k.x", ":", "no colon"} {
		a := b.changeByReset(token, "YetAnother1234")
		instance := a.text("instance")
		shape := fmt.Sprint(a.Status, strings.ReplaceAll(string(a.Body), instance, ""), a.Header["Content-Type"], a.Header["Cache-Control"])
		if first == "" {
			first = shape
		}
		if shape != first {
			t.Errorf("%.40q: %s\nis not\n%s", token, shape, first)
		}
	}
}

// TestLookingChangesNothing asks every path with every safe method, and the mailed
// links often.
func TestLookingChangesNothing(t *testing.T) {
	t.Parallel()
	s := start(t, settings(t))
	const email, pending = "look@example.com", "wait@example.com"
	b := s.signedIn(email)
	b.post("/users/register/", map[string]any{"email": pending, "first_name": "A", "last_name": "B", "password": goodPassword})
	activation := s.awaitMail(pending, subjectActivation, 1).link(t)
	b.requestReset(email, 1) // opens the link once: the declared exception
	reset := s.awaitMail(email, subjectReset, 1).link(t)
	address := b.addressLink("looked@new.example", 1)
	events := countEvents(t, s)
	for _, path := range append(describedPaths(t), activation, reset, reset, reset, address, address) {
		for _, method := range []string{http.MethodGet, http.MethodHead, http.MethodOptions} {
			if a := b.do(method, strings.NewReplacer("{", "", "}", "").Replace(path), nil, ""); a.Status >= 500 {
				t.Errorf("%s %s: %d", method, path, a.Status)
			}
		}
	}
	if after := countEvents(t, s); after != events {
		t.Errorf("%d events became %d", events, after)
	}
	want(t, b.get("/users/current-user/"), http.StatusOK, "", "")
	want(t, s.browser().changeByReset(b.openReset(reset), "SomeOther123456"), http.StatusOK, "", "")
	wantRedirect(t, s.browser().activate(activation), s.app.URL()+"/auth/confirmed")
}

// TestServerChooses id, role, flags and dates; nothing a client sends does.
func TestServerChooses(t *testing.T) {
	t.Parallel()
	s := start(t, settings(t))
	b := s.signedIn("self@example.com")
	victim := s.signedIn("other@example.com")
	before := b.get("/users/current-user/").Body
	untouched := victim.get("/users/current-user/").Body
	id := victim.get("/users/current-user/").text("id")
	for _, name := range []string{"id", "is_staff", "is_active", "is_superuser", "date_joined", "roles", "email_verified", "version", "iſ_ſtaff", "Is_Staff"} {
		members := map[string]any{"email": "new@example.com", "first_name": "A", "last_name": "B", "password": goodPassword, name: "true"}
		want(t, b.post("/users/register/", members), http.StatusBadRequest, "", "")
		b.patch(map[string]string{name: "true", "user_id": id, "profile.id": id, "profile[is_staff]": "true"}, nil)
		want(t, b.do(http.MethodPatch, "/users/me/?"+name+"=true&first_name=Query&id="+id, strings.NewReader(`{"`+name+`":"true"}`), "application/json"), http.StatusBadRequest, "", "")
	}
	if after := b.get("/users/current-user/").Body; !bytes.Equal(after, before) {
		t.Errorf("%s became %s", before, after)
	}
	if after := victim.get("/users/current-user/").Body; !bytes.Equal(after, untouched) {
		t.Errorf("another's %s became %s", untouched, after)
	}
}

// TestPasswordsOfAllKinds: any Unicode, long, compared whole, in one normal form.
func TestPasswordsOfAllKinds(t *testing.T) {
	t.Parallel()
	s := start(t, settings(t))
	const email = "words@example.com"
	b := s.signedIn(email)
	current := goodPassword
	change := func(password string) answer {
		a := b.post("/users/me/password/", map[string]any{"current_password": current, "password": password})
		if a.Status == http.StatusOK {
			current = password
		}
		return a
	}
	same := strings.Repeat("0123456789abcdef", 5)
	for _, c := range []struct{ set, good, bad string }{
		{same + strings.Repeat("x", 120), same + strings.Repeat("x", 120), same + strings.Repeat("x", 119) + "y"},
		{strings.Repeat("🐻‍❄️🦊", 5), strings.Repeat("🐻‍❄️🦊", 5), strings.Repeat("🐻‍❄️🐙", 5)},
		{"ม้าลายกินหญ้าในทุ่ง", "ม้าลายกินหญ้าในทุ่ง", "ม้าลายกินหญ้าในทุ"},
		{"a few words with spaces ", "a few words with spaces ", "a few words with spaces"},
		{"caf\u00e9 au lait noir", "cafe\u0301 au lait noir", "cafe au lait noir"},
	} {
		want(t, change(c.set), http.StatusOK, "", "")
		want(t, s.browser().signIn(email, c.good), http.StatusOK, "", "")
		want(t, s.browser().signIn(email, c.bad), http.StatusBadRequest, "", "")
	}
	want(t, change(strings.Repeat("é", 257)), http.StatusBadRequest, "", "")
	began := time.Now()
	want(t, change(strings.Repeat("x", 1<<20)), http.StatusRequestEntityTooLarge, "", "")
	if took := time.Since(began); took > time.Second {
		t.Errorf("a megabyte of password was looked at for %v", took)
	}
	invalid := strings.NewReader("{\"email\":\"" + email + "\",\"password\":\"12345Some\xffData\"}")
	want(t, s.browser().do(http.MethodPost, "/users/login/", invalid, "application/json"), http.StatusBadRequest, "code", "invalid_json")
}

// TestHostileUploads: what is no picture is refused, its name and declared type
// count for nothing, and what is kept is drawn anew.
func TestHostileUploads(t *testing.T) {
	t.Parallel()
	s := start(t, settings(t))
	b := s.signedIn("upload@example.com")
	good := picture(t, 40, 40)
	bomb := bytes.Clone(good)
	copy(bomb[16:24], []byte{0, 0, 0x75, 0x30, 0, 0, 0x75, 0x30}) // 30000 x 30000
	for name, content := range map[string][]byte{
		"html": []byte("<html><script>alert(1)</script>"), "svg": []byte(`<svg xmlns="http://www.w3.org/2000/svg" onload="alert(1)"/>`), "pdf": []byte("%PDF-1.7"),
		"zip": []byte("PK\x03\x04rest"), "bomb": bomb, "cut": good[:30],
	} {
		if a := b.patch(map[string]string{"first_name": "Never"}, content); a.Status != http.StatusBadRequest || !isProblem(a) {
			t.Errorf("%s: %d %s", name, a.Status, a.Body)
		}
	}
	want(t, b.get("/users/current-user/"), http.StatusOK, "first_name", "Ann")
	a := b.patch(nil, append(bytes.Clone(good), "<script>canary-tail</script>"...))
	want(t, a, http.StatusOK, "", "")
	shown := b.get(mustPath(t, a.text("thumbnail")))
	if _, _, err := image.Decode(bytes.NewReader(shown.Body)); err != nil || bytes.Contains(shown.Body, []byte("canary-tail")) || !strings.HasPrefix(shown.Header.Get("Content-Type"), "image/") {
		t.Errorf("%v, %s", err, shown.Header.Get("Content-Type"))
	}
	hostileNames := []string{"../../x", `..\x`, "x%00.svg", strings.Repeat("n", 4000), "a.php"}
	for _, name := range hostileNames {
		body := "--x\r\nContent-Disposition: form-data; name=\"thumbnail\"; filename=\"" + name + "\"\r\nContent-Type: text/html\r\n\r\n" + string(picture(t, 41, 41)) + "\r\n--x--\r\n"
		a := b.do(http.MethodPatch, "/users/update-user/", strings.NewReader(body), "multipart/form-data; boundary=x")
		if key := a.text("thumbnail"); a.Status != http.StatusOK || !keyPattern.MatchString(key) {
			t.Errorf("%.20q: %d, stored as %q", name, a.Status, key)
		}
	}
	want(t, b.patch(map[string]string{"thumbnail": "http://169.254.169.254/"}, nil), http.StatusBadRequest, "", "")
}

// TestNoDefaultAccounts: a fresh service knows nobody.
func TestNoDefaultAccounts(t *testing.T) {
	t.Parallel()
	s := start(t, settings(t))
	for _, name := range []string{"admin@example.com", "admin@localhost.example", "root@example.com", "daybook@accounts.example.com"} {
		for _, password := range []string{"admin", "password", "daybook", goodPassword} {
			want(t, s.browser().signIn(name, password), http.StatusBadRequest, "error", "Email and password do not match")
		}
	}
	if n := countEvents(t, s); n != 0 {
		t.Errorf("%d events of accounts in a fresh store", n)
	}
}
