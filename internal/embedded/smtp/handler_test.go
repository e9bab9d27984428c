package smtp_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	catcher "daybook/internal/embedded/smtp"
)

// site serves the mailbox over real HTTP.
func site(t *testing.T, config catcher.Config) (*catcher.Server, *httptest.Server) {
	t.Helper()
	server := start(t, config)
	web := httptest.NewServer(server.Handler())
	t.Cleanup(web.Close)
	return server, web
}

func do(t *testing.T, method, address string, change func(*http.Request)) (*http.Response, string) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), method, address, nil)
	must(t, err)
	if change != nil {
		change(request)
	}
	client := http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	response, err := client.Do(request)
	must(t, err)
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	must(t, err)
	return response, string(body)
}

func TestMailboxJSON(t *testing.T) {
	server, web := site(t, catcher.Config{})
	if _, body := do(t, "GET", web.URL+"/dev/mailbox/messages?to=nobody@example.com", nil); body != "[]" {
		t.Errorf("an empty mailbox is %s", body)
	}
	must(t, sendMail(t, server, activationMail(t, "a+tag@example.com")))
	response, body := do(t, "GET", web.URL+"/dev/mailbox/messages?to=a%2Btag@example.com", nil)
	var found []map[string]any
	must(t, json.Unmarshal([]byte(body), &found))
	if len(found) != 1 || response.Header.Get("Content-Type") != "application/json" || response.Header.Get("Cache-Control") != "no-store" {
		t.Fatalf("%v %s", response.Header, body)
	}
	var members []string
	for name := range found[0] {
		members = append(members, name)
	}
	slices.Sort(members)
	if want := "from html id message_id received_at subject text to"; strings.Join(members, " ") != want {
		t.Errorf("members %v", members)
	}
	if response, _ := do(t, "DELETE", web.URL+"/dev/mailbox/messages", nil); response.StatusCode != 200 {
		t.Errorf("DELETE answered %d", response.StatusCode)
	}
	if len(messages(t, server, "")) != 0 {
		t.Error("DELETE left messages")
	}
}

func TestMailboxAnswersToALoopbackHostOnly(t *testing.T) {
	server, web := site(t, catcher.Config{})
	must(t, send(server, "a@example.com", "Subject: private\n\nbody\n"))
	for host, allowed := range map[string]bool{
		"localhost": true, "LOCALHOST:8080": true, "127.0.0.1:8080": true, "127.1.2.3": true, "[::1]:8080": true, "[::1]": true,
		"evil.example": false, "localhost.evil.example": false, "127.0.0.1.nip.io": false, "192.168.1.2:8080": false,
		"0.0.0.0:8080": false, "localhost.": false,
	} {
		response, body := do(t, "GET", web.URL+"/dev/mailbox/messages", func(r *http.Request) { r.Host = host })
		if (response.StatusCode == 200) != allowed || strings.Contains(body, "private") != allowed {
			t.Errorf("Host %q: %d %s", host, response.StatusCode, body)
		}
		if !allowed {
			requireProblem(t, response, body, 403)
		}
	}
	open := httptest.NewServer(start(t, catcher.Config{AnyHost: true}).Handler())
	defer open.Close()
	if response, _ := do(t, "GET", open.URL+"/dev/mailbox/", func(r *http.Request) { r.Host = "dev.example" }); response.StatusCode != 200 {
		t.Errorf("AnyHost answered %d", response.StatusCode)
	}
}

func requireProblem(t *testing.T, response *http.Response, body string, status int) {
	t.Helper()
	var problem struct {
		Status      int
		Code, Error string
	}
	if err := json.Unmarshal([]byte(body), &problem); err != nil || problem.Status != status || problem.Code == "" || problem.Error == "" ||
		response.StatusCode != status || response.Header.Get("Content-Type") != "application/problem+json" {
		t.Errorf("not a problem of status %d: %d %v %s", status, response.StatusCode, response.Header, body)
	}
}

func TestMailboxProblems(t *testing.T) {
	_, web := site(t, catcher.Config{})
	crossSite := func(r *http.Request) { r.Header.Set("Sec-Fetch-Site", "cross-site") }
	for _, c := range []struct {
		method, path string
		change       func(*http.Request)
		status       int
	}{
		{"GET", "/dev/mailbox/nothing", nil, 404},
		{"GET", "/dev/mailbox/messages/..%2F..%2Fetc%2Fpasswd", nil, 404},
		{"GET", "/dev/mailbox/messages/0000000000000000.00.localhost/html", nil, 404},
		{"PUT", "/dev/mailbox/messages", nil, 405},
		{"POST", "/dev/mailbox/", nil, 405},
		{"DELETE", "/dev/mailbox/messages", crossSite, 403},
		{"POST", "/dev/mailbox/empty", crossSite, 403},
	} {
		response, body := do(t, c.method, web.URL+c.path, c.change)
		requireProblem(t, response, body, c.status)
	}
}

func TestMailboxPages(t *testing.T) {
	server, web := site(t, catcher.Config{})
	hostile := "Subject: <script>alert(1)</script>\nContent-Type: text/html\n\n<script>alert(2)</script><img src=https://tracker.example/>\n"
	must(t, send(server, "a@example.com", hostile))
	id := messages(t, server, "")[0].ID

	response, list := do(t, "GET", web.URL+"/dev/mailbox/?to=a@example.com", nil)
	if strings.Contains(list, "<script>") || !strings.Contains(list, "&lt;script&gt;") || !strings.Contains(list, id) {
		t.Errorf("the list is %s", list)
	}
	if policy := response.Header.Get("Content-Security-Policy"); !strings.HasPrefix(policy, "default-src 'none'") {
		t.Errorf("the list's policy is %q", policy)
	}
	_, page := do(t, "GET", web.URL+"/dev/mailbox/messages/"+id, nil)
	if strings.Contains(page, "<script>") || !strings.Contains(page, `src="/dev/mailbox/messages/`+id+`/html" sandbox="allow-popups`) {
		t.Errorf("the page is %s", page)
	}
	response, frame := do(t, "GET", web.URL+"/dev/mailbox/messages/"+id+"/html", nil)
	policy := response.Header.Get("Content-Security-Policy")
	if !strings.Contains(frame, "alert(2)") || !strings.HasPrefix(policy, "sandbox ") ||
		strings.Contains(policy, "allow-scripts") || strings.Contains(policy, "allow-same-origin") || !strings.Contains(policy, "default-src 'none'") {
		t.Errorf("the frame is %s under %q", frame, policy)
	}
	for _, text := range []string{list, page} {
		if strings.Contains(text, "http://") || strings.Contains(text, "https://") {
			t.Errorf("a page names another site: %s", text)
		}
	}
	if response, _ := do(t, "GET", web.URL+"/dev/mailbox/style.css", nil); !strings.HasPrefix(response.Header.Get("Content-Type"), "text/css") {
		t.Errorf("the style sheet is %v", response.Header)
	}
	if response, _ := do(t, "POST", web.URL+"/dev/mailbox/empty", nil); response.StatusCode != 303 || len(messages(t, server, "")) != 0 {
		t.Errorf("the button answered %d", response.StatusCode)
	}
}
