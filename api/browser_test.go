package api

import (
	"context"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"daybook/internal/testkit"
)

// TestPagesInABrowser walks the built-in pages with a real browser, and wants
// its console empty: no error, and nothing that the content policy has blocked.
// DAYBOOK_TEST_BROWSER names the browser, else a Chromium on the PATH is used;
// where there is none the test is left out.
func TestPagesInABrowser(t *testing.T) {
	b := openBrowser(t)
	b.do("register", chromedp.Navigate(b.base+"/auth/register"), b.shot("register"),
		chromedp.SendKeys("#first_name", "Ada"), chromedp.SendKeys("#last_name", "<i>King"), chromedp.SendKeys("#email", "ada@example.org"),
		chromedp.SendKeys("#password", "password"), chromedp.Click("form button"), chromedp.WaitVisible("#password-error"), b.shot("refused"),
		chromedp.SetValue("#password", "12345SomeData"), chromedp.Click("form button"))
	b.at("/auth/confirming")
	b.do("activate", b.shot("confirming"), chromedp.Navigate(b.base+b.activationLink(b.accountOf("ada@example.org"))), b.shot("activate"), chromedp.Click("form button"))
	b.at("/auth/confirmed")
	b.do("sign in", chromedp.Navigate(b.base+"/auth/login"), b.shot("login"), chromedp.SendKeys("#email", "ada@example.org"),
		chromedp.SendKeys("#password", "12345SomeData"), chromedp.Click("form button"), chromedp.WaitVisible("[data-sessions] li"))
	b.at("/auth/about/" + b.accountOf("ada@example.org").ID.String())
	b.editProfile()
	b.do("sign out", chromedp.Click("[data-logout]"))
	b.at("/auth/login")
	if p := b.accountOf("ada@example.org").Profile; p.FirstName != "Augusta" || p.PhoneNumber != "+2348145359073" || p.LastName != "<i>King" || p.Thumbnail == "" {
		t.Errorf("profile: %+v", p)
	}
	b.do("docs", chromedp.Navigate(b.base+"/docs/"), chromedp.WaitVisible(".docs details"), chromedp.Click(".docs details summary"), b.shot("docs"))
	b.do("reset", chromedp.Navigate(b.base+"/auth/password/change-password?token=a:b"))
	b.at("/auth/password/change-password")
	b.do("reset", chromedp.SendKeys("#password", "SomeOther123456"), chromedp.Click("form button"), chromedp.WaitVisible("[data-error]"), b.shot("reset"))
	if got := b.console(); len(got) > 0 {
		t.Errorf("console: %q", got)
	}
}

func (b *browser) editProfile() {
	b.t.Helper()
	picture := filepath.Join(b.t.TempDir(), "a.png")
	if err := os.WriteFile(picture, somePNG(b.t), 0o600); err != nil {
		b.t.Fatal(err)
	}
	b.do("edit", b.shot("about"), chromedp.SetValue("#first_name", "Augusta"), chromedp.SetValue("#phone_number", "+2348145359073"),
		chromedp.Click("[data-profile] button"), chromedp.WaitVisible("section[aria-labelledby=profile] .notice"))
	b.do("choose", chromedp.SetUploadFiles("#thumbnail", []string{picture}))
	b.do("picture", chromedp.Click("[data-upload] button[type=submit]"),
		chromedp.WaitVisible("section[aria-labelledby=picture] .notice"), chromedp.WaitVisible("[data-remove-picture]"), b.shot("about-changed"))
}

// browser is a tab, and the service that it looks at.
type browser struct {
	service
	t    *testing.T
	base string
	ctx  context.Context

	mu    sync.Mutex
	shown []string
}

func openBrowser(t *testing.T) *browser {
	t.Helper()
	path := os.Getenv("DAYBOOK_TEST_BROWSER")
	if path == "" {
		var err error
		if path, err = exec.LookPath("chromium"); err != nil {
			t.Skip("there is no Chromium: the pages were not looked at; install it or set DAYBOOK_TEST_BROWSER")
		}
	}
	server := httptest.NewUnstartedServer(nil)
	b := &browser{t: t, base: "http://" + server.Listener.Addr().String()}
	pool := testkit.Database(t)
	b.service = newService(t, builtIn, func(s *Server) {
		connect(s, pool)
		s.Config.PublicURL = b.base
		s.Media = func(context.Context, string) ([]byte, string, error) { return somePNG(t), "image/png", nil }
	})
	server.Config.Handler = b.handler
	server.Start()
	t.Cleanup(server.Close)
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(path), chromedp.NoSandbox, chromedp.WindowSize(900, 1100))
	ctx, cancelAll := chromedp.NewExecAllocator(t.Context(), options...)
	b.ctx, _ = chromedp.NewContext(ctx)
	t.Cleanup(cancelAll)
	b.listen()
	return b
}

// listen notes warnings and errors of the console, but for answers of status 4xx, which
// are meant.
func (b *browser) listen() {
	messages := chromedp.Console(b.ctx)
	go func() {
		for m, err := range messages {
			if err != nil {
				return
			}
			b.mu.Lock()
			if m.Type != "debug" && m.Type != "info" && !strings.Contains(m.Text, "responded with a status of 4") {
				b.shown = append(b.shown, m.String())
			}
			b.mu.Unlock()
		}
	}()
}

func (b *browser) console() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.shown
}

func (b *browser) do(what string, actions ...chromedp.Action[chromedp.Void]) {
	b.t.Helper()
	if err := chromedp.Do(b.ctx); err != nil { // the first use opens the browser
		b.t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(b.ctx, 20*time.Second)
	defer cancel()
	if err := chromedp.Do(ctx, actions...); err != nil {
		body, _ := chromedp.Run(b.ctx, chromedp.Text("main"))
		_, _ = chromedp.Run(b.ctx, b.shot("failure"))
		b.t.Fatalf("%s: %v; console: %q; page: %s", what, err, b.console(), body)
	}
}

// at waits until the tab is at the address.
func (b *browser) at(path string) {
	b.t.Helper()
	testkit.Await(b.t, 10*time.Second, "at "+path, func() bool {
		got, err := chromedp.Run(b.ctx, chromedp.Location())
		return err == nil && got == b.base+path
	})
}

// shot writes a picture of the page where DAYBOOK_TEST_SCREENSHOTS says.
func (b *browser) shot(name string) chromedp.Action[chromedp.Void] {
	return chromedp.Steps(chromedp.WaitVisible("main h1"), chromedp.Func(func(ctx context.Context, target *chromedp.Target) error {
		folder := os.Getenv("DAYBOOK_TEST_SCREENSHOTS")
		if folder == "" {
			return nil
		}
		picture, err := chromedp.FullScreenshot(100)(ctx, target)
		if err != nil {
			return err
		}
		return os.WriteFile(filepath.Join(folder, name+".png"), picture, 0o600)
	}))
}
