package api

import (
	"net/http"
	"net/http/httptest"
	"net/netip"
	"slices"
	"strings"
	"testing"
)

// everyRoute is a request for each path of the service, with its parameters
// filled in.
func everyRoute(s *Server) []string {
	fill := strings.NewReplacer("{uidb64}", "x", "{token}", "y", "{session}", "z", "{key:.+}", "thumbnails/there", "{name}", "daybook.css", "{id}", "x")
	var paths []string
	for _, r := range append(s.routes(), s.pageRoutes()...) {
		paths = append(paths, fill.Replace(r.path))
	}
	return append(paths, "/nowhere", "/users/", "/users//login/", "/users/./login/", "/users/%6Cogin/", "/USERS/login/")
}

func builtIn(s *Server) { s.Config.FrontendURL = "" }

func TestEveryAnswerCarriesTheSecurityHeaders(t *testing.T) {
	t.Parallel()
	s := newService(t, builtIn)
	for _, path := range everyRoute(&Server{}) {
		for _, method := range []string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "LINK"} {
			w := s.do(method, path, "{}")
			checkSecurityHeaders(t, method+" "+path, w)
			if w.Code >= 500 && path != "/readyz" {
				t.Errorf("%s %s: %d", method, path, w.Code)
			}
			if w.Code >= 400 && method != "HEAD" {
				wantProblem(t, w, w.Code)
			}
			if w.Code == http.StatusMethodNotAllowed && w.Header().Get("Allow") == "" {
				t.Errorf("%s %s: no Allow", method, path)
			}
		}
	}
}

func checkSecurityHeaders(t *testing.T, what string, w *httptest.ResponseRecorder) {
	t.Helper()
	header := w.Header()
	want := map[string]string{
		"X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer", "Vary": "Origin",
		"Strict-Transport-Security": "max-age=31536000; includeSubDomains",
	}
	for name, value := range want {
		if got := header.Values(name); len(got) != 1 || got[0] != value {
			t.Errorf("%s: %s is %q", what, name, got)
		}
	}
	policy := header.Get("Content-Security-Policy")
	if !strings.Contains(policy, "default-src 'none'") || !strings.Contains(policy, "frame-ancestors 'none'") || strings.Contains(policy, "unsafe") {
		t.Errorf("%s: policy %q", what, policy)
	}
	if cache := header.Get("Cache-Control"); cache != "no-store" && !strings.Contains(what, "/media/") && !strings.Contains(what, "/assets/") {
		t.Errorf("%s: Cache-Control %q", what, cache)
	}
	if header.Get("X-Request-Id") == "" || header.Get("Server") != "" || header.Get("X-Powered-By") != "" {
		t.Errorf("%s: %v", what, header)
	}
}

func TestBothSpellingsOfAPathAnswerAlike(t *testing.T) {
	t.Parallel()
	s := newService(t, builtIn)
	for _, r := range append((&Server{}).routes(), (&Server{}).pageRoutes()...) {
		if !strings.HasSuffix(r.path, "/") || r.path == "/" {
			continue
		}
		path := strings.NewReplacer("{uidb64}", "x", "{token}", "y", "{session}", "z", "{id}", "x").Replace(r.path)
		for _, method := range []string{"GET", "POST", "PATCH", "DELETE"} {
			with, without := s.do(method, path, "{}"), s.do(method, strings.TrimSuffix(path, "/"), "{}")
			if with.Code != without.Code || with.Header().Get("Location") != without.Header().Get("Location") {
				t.Errorf("%s %s: %d with and %d without the slash", method, path, with.Code, without.Code)
			}
		}
	}
}

// TestCrossSite is the matrix of who may send what from a browser.
func TestCrossSite(t *testing.T) {
	t.Parallel()
	s := newService(t)
	cases := []struct {
		origin, fetchSite string
		passes, cors      bool
	}{
		{"", "", true, false},            // no browser
		{"", "same-origin", true, false}, // our own pages
		{"", "none", true, false},        // typed by a person
		{"", "cross-site", false, false},
		{"", "same-site", false, false},
		{public, "", true, false},
		{public, "same-origin", true, false},
		{frontend, "", true, true},           // the frontend's own server
		{frontend, "cross-site", true, true}, // the frontend in a browser
		{"https://partner.example.org:8443", "same-site", true, true},
		{"https://partner.example.org", "same-site", false, false},
		{"http://front.example.org", "", false, false},
		{"https://front.example.org:444", "", false, false},
		{"https://front.example.org.evil.example", "", false, false},
		{"https://evilfront.example.org", "", false, false},
		{"https://FRONT.example.org", "", false, false},
		{"https://front.example.org/", "", false, false},
		{"https://evil.example", "", false, false},
		{"https://evil.example", "same-origin", true, false}, // browsers set Sec-Fetch-Site, pages cannot
		{"null", "", false, false},
		{"null", "cross-site", false, false},
		{"null", "same-origin", true, false},
	}
	for _, c := range cases {
		header := []string{"Content-Type", "application/json"}
		if c.origin != "" {
			header = append(header, "Origin", c.origin)
		}
		if c.fetchSite != "" {
			header = append(header, "Sec-Fetch-Site", c.fetchSite)
		}
		for _, path := range []string{"/users/login/", "/users/logout/", "/users/register/", "/nowhere"} {
			w := s.do("POST", path, "{}", header...)
			if passed := w.Code != http.StatusForbidden; passed != c.passes {
				t.Errorf("%s from %q, %q: %d", path, c.origin, c.fetchSite, w.Code)
			}
			checkCORS(t, c.origin, c.cors, w)
			checkCORS(t, c.origin, c.cors, s.do("GET", path, "", header...))
		}
		checkPreflight(t, s, c.origin, c.cors)
	}
}

func checkCORS(t *testing.T, origin string, allowed bool, w *httptest.ResponseRecorder) {
	t.Helper()
	header := w.Header()
	want := ""
	if allowed {
		want = origin
	}
	if got := header.Get("Access-Control-Allow-Origin"); got != want || (header.Get("Access-Control-Allow-Credentials") == "true") != allowed {
		t.Errorf("from %q: allowed is %q", origin, got)
	}
	if !slices.Contains(header.Values("Vary"), "Origin") {
		t.Error("no Vary")
	}
}

func checkPreflight(t *testing.T, s service, origin string, allowed bool) {
	t.Helper()
	w := s.do("OPTIONS", "/users/update-user/", "", "Origin", origin, "Access-Control-Request-Method", "PATCH", "Access-Control-Request-Headers", "if-match")
	checkCORS(t, origin, allowed, w)
	if allowed != (w.Code == http.StatusNoContent) || allowed != strings.Contains(w.Header().Get("Access-Control-Allow-Methods"), "PATCH") ||
		allowed != strings.Contains(w.Header().Get("Access-Control-Allow-Headers"), "If-Match") {
		t.Errorf("preflight from %q: %d %v", origin, w.Code, w.Header())
	}
}

func TestOnlyButtonsOfLinksMayBeOpaque(t *testing.T) {
	t.Parallel()
	s := newService(t)
	for _, c := range []struct {
		path, origin, fetchSite string
		status                  int
	}{
		{"/users/register/confirm/x/y/", "null", "", http.StatusFound},
		{"/users/register/confirm/x/y/", "null", "cross-site", http.StatusForbidden},
		{"/users/register/confirm/x/y/", "https://evil.example", "", http.StatusForbidden},
		{"/users/email-change/confirm/x/y/", "null", "", http.StatusFound},
		{"/users/email-change/confirm/x/y/", "null", "cross-site", http.StatusForbidden},
		{"/users/me/email/", "null", "", http.StatusForbidden},
		{"/users/register/confirm/../../login/", "null", "", http.StatusNotFound},
		{"/users/login/", "null", "", http.StatusForbidden},
	} {
		header := []string{"Origin", c.origin}
		if c.fetchSite != "" {
			header = append(header, "Sec-Fetch-Site", c.fetchSite)
		}
		if w := s.do("POST", c.path, "", header...); w.Code != c.status {
			t.Errorf("%+v: %d", c, w.Code)
		}
	}
}

func TestMethodsCannotBeSmuggled(t *testing.T) {
	t.Parallel()
	s := newService(t)
	for _, name := range []string{"X-HTTP-Method-Override", "X-Method-Override", "X-HTTP-Method"} {
		wantProblem(t, s.do("POST", "/users/update-user/?_method=PATCH", "_method=PATCH", name, "PATCH"), http.StatusMethodNotAllowed)
	}
	if allow := s.do("POST", "/users/update-user/", "").Header().Get("Allow"); allow != "OPTIONS, PATCH" {
		t.Errorf("Allow: %q", allow)
	}
	if allow := s.do("PUT", "/users/register/confirm/x/y/", "").Header().Get("Allow"); allow != "GET, HEAD, OPTIONS, POST" {
		t.Errorf("Allow: %q", allow)
	}
	if w := s.do("OPTIONS", "/users/login/", ""); w.Code != http.StatusNoContent || w.Header().Get("Allow") != "OPTIONS, POST" {
		t.Errorf("OPTIONS: %d %v", w.Code, w.Header())
	}
}

func TestTwoSessionCookiesAreNobody(t *testing.T) {
	t.Parallel()
	s := newService(t)
	two := [][]string{
		{"Cookie", "sessionid=a; sessionid=b"}, {"Cookie", "sessionid=a;sessionid=a"}, {"Cookie", "sessionid=a", "Cookie", "sessionid=b"},
		{"Cookie", `sessionid=a; x=1; sessionid="b c"`}, {"Cookie", "sessionid=a; sessionid"}, {"Cookie", "sessionid=; sessionid=b"}, {"Cookie", "sessionid=a; sessionid=b,\x01"},
	}
	for _, header := range two {
		for _, call := range [][2]string{{"GET", "/users/current-user/"}, {"POST", "/users/logout/"}, {"POST", "/users/login/"}, {"PATCH", "/users/update-user/"}, {"GET", "/users/series"}} {
			wantProblem(t, s.do(call[0], call[1], "{}", header...), http.StatusUnauthorized)
		}
	}
	p := wantProblem(t, s.do("GET", "/users/current-user/", "", "Cookie", "id=a; SESSIONID=b; xsessionid=c; sessionid="), http.StatusUnauthorized)
	if p.Error != "You are not logged in. Kindly ensure you are logged in and try again" {
		t.Errorf("%+v", p)
	}
}

func TestTheLogNamesNoPathNoQueryNoAddress(t *testing.T) {
	t.Parallel()
	s := newService(t)
	s.do("GET", "/users/register/confirm/c4n4ry-id/c4n4ry-token/?c4n4ry=1", "")
	s.do("GET", "/c4n4ry-path", "", "Referer", "https://c4n4ry.example", "Cookie", "sessionid=c4n4ry; sessionid=x", "User-Agent", "c4n4ry")
	s.do("C4N4RY", "/users/login/", "")
	s.post("/users/login/", `{"email":"c4n4ry@example.org","password":"c4n4ry-password"}`)
	log := s.log.String()
	if strings.Contains(strings.ToLower(log), "c4n4ry") {
		t.Errorf("log: %s", log)
	}
	for _, template := range []string{`"route":"/users/register/confirm/{uidb64}/{token}/"`, `"route":"unmatched"`, `"route":"/users/login/"`, `"status":404`} {
		if !strings.Contains(log, template) {
			t.Errorf("the log lacks %s: %s", template, log)
		}
	}
}

func TestClientAddress(t *testing.T) {
	t.Parallel()
	s := &Server{Config: Config{TrustedProxies: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("fd00::/8")}}}
	cases := []struct {
		peer      string
		forwarded []string
		want      string
	}{
		{"192.0.2.7:1", nil, "192.0.2.7"},
		{"192.0.2.7:1", []string{"198.51.100.1"}, "192.0.2.7"},
		{"10.0.0.1:1", nil, "10.0.0.1"},
		{"10.0.0.1:1", []string{"198.51.100.1"}, "198.51.100.1"},
		{"10.0.0.1:1", []string{"203.0.113.9, 198.51.100.1, 10.2.3.4"}, "198.51.100.1"},
		{"10.0.0.1:1", []string{"203.0.113.9", "198.51.100.1"}, "198.51.100.1"},
		{"10.0.0.1:1", []string{"203.0.113.9, evil"}, "10.0.0.1"},
		{"10.0.0.1:1", []string{"evil, 10.9.9.9"}, "10.9.9.9"},
		{"[::ffff:10.0.0.1]:1", []string{"2001:db8::1"}, "2001:db8::1"},
		{"[fd00::1]:1", []string{"198.51.100.1"}, "198.51.100.1"},
		{"@", []string{"198.51.100.1"}, ""},
	}
	for _, c := range cases {
		r := httptest.NewRequest("GET", "/", nil)
		r.RemoteAddr, r.Header["X-Forwarded-For"] = c.peer, c.forwarded
		r.Header.Set("X-Real-IP", "203.0.113.50")
		r.Header.Set("Forwarded", "for=203.0.113.51")
		if got := s.clientAddress(r); got != c.want {
			t.Errorf("%s with %q: %q, want %q", c.peer, c.forwarded, got, c.want)
		}
	}
}

func TestUserAgentIsStorable(t *testing.T) {
	t.Parallel()
	for given, want := range map[string]string{
		"Mozilla/5.0 (X11)": "Mozilla/5.0 (X11)", "a\tb\u202ec\x00d": "abcd", "\xff\xfe": "", strings.Repeat("é", 200): strings.Repeat("é", 128), "a" + strings.Repeat("é", 200): "a" + strings.Repeat("é", 127),
	} {
		r := httptest.NewRequest("GET", "/", nil)
		r.Header.Set("User-Agent", given)
		if got := userAgent(r); got != want {
			t.Errorf("%q: %q", given, got)
		}
	}
}

func TestIdempotencyKeysAreChecked(t *testing.T) {
	t.Parallel()
	s := newService(t)
	for _, header := range [][]string{{keyHeader, ""}, {keyHeader, "a b"}, {keyHeader, "a", keyHeader, "a"}, {keyHeader, strings.Repeat("a", 256)}, {keyHeader, "é"}, {keyHeader, "a\x7f"}} {
		wantProblem(t, s.post("/users/register/", registration("ada@example.org"), header...), http.StatusBadRequest)
	}
}

func TestMedia(t *testing.T) {
	t.Parallel()
	s := newService(t)
	w := s.do("GET", "/media/thumbnails/there", "")
	wantStatus(t, w, http.StatusOK)
	header := w.Header()
	if header.Get("Content-Type") != "image/png" || !strings.Contains(header.Get("Content-Security-Policy"), "sandbox") || header.Get("Content-Disposition") == "" || header.Get("Cross-Origin-Resource-Policy") != "cross-origin" {
		t.Errorf("%v", header)
	}
	for _, path := range []string{"/media/thumbnails/gone", "/media/", "/media", "/media/thumbnails/", "/media/thumbnails/../thumbnails/there", "/media/thumbnails%2Fthere", "/media/thumbnails/there%00", "/media/thumbnails/there/"} {
		wantProblem(t, s.do("GET", path, ""), http.StatusNotFound)
	}
}
