package app_test

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"daybook/internal/testkit"
)

// tab is a real browser's tab on the built-in pages of a whole service.
type tab struct {
	*service
	t   *testing.T
	ctx context.Context
}

func (s *service) tab(t *testing.T) *tab {
	t.Helper()
	path := os.Getenv("DAYBOOK_TEST_BROWSER")
	if path == "" {
		var err error
		if path, err = exec.LookPath("chromium"); err != nil {
			t.Skip("there is no Chromium: nobody has walked through the pages; install it or set DAYBOOK_TEST_BROWSER")
		}
	}
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(path), chromedp.NoSandbox, chromedp.WindowSize(900, 1000),
		chromedp.UserAgent("Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36"))
	ctx, cancel := chromedp.NewExecAllocator(t.Context(), options...)
	t.Cleanup(cancel)
	b := &tab{service: s, t: t}
	b.ctx, _ = chromedp.NewContext(ctx)
	if err := chromedp.Do(b.ctx); err != nil { // opens the browser
		t.Fatal(err)
	}
	return b
}

func (b *tab) do(what string, actions ...chromedp.Action[chromedp.Void]) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, 30*time.Second)
	defer cancel()
	if err := chromedp.Do(ctx, actions...); err != nil {
		page, _ := chromedp.Run(b.ctx, chromedp.Text("main"))
		b.t.Fatalf("%s: %v; page: %s", what, err, page)
	}
}

func (b *tab) open(path string) chromedp.Action[chromedp.Void] {
	return chromedp.Navigate(b.app.URL() + path)
}

// at waits until the tab is at an address that begins with the path.
func (b *tab) at(path string) {
	b.t.Helper()
	testkit.Await(b.t, 20*time.Second, "at "+path, func() bool {
		address, err := chromedp.Run(b.ctx, chromedp.Location())
		return err == nil && strings.HasPrefix(address, b.app.URL()+path)
	})
}

// picture is kept where DAYBOOK_TEST_SCREENSHOTS says; the README shows one.
func (b *tab) picture(name string) {
	b.t.Helper()
	folder := os.Getenv("DAYBOOK_TEST_SCREENSHOTS")
	if folder == "" {
		return
	}
	shot, err := chromedp.Run(b.ctx, chromedp.FullScreenshot(100))
	if err != nil {
		b.t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(folder, name+".png"), shot, 0o600); err != nil {
		b.t.Fatal(err)
	}
}

// TestWholeWayInABrowser walks a person's whole way through the built-in pages,
// with the links of the mails that arrived.
func TestWholeWayInABrowser(t *testing.T) {
	const email, newPassword = "grace@example.com", "SomeOther123456"
	s := start(t, settings(t))
	b := s.tab(t)
	b.do("register", b.open("/auth/register"), chromedp.SendKeys("#first_name", "Grace"), chromedp.SendKeys("#last_name", "Hopper"),
		chromedp.SendKeys("#email", email), chromedp.SendKeys("#password", goodPassword), chromedp.Click("form button"))
	b.at("/auth/confirming")
	b.do("activate", b.open(s.awaitMail(email, subjectActivation, 1).link(t)), chromedp.Click("form button"))
	b.at("/auth/confirmed")
	b.signIn(email, goodPassword)
	b.editProfile(t)
	b.do("sign out", chromedp.Click("[data-logout]"))
	b.at("/auth/login")

	b.do("forgotten", b.open("/auth/password/request-change"), chromedp.SendKeys("#email", email), chromedp.Click("form button"))
	b.do("follow the link", b.open(s.awaitMail(email, subjectReset, 1).link(t)))
	b.at("/auth/password/change-password")
	b.do("new password", chromedp.SendKeys("#password", newPassword), chromedp.Click("form button"), chromedp.WaitVisible("main .notice"))
	b.signIn(email, newPassword)
	b.changeAddress("grace@new.example", newPassword)
	b.erase("grace@new.example", newPassword)
}

// erase leaves: the way back in is gone, too.
func (b *tab) erase(email, password string) {
	b.t.Helper()
	b.picture("account")
	b.do("erase", chromedp.SendKeys("#erase_password", password), chromedp.SendKeys("#erase_confirm", "erase"),
		chromedp.Click("[data-erase] button"), chromedp.WaitNotPresent("[data-about]"), chromedp.WaitVisible("main h1"))
	b.picture("erased")
	b.do("sign in in vain", b.open("/auth/login"), chromedp.SendKeys("#email", email), chromedp.SendKeys("#password", password),
		chromedp.Click("form button"), chromedp.WaitVisible("main .error"))
	b.picture("refused")
}

func (b *tab) changeAddress(email, password string) {
	b.t.Helper()
	b.do("change the address", chromedp.SendKeys("#new_email", email), chromedp.SendKeys("#address_password", password),
		chromedp.Click("section[aria-labelledby=address] button"), chromedp.WaitVisible("section[aria-labelledby=address] .notice"))
	b.do("confirm the address", b.open(b.awaitMail(email, subjectNewAddress, 1).link(b.t)), chromedp.Click("form button"))
	b.at("/users/email-change/confirmed/")
	b.signIn(email, password)
}

func (b *tab) signIn(email, password string) {
	b.t.Helper()
	b.do("sign in", b.open("/auth/login"), chromedp.SendKeys("#email", email), chromedp.SendKeys("#password", password),
		chromedp.Click("form button"), chromedp.WaitVisible("[data-sessions] li"))
	b.at("/auth/about/")
}

func (b *tab) editProfile(t *testing.T) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "me.png")
	if err := os.WriteFile(file, picture(t, 300, 300), 0o600); err != nil {
		t.Fatal(err)
	}
	b.do("edit", chromedp.SendKeys("#phone_number", "+2348145359073"), chromedp.SendKeys("#github_link", "https://github.com/golang"),
		chromedp.Click("[data-profile] button"), chromedp.WaitVisible("section[aria-labelledby=profile] .notice"))
	b.do("picture", chromedp.SetUploadFiles("#thumbnail", []string{file}), chromedp.Click("[data-upload] button[type=submit]"),
		chromedp.WaitVisible("section[aria-labelledby=picture] .notice"), chromedp.WaitVisible("[data-remove-picture]"))
	b.picture("profile")
}
