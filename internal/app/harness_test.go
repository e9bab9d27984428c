package app_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"mime/multipart"
	"net/http"
	"net/url"
	"os"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"daybook/internal/app"
	"daybook/internal/testkit"
)

// serveVariable makes the test binary run the service itself, so that tests can
// kill a whole process.
const serveVariable = "DAYBOOK_TEST_SERVE"

func TestMain(m *testing.M) {
	switch {
	case os.Getenv(standInVariable) != "":
		exitWith(standInMain(os.Args[1], os.Args[2]))
	case os.Getenv(serveVariable) != "":
		exitWith(app.Main(context.Background(), os.Args[1:], os.Stdout, os.Stderr))
	default:
		os.Exit(testkit.Main(m))
	}
}

func exitWith(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
}

// service is a running Daybook, seen from outside.
type service struct {
	tb   testing.TB
	app  *app.App
	URL  string
	logs *logBuffer
}

// settings returns those of a service of the test's own, on a free port.
func settings(tb testing.TB) app.Settings {
	tb.Helper()
	return app.Settings{
		Env: "development", HTTPAddr: "127.0.0.1:0", MetricsAddr: "off", DataDir: tb.TempDir(),
		DatabaseURL: testkit.DatabaseURL(tb), Contract: "hardened", LogLevel: "debug",
		ResetLifetime: 10 * time.Minute, ActivationLifetime: 24 * time.Hour, AddressLifetime: time.Hour, SessionLifetime: 336 * time.Hour,
		PasswordMinLength: 8, MailsPerHour: 6, SignInTries: 10, SignInWindow: 15 * time.Minute,
	}
}

// start runs the service until the test ends.
func start(tb testing.TB, s app.Settings) *service {
	tb.Helper()
	return startRoles(tb, s, app.Everything)
}

func startRoles(tb testing.TB, s app.Settings, roles app.Roles) *service {
	tb.Helper()
	logs := &logBuffer{}
	a, err := app.Open(tb.Context(), s, roles, slog.New(slog.NewJSONHandler(logs, &slog.HandlerOptions{Level: slog.LevelDebug})))
	if err != nil {
		tb.Fatalf("open: %v", err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- a.Run(ctx) }()
	tb.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			tb.Errorf("run: %v", err)
		}
	})
	return &service{tb: tb, app: a, URL: "http://" + a.Addr(), logs: logs}
}

// logBuffer keeps what the service logs, for canary searches.
type logBuffer struct {
	mu      sync.Mutex
	content bytes.Buffer
}

func (b *logBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.content.Write(p)
}

func (b *logBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.content.String()
}

// browser is a client with a session of its own, which follows no redirect.
type browser struct {
	*service
	session string
	http    http.Client
}

func (s *service) browser() *browser {
	return &browser{service: s, http: http.Client{
		Timeout:       30 * time.Second,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

// answer is what came back, its JSON decoded.
type answer struct {
	Status int
	Header http.Header
	Body   []byte
	JSON   map[string]any
}

func (a answer) text(member string) string {
	text, _ := a.JSON[member].(string)
	return text
}

func (b *browser) do(method, path string, body io.Reader, contentType string, header ...string) answer {
	b.tb.Helper()
	a, err := b.try(method, path, body, contentType, header...)
	if err != nil {
		b.tb.Fatalf("%s %s: %v", method, path, err)
	}
	return a
}

func (b *browser) try(method, path string, body io.Reader, contentType string, header ...string) (answer, error) {
	target := path
	if strings.HasPrefix(path, "/") {
		target = b.URL + path
	}
	request, err := http.NewRequest(method, target, body)
	if err != nil {
		return answer{}, err
	}
	if contentType != "" {
		request.Header.Set("Content-Type", contentType)
	}
	for i := 0; i+1 < len(header); i += 2 {
		request.Header.Set(header[i], header[i+1])
	}
	if b.session != "" {
		request.AddCookie(&http.Cookie{Name: "sessionid", Value: b.session})
	}
	response, err := b.http.Do(request)
	if err != nil {
		return answer{}, err
	}
	defer func() { _ = response.Body.Close() }()
	a := answer{Status: response.StatusCode, Header: response.Header}
	if a.Body, err = io.ReadAll(response.Body); err != nil {
		return answer{}, err
	}
	_ = json.Unmarshal(a.Body, &a.JSON) // pages are no JSON
	fits(b.tb, request, a)
	return a, nil
}

func (b *browser) get(path string) answer {
	b.tb.Helper()
	return b.do(http.MethodGet, path, nil, "")
}

func (b *browser) post(path string, members map[string]any, header ...string) answer {
	b.tb.Helper()
	body, err := json.Marshal(members)
	if err != nil {
		b.tb.Fatal(err)
	}
	return b.do(http.MethodPost, path, bytes.NewReader(body), "application/json", header...)
}

// patch sends a profile as the frontend does.
func (b *browser) patch(fields map[string]string, thumbnail []byte, header ...string) answer {
	b.tb.Helper()
	body, contentType := form(b.tb, fields, thumbnail)
	return b.do(http.MethodPatch, "/users/update-user/", body, contentType, header...)
}

func form(tb testing.TB, fields map[string]string, thumbnail []byte) (io.Reader, string) {
	tb.Helper()
	var body bytes.Buffer
	writer := multipart.NewWriter(&body)
	for name, value := range fields {
		if err := writer.WriteField(name, value); err != nil {
			tb.Fatal(err)
		}
	}
	if thumbnail != nil {
		part, err := writer.CreateFormFile("thumbnail", "me.png")
		if err == nil {
			_, err = part.Write(thumbnail)
		}
		if err != nil {
			tb.Fatal(err)
		}
	}
	if err := writer.Close(); err != nil {
		tb.Fatal(err)
	}
	return &body, writer.FormDataContentType()
}

func (b *browser) signIn(email, password string) answer {
	b.tb.Helper()
	a := b.post("/users/login/", map[string]any{"email": email, "password": password})
	b.keepSession(a)
	return a
}

func (b *browser) keepSession(a answer) {
	for _, cookie := range (&http.Response{Header: a.Header}).Cookies() {
		if cookie.Name == "sessionid" {
			b.session = cookie.Value
		}
	}
}

// mail is a caught mail.
type mail struct {
	ID, From, Subject, Text, HTML string
	To                            []string
	MessageID                     string `json:"message_id"`
}

func (s *service) mails(to string) []mail {
	s.tb.Helper()
	a := s.browser().get("/dev/mailbox/messages?to=" + url.QueryEscape(to))
	var mails []mail
	if err := json.Unmarshal(a.Body, &mails); err != nil {
		s.tb.Fatalf("mailbox: %v: %s", err, a.Body)
	}
	return mails
}

// mailed returns the mails with the subject that the address has got, the newest first.
func (s *service) mailed(to, subject string) []mail {
	s.tb.Helper()
	return slices.DeleteFunc(s.mails(to), func(m mail) bool { return m.Subject != subject })
}

// awaitMail waits until the address has got n mails with the subject and returns
// the newest.
func (s *service) awaitMail(to, subject string, n int) mail {
	s.tb.Helper()
	var found []mail
	testkit.Await(s.tb, 20*time.Second, fmt.Sprintf("mail %d %q", n, subject), func() bool {
		found = s.mailed(to, subject)
		return len(found) >= n
	})
	return found[0]
}

const (
	subjectActivation = "Please, verify your account"
	subjectReset      = "Password reset instructions"
	subjectChanged    = "Your password was changed"
)

var linkPattern = regexp.MustCompile(`https?://\S+`)

// link returns the path of the one link of the mail's text.
func (m mail) link(tb testing.TB) string {
	tb.Helper()
	links := linkPattern.FindAllString(m.Text, -1)
	if len(links) != 1 {
		tb.Fatalf("mail has %d links", len(links))
	}
	if !strings.Contains(m.HTML, strings.ReplaceAll(links[0], "&", "&amp;")) {
		tb.Fatalf("the HTML part has another link")
	}
	parsed, err := url.Parse(links[0])
	if err != nil {
		tb.Fatal(err)
	}
	return parsed.Path
}

const goodPassword = "12345SomeData"

// register opens an account and activates it with the mailed link.
func (s *service) register(email string) *browser {
	s.tb.Helper()
	b, before := s.browser(), len(s.mailed(email, subjectActivation)) // to a person who was erased since
	a := b.post("/users/register/", map[string]any{"email": email, "first_name": "Ann", "last_name": "Lee", "password": goodPassword})
	if a.Status != http.StatusCreated {
		s.tb.Fatalf("register: %d %s", a.Status, a.Body)
	}
	b.activate(s.awaitMail(email, subjectActivation, before+1).link(s.tb))
	return b
}

// activate follows the link as the contract of the service wants it.
func (b *browser) activate(path string) answer {
	b.tb.Helper()
	a := b.get(path)
	if a.Status == http.StatusOK { // hardened: a page with a button
		a = b.do(http.MethodPost, path, nil, "")
	}
	return a
}

// signedIn registers, activates and signs in.
func (s *service) signedIn(email string) *browser {
	s.tb.Helper()
	b := s.register(email)
	if a := b.signIn(email, goodPassword); a.Status != http.StatusOK {
		s.tb.Fatalf("sign in: %d %s", a.Status, a.Body)
	}
	return b
}

// requestReset asks for a link and returns the second token, as the redirect
// gives it.
func (b *browser) requestReset(email string, n int) string {
	b.tb.Helper()
	if a := b.post("/users/password-change/request-password-change/", map[string]any{"email": email}); a.Status != http.StatusOK {
		b.tb.Fatalf("request reset: %d %s", a.Status, a.Body)
	}
	return b.openReset(b.awaitMail(email, subjectReset, n).link(b.tb))
}

func (b *browser) openReset(path string) string {
	b.tb.Helper()
	a := b.get(path)
	location, err := url.Parse(a.Header.Get("Location"))
	if err != nil || a.Status != http.StatusFound {
		b.tb.Fatalf("open reset link: %d %s %v", a.Status, a.Header.Get("Location"), err)
	}
	return location.Query().Get("token")
}

func (b *browser) changeByReset(token, password string) answer {
	b.tb.Helper()
	return b.post("/users/password-change/change-user-password/", map[string]any{"token": token, "password": password})
}
