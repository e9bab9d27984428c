package app_test

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"testing"

	"daybook/api"
	"daybook/domain"
)

// requests is how many hostile requests are sent, senders how many at a time: most
// answers are held back to their floor.
const (
	requests = 20_000
	senders  = 8
)

// poison are values that some layer, somewhere, has once fallen over.
var poison = []string{
	`null`, `true`, `0`, `-1`, `1e400`, `""`, `" "`, `[]`, `[""]`, `{}`, `{"$ne":null}`, `"\u0000"`, `"\ud800"`, `"\ufffe"`, `"\u202e"`,
	`"a@b"`, `"a@b.example, c@d.example"`, `"a b@c.example"`, `"\"a\"@c.example"`, `"x@example.com\r\nBcc: y@example.com"`,
	`"$deleted"`, `"account-x"`, `"' OR 1=1 --"`, `"{{7*7}}"`, `"<script>alert(1)</script>"`, `"../../etc/passwd"`, `"0000-00-00"`,
	`"10000-01-01"`, `"infinity"`, `"` + strings.Repeat("é", 5000) + `"`, strings.Repeat("[", 200) + strings.Repeat("]", 200), `"+00000000000"`,
	"\xff\xfe", `"` + "\xc3\x28" + `"`,
}

var hostileNames = []string{
	"email", "password", "first_name", "last_name", "token", "paſſword", "iſ_ſtaff", "Email", "is_staff", "id", "__proto__",
	"phone_number", "birth_date", "github_link", "thumbnail", "version", "current_password", "", "email\u0000",
}

// hostile makes one request that nobody should be able to do harm with.
func hostile(r *rand.Rand, paths []string) (method, path, body, contentType string) {
	pick := func(from []string) string { return from[r.IntN(len(from))] }
	path = pick(paths)
	for strings.Contains(path, "{") {
		before, rest, _ := strings.Cut(path, "{")
		_, after, _ := strings.Cut(rest, "}")
		path = before + pick([]string{"x", "%00", "%ff", "..%2f..", "a.b", strings.Repeat("A", 300), "MzNkOWViYTI", "%F0%9F%92%A9", "-1", "null"}) + after
	}
	method = pick([]string{"POST", "POST", "POST", "PATCH", "PATCH", "GET", "DELETE", "PUT", "HEAD", "OPTIONS", "PROPFIND"})
	contentType = pick([]string{"application/json", "application/json", "application/json; charset=utf-16", "text/plain", "", "multipart/form-data", "multipart/form-data; boundary=x", "application/merge-patch+json"})
	switch r.IntN(4) {
	case 0:
		body = pick(poison)
	case 1:
		name, value := hostileMember(r, func(value string) string { return value })
		body = fmt.Sprintf("--x\r\nContent-Disposition: form-data; name=%q\r\n\r\n%s\r\n--x--\r\n", name, value)
	default:
		var members []string
		for range 1 + r.IntN(4) {
			name, value := hostileMember(r, textOfJSON)
			members = append(members, fmt.Sprintf(`%q:%s`, name, value))
		}
		body = "{" + strings.Join(members, ",") + "}" + pick([]string{"", "", "", "x", "{}"})
	}
	return method, path, body, contentType
}

// hostileMember picks a member. What a form or a document says literally may well
// be somebody's name; read as such, it is left out here: nothing is to change.
func hostileMember(r *rand.Rand, read func(value string) string) (name, value string) {
	for {
		name, value = hostileNames[r.IntN(len(hostileNames))], poison[r.IntN(len(poison))]
		if _, err := domain.ParseName(name, read(value)); err != nil || name != "first_name" && name != "last_name" {
			return name, value
		}
	}
}

// textOfJSON is the text of a JSON string, or nothing.
func textOfJSON(value string) (text string) {
	if json.Unmarshal([]byte(value), &text) != nil {
		return ""
	}
	return text
}

// TestHostileInput sends generated bad requests to every route, with and without
// a session: no 5xx, a problem document for each refusal, nothing changed, and
// everything still works afterwards.
func TestHostileInput(t *testing.T) {
	s := start(t, settings(t))
	b := s.signedIn("target@example.com")
	before := b.get("/users/current-user/").Body
	events := countEvents(t, s)
	paths := describedPaths(t)
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 0))
	anonymous := s.browser()
	todo := make(chan func() error)
	var sent sync.WaitGroup
	for range senders {
		sent.Go(func() {
			for send := range todo {
				if err := send(); err != nil {
					t.Error(err)
				}
			}
		})
	}
	for range requests {
		method, path, body, contentType := hostile(r, paths)
		client := anonymous
		if r.IntN(2) == 0 && !strings.Contains(path, "logout") && method != http.MethodDelete {
			client = b
		}
		todo <- func() error { return client.hostile(method, path, body, contentType) }
	}
	close(todo)
	sent.Wait()
	if after := b.get("/users/current-user/").Body; string(after) != string(before) {
		t.Errorf("the profile changed from %s to %s", before, after)
	}
	if after := countEvents(t, s); after != events {
		t.Errorf("%d events became %d", events, after)
	}
	want(t, b.patch(map[string]string{"first_name": "Still"}, nil), http.StatusOK, "first_name", "Still")
	b.awaitHistory("the edit: the projectors go on", func(e entry) bool { return e.What == "ProfileUpdated" })
}

// hostile sends one and says what is wrong with the answer.
func (b *browser) hostile(method, path, body, contentType string) error {
	a, err := b.try(method, path, strings.NewReader(body), contentType, "X-HTTP-Method-Override", "PATCH", "X-Forwarded-For", "1.2.3.4")
	switch {
	case err != nil:
		return fmt.Errorf("%s %s: %w", method, path, err)
	case a.Status >= 500:
		return fmt.Errorf("%s %s %q %.200q: %d %s", method, path, contentType, body, a.Status, a.Body)
	case a.Status >= 400 && method != http.MethodHead && !isProblem(a):
		return fmt.Errorf("%s %s: %d is no problem document: %s", method, path, a.Status, a.Body)
	}
	return nil
}

func isProblem(a answer) bool {
	status, _ := a.JSON["status"].(float64)
	return a.Header.Get("Content-Type") == "application/problem+json" && int(status) == a.Status && a.text("error") != "" && a.text("code") != ""
}

// countEvents counts those of accounts and addresses.
func countEvents(t *testing.T, s *service) (n int) {
	t.Helper()
	for stored, err := range s.app.Repository().Client.ReadAll(context.Background(), 0) {
		if err != nil {
			t.Fatal(err)
		}
		if domain.IsAccountStream(stored.Stream) || domain.IsAddressStream(stored.Stream) {
			n++
		}
	}
	return n
}

func describedPaths(t *testing.T) []string {
	t.Helper()
	var document struct {
		Paths map[string]any `json:"paths"`
	}
	if err := json.Unmarshal(api.Description(), &document); err != nil {
		t.Fatal(err)
	}
	var paths []string
	for path := range document.Paths {
		if !strings.HasPrefix(path, "/audit/") {
			paths = append(paths, path)
		}
	}
	if len(paths) < 15 {
		t.Fatalf("only %d paths", len(paths))
	}
	return paths
}
