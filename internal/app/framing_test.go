package app_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

// raw sends bytes over a connection of its own and returns all that comes back
// until the server closes it.
func (s *service) raw(t *testing.T, request string, patience time.Duration) (answer string, closed bool) {
	t.Helper()
	conn, err := net.Dial("tcp", s.app.Addr())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(conn, request); err != nil {
		return "", true // cut off while we spoke
	}
	got, err := io.ReadAll(conn)
	return string(got), err == nil || !strings.Contains(err.Error(), "timeout")
}

// TestAmbiguousFraming sends requests that two parsers could read as different
// ones, each followed by a second: there is never a second answer (C89, A62).
func TestAmbiguousFraming(t *testing.T) {
	t.Parallel()
	s := start(t, settings(t))
	const second = "GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
	head := "POST /users/logout/ HTTP/1.1\r\nHost: x\r\n"
	for name, request := range map[string]string{
		"two lengths":         head + "Content-Length: 0\r\nContent-Length: 5\r\n\r\n",
		"negative length":     head + "Content-Length: -1\r\n\r\n",
		"signed length":       head + "Content-Length: +0\r\n\r\n",
		"unknown coding":      head + "Transfer-Encoding: xchunked\r\n\r\n",
		"two codings":         head + "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n",
		"space before colon":  head + "Content-Length : 0\r\n\r\n",
		"no host":             "GET /healthz HTTP/1.1\r\n\r\n",
		"two hosts":           "GET /healthz HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n",
		"markup in host":      "GET /healthz HTTP/1.1\r\nHost: x:'<a href=\"//e/?\r\n\r\n",
		"control in a header": head + "X: a\x00b\r\n\r\n",
		"no version":          "GET /healthz\r\n\r\n",
	} {
		got, closed := s.raw(t, request+second, 5*time.Second)
		if !closed || strings.Count(got, "HTTP/1.1 ") > 1 || !strings.HasPrefix(got, "HTTP/1.1 4") && !strings.HasPrefix(got, "HTTP/1.1 501") {
			t.Errorf("%s: closed %v: %.300q", name, closed, got)
		}
	}
	// net/http takes these and hides that they are ambiguous: the connection must end.
	for name, request := range map[string]string{
		"length beside chunks":                         head + "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n",
		"chunks before HTTP/1.1":                       "POST /users/logout/ HTTP/1.0\r\nConnection: keep-alive\r\nTransfer-Encoding: chunked\r\n\r\n",
		"length beside chunks before HTTP/1.1":         "POST /users/logout/ HTTP/1.0\r\nConnection: keep-alive\r\nTransfer-Encoding: chunked\r\nContent-Length: 0\r\n\r\n",
		"length beside chunks, where there is nothing": "POST /nothing HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
	} {
		if got, closed := s.raw(t, request+second, 5*time.Second); !closed || strings.Count(got, "HTTP/1.") > 1 {
			t.Errorf("%s: closed %v: %.600q", name, closed, got)
		}
	}
	// A bad chunk ends the connection, whatever was answered; it is no 2xx for a
	// handler that reads its body.
	for name, body := range map[string]string{"bare line feed": "5\n{\"a\":\r\n0\r\n\r\n", "bad size": "zz\r\n\r\n", "no line break": "5\r\n{\"a\":X0\r\n\r\n"} {
		got, closed := s.raw(t, "POST /users/login/ HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"+body+second, 5*time.Second)
		if !closed || strings.Count(got, "HTTP/1.1 ") > 1 || !strings.HasPrefix(got, "HTTP/1.1 4") {
			t.Errorf("%s: closed %v: %.300q", name, closed, got)
		}
	}
}

// TestHeaderLimits: a head too long is refused, and costs nothing that lasts (C90).
func TestHeaderLimits(t *testing.T) {
	t.Parallel()
	s := start(t, settings(t))
	for name, request := range map[string]string{
		"long header":  "GET /healthz HTTP/1.1\r\nHost: x\r\nX: " + strings.Repeat("a", 64<<10) + "\r\n\r\n",
		"many headers": "GET /healthz HTTP/1.1\r\nHost: x\r\n" + strings.Repeat("X: a\r\n", 20_000) + "\r\n",
		"long line":    "GET /" + strings.Repeat("a", 64<<10) + " HTTP/1.1\r\nHost: x\r\n\r\n",
		"many cookies": "GET /users/current-user/ HTTP/1.1\r\nHost: x\r\nCookie: " + strings.Repeat("a=b; ", 20_000) + "\r\n\r\n",
	} {
		if got, closed := s.raw(t, request, 10*time.Second); got != "" && !strings.HasPrefix(got, "HTTP/1.1 431") || !closed {
			t.Errorf("%s: closed %v: %.200q", name, closed, got)
		}
	}
	want(t, s.browser().get("/users/current-user/?"+strings.Repeat("a=b&", 1000)), http.StatusUnauthorized, "", "")
}

// TestSlowHeadIsCut: half a request does not keep its connection (C91, A54).
func TestSlowHeadIsCut(t *testing.T) {
	t.Parallel()
	s := start(t, settings(t))
	began := time.Now()
	if _, closed := s.raw(t, "GET /healthz HTTP/1.1\r\nHost: x\r\nX-Slow: ", 20*time.Second); !closed {
		t.Errorf("still open after %v", time.Since(began))
	}
}

// TestMethods tries every method on every described path: what is not there is
// refused with Allow, TRACE always (C88).
func TestMethods(t *testing.T) {
	t.Parallel()
	s := start(t, settings(t))
	b := s.browser()
	for _, path := range describedPaths(t) {
		path = strings.NewReplacer("{", "", "}", "").Replace(path)
		allowed := b.do(http.MethodOptions, path, nil, "").Header.Get("Allow")
		for _, method := range []string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "TRACE", "CONNECTX", "PROPFIND"} {
			a := b.do(method, path, nil, "")
			listed := strings.Contains(", "+allowed+",", ", "+method+",")
			if !listed && (a.Status != http.StatusMethodNotAllowed || a.Header.Get("Allow") != allowed) || listed && a.Status == http.StatusMethodNotAllowed {
				t.Errorf("%s %s: %d, Allow %q of %q", method, path, a.Status, a.Header.Get("Allow"), allowed)
			}
			if a.Header.Get("Server") != "" || a.Header.Get("X-Powered-By") != "" {
				t.Errorf("%s %s has a banner", method, path)
			}
		}
	}
}

// TestCompressedBodiesAreNotInflated (A55).
func TestCompressedBodiesAreNotInflated(t *testing.T) {
	t.Parallel()
	s := start(t, settings(t))
	b := s.signedIn("gzip@example.com")
	for _, coding := range []string{"gzip", "deflate", "br", "identity, gzip"} {
		a := b.do(http.MethodPost, "/users/login/", strings.NewReader("\x1f\x8b"), "application/json", "Content-Encoding", coding)
		want(t, a, http.StatusUnsupportedMediaType, "", "")
		body, contentType := form(t, map[string]string{"first_name": "Never"}, nil)
		want(t, b.do(http.MethodPatch, "/users/update-user/", body, contentType, "Content-Encoding", coding), http.StatusUnsupportedMediaType, "", "")
	}
}

// TestBodyIsNotWaitedForWithoutASession: a large body without a session is refused
// before it arrives (C75).
func TestBodyIsNotWaitedForWithoutASession(t *testing.T) {
	t.Parallel()
	s := start(t, settings(t))
	conn, err := net.Dial("tcp", s.app.Addr())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	_, _ = fmt.Fprintf(conn, "PATCH /users/update-user/ HTTP/1.1\r\nHost: x\r\nContent-Type: multipart/form-data; boundary=x\r\nContent-Length: %d\r\n\r\n", 100<<20)
	if err := conn.SetReadDeadline(time.Now().Add(5 * time.Second)); err != nil {
		t.Fatal(err)
	}
	response, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatalf("no answer before the body: %v", err)
	}
	_ = response.Body.Close()
	if response.StatusCode != http.StatusUnauthorized || !response.Close {
		t.Errorf("%d, closes %v", response.StatusCode, response.Close)
	}
}
