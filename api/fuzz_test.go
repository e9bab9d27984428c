package api

import (
	"context"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/google/uuid"

	"daybook/internal/audit"
)

// The fuzz targets of what a client sends: bodies, headers, links and queries. Each
// seed runs with every test; make fuzz looks for more.

// expected fails the test when a failure is none of those that clients are told of.
func expected(t *testing.T, err error) {
	t.Helper()
	if err != nil && refusalOf(context.Background(), err) == errInternal {
		t.Errorf("nobody expected: %v", err)
	}
}

// withHeader is a request with a header as a client may send it.
func withHeader(name, value string) *http.Request {
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	r.Header[name] = []string{value}
	return r
}

// FuzzReadForm: what is taken is text that was sent, within the bounds.
func FuzzReadForm(f *testing.F) {
	f.Add(encodeForm(text("first_name", "Ada"), file("thumbnail", "a.png", "PNG")), formType)
	f.Add(encodeForm(text("first_name", "")), formType)
	f.Add("--x\r\nContent-Disposition: form-data; name=first_name\r\n\r\nAda", "multipart/form-data; boundary=x")
	f.Add("--x\r\nContent-Disposition: form-data; name=\"first_name\"; filename*=utf-8''a\r\n\r\nA\r\n--x--", "multipart/form-data; boundary=x")
	f.Add("", "multipart/form-data; boundary=")
	f.Add("x", "multipart/mixed; boundary=x")
	f.Fuzz(func(t *testing.T, body, contentType string) {
		form, err := parseForm(body, contentType)
		expected(t, err)
		if err != nil {
			return
		}
		for name, value := range form.text {
			if value == nil || *value == "" || len(*value) > maxFormText || !strings.Contains(body, *value) {
				t.Errorf("%s is taken as %v", name, value)
			}
		}
		if len(form.thumbnail) > maxPicture || !strings.Contains(body, string(form.thumbnail)) {
			t.Errorf("%d bytes of picture", len(form.thumbnail))
		}
	})
}

// FuzzMediaType: of JSON nothing else passes.
func FuzzMediaType(f *testing.F) {
	for _, seed := range []string{"application/json", "Application/JSON; charset=UTF-8", "application/json; charset=utf-7", "application/json, text/html", "text/plain", "", ";", "application/json;charset"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, value string) {
		err := checkMedia(withHeader("Content-Type", value), "application/json")
		expected(t, err)
		if err == nil && !strings.HasPrefix(strings.ToLower(strings.TrimSpace(value)), "application/json") {
			t.Errorf("%q passes for JSON", value)
		}
	})
}

// FuzzSessionToken: of a session cookie there is one value, or the request is refused.
func FuzzSessionToken(f *testing.F) {
	for _, seed := range []string{"sessionid=abc", "id=1; sessionid=abc", "sessionid=a; sessionid=b", "sessionid", "sessionid=", "; ;=;sessionid=\"a\"", "SessionID=a", "sessionid=a=b"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, cookie string) {
		token, err := sessionToken(withHeader("Cookie", cookie))
		expected(t, err)
		if token != "" && (err != nil || !strings.Contains(cookie, "sessionid="+token) || strings.Contains(token, ";")) {
			t.Errorf("%q has the session %q, %v", cookie, token, err)
		}
	})
}

// FuzzSplitToken: what is taken apart is put together again as it was.
func FuzzSplitToken(f *testing.F) {
	id := encodeID(uuid.MustParse("3d9eba7f-52ca-4d52-8d33-3b6d2d3f1e10"))
	for _, seed := range []string{id + ":k1.abc", id + ":", ":k1.abc", id + ":a:b", id + "=:a", strings.ToUpper(id) + ":a", id, ""} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, combined string) {
		if id, token, ok := splitToken(combined); ok && encodeID(id)+":"+token != combined {
			t.Errorf("%q is %s and %q", combined, id, token)
		}
	})
}

// FuzzClientAddress: whatever is forwarded, the client has an address, and never that
// of a trusted proxy while an untrusted one is named behind it.
func FuzzClientAddress(f *testing.F) {
	for _, seed := range []string{"", "203.0.113.9", "203.0.113.9, 10.0.0.2", "::ffff:203.0.113.9", "fe80::1%eth0", "x, 203.0.113.9", ",,,", "203.0.113.9:80", strings.Repeat("10.0.0.1,", 50)} {
		f.Add(seed)
	}
	s := &Server{Config: Config{TrustedProxies: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}}}
	f.Fuzz(func(t *testing.T, forwarded string) {
		r := withHeader("X-Forwarded-For", forwarded)
		r.RemoteAddr = "10.0.0.1:443"
		address, err := netip.ParseAddr(s.clientAddress(r))
		if err != nil || address.Zone() != "" || address.Is4In6() {
			t.Errorf("%q makes %v, %v", forwarded, address, err)
		}
		if r.RemoteAddr = "192.0.2.1:443"; s.clientAddress(r) != "192.0.2.1" {
			t.Errorf("%q of no proxy is believed", forwarded)
		}
	})
}

// FuzzUserAgent: what is kept can be stored and shown everywhere.
func FuzzUserAgent(f *testing.F) {
	for _, seed := range []string{"Mozilla/5.0", "\x00", "\xff\xfe", "a\u202eb", strings.Repeat("\u00e9", 300)} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, agent string) {
		kept := userAgent(withHeader("User-Agent", agent))
		if len(kept) > maxUserAgent || !utf8.ValidString(kept) || strings.ContainsFunc(kept, func(r rune) bool { return !unicode.IsPrint(r) }) {
			t.Errorf("%q is kept as %q", agent, kept)
		}
	})
}

// FuzzIdempotencyKey: a key is taken as it is, or refused.
func FuzzIdempotencyKey(f *testing.F) {
	for _, seed := range []string{"", "a", "a b", strings.Repeat("k", 256), "\"quoted\"", "k\x00", "\u00e9"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, sent string) {
		key, err := idempotencyKey(withHeader("Idempotency-Key", sent))
		expected(t, err)
		if err == nil && (key != sent || key == "" || len(key) > maxKey || strings.ContainsFunc(key, notVisible)) {
			t.Errorf("%q is taken as %q", sent, key)
		}
	})
}

// FuzzInstant: a time is one that can be written again, or refused.
func FuzzInstant(f *testing.F) {
	for _, seed := range []string{"at=2026-11-23T12:00:00Z", "at=2026-11-23T12:00:00%2B01:00", "at=0000-00-00T00:00:00Z", "at=now", "at=", "at=a&at=b", "", "at=9999-12-31T23:59:60Z", "%"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, query string) {
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.URL = &url.URL{Path: "/users/me/", RawQuery: query}
		at, err := instantOf(r)
		expected(t, err)
		if err != nil {
			return
		}
		if again, err := time.Parse(time.RFC3339Nano, at.Format(time.RFC3339Nano)); err != nil || !again.Equal(at) {
			t.Errorf("%q is %v, and again %v, %v", query, at, again, err)
		}
	})
}

// FuzzAuditQuery: no query and no Last-Event-ID reads beyond its bounds, or from a
// cursor that the service has not made.
func FuzzAuditQuery(f *testing.F) {
	cursors, err := audit.NewCursors([]byte("secret of all processes"), uuid.MustParse("3d9eba7f-52ca-4d52-8d33-3b6d2d3f1e10"))
	if err != nil {
		f.Fatal(err)
	}
	made := cursors.At(7)
	f.Add("after="+made+"&limit=10&type=SignedIn", "")
	f.Add("follow=true", made)
	f.Add("account=3d9eba7f-52ca-4d52-8d33-3b6d2d3f1e10&since=2026-11-23T12:00:00Z&until=2026-11-24T12:00:00Z", "")
	f.Add("limit=-1&limit=2", "x")
	f.Add("after=%00;&type=,,,", "\x00")
	f.Fuzz(func(t *testing.T, query, last string) {
		r := withHeader("Last-Event-Id", last)
		r.URL = &url.URL{Path: "/audit/events", RawQuery: query}
		q, err := auditQuery(r, cursors)
		expected(t, err)
		if err == nil && q.After != 0 && q.After != 7 {
			t.Errorf("%q and %q read from %d", query, last, q.After)
		}
	})
}
