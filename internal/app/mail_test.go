package app_test

import (
	"bufio"
	"bytes"
	"mime"
	"net/http"
	netmail "net/mail"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

var keyPattern = regexp.MustCompile(`/media/thumbnails/[A-Za-z0-9_-]{22}$`)

// TestMailOnTheWire looks at every kind of mail as the relay got it (C101 to C106):
// one sender, one recipient, headers that mark it as a machine's, no header of a
// stranger's making, no link that leads elsewhere.
func TestMailOnTheWire(t *testing.T) {
	t.Parallel()
	set := production(t)
	set.NewDeviceMail = true
	s := start(t, set)
	const email = "wire@example.com"
	b := s.browser()
	name := `<img src=x> Bcc: a@evil.example =?utf-8?q?x?=`
	b.post("/users/register/", map[string]any{"email": email, "first_name": name, "last_name": "Zoë.\r\n.", "password": goodPassword})
	b.post("/users/register/", map[string]any{"email": email, "first_name": name, "last_name": "Zoë", "password": goodPassword})
	b.activate(s.awaitMail(email, subjectActivation, 1).link(t))
	b.post("/users/register/", map[string]any{"email": email, "first_name": name, "last_name": "Zoë", "password": goodPassword})
	s.awaitMail(email, "You already have an account", 1)
	want(t, b.signIn(email, goodPassword), http.StatusOK, "", "")
	s.signInWithAgent(email, edgeAgent)
	s.awaitMail(email, subjectDevice, 1)
	want(t, b.changeByReset(b.requestReset(email, 1), "SomeOther123456"), http.StatusOK, "", "")
	s.awaitMail(email, subjectChanged, 1)
	const moved = "moved@example.com"
	want(t, b.signIn(email, "SomeOther123456"), http.StatusOK, "", "")
	want(t, b.askAddress(moved, "SomeOther123456"), http.StatusOK, "", "")
	s.awaitMail(email, subjectAddressAsked, 1)
	wantRedirect(t, b.do(http.MethodPost, s.awaitMail(moved, subjectNewAddress, 1).link(t), nil, ""), "https://accounts.example.com/users/email-change/confirmed/")
	s.awaitMail(email, subjectAddressChanged, 1)
	files, err := filepath.Glob(filepath.Join(set.DataDir, "mail", "new", "*"))
	if err != nil || len(files) != 8 {
		t.Fatalf("%d mails, %v", len(files), err)
	}
	ids := map[string]bool{}
	for _, file := range files {
		content, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		_, raw, _ := bytes.Cut(content, []byte("\n")) // the catcher's envelope
		ids[wellFormed(t, raw, email, moved)] = true
	}
	if len(ids) != len(files) {
		t.Errorf("%d message ids for %d mails", len(ids), len(files))
	}
	for _, m := range append(s.mails(email), s.mails(moved)...) {
		for _, link := range linkPattern.FindAllString(m.Text+"\n"+m.HTML, -1) {
			if !strings.HasPrefix(link, "https://accounts.example.com/") && !strings.HasPrefix(link, trustedFrontend+"/") {
				t.Errorf("%s has a link to %s", m.Subject, link)
			}
		}
		if strings.Contains(m.HTML, "<img") || strings.Contains(m.Subject, "Zo") {
			t.Errorf("%s: the name is markup or in the subject", m.Subject)
		}
	}
}

// wellFormed checks one mail and returns its Message-ID.
func wellFormed(t *testing.T, raw []byte, to ...string) string {
	t.Helper()
	message, err := netmail.ReadMessage(bytes.NewReader(raw))
	if err != nil {
		t.Fatal(err)
	}
	header := message.Header
	for _, once := range []string{"From", "To", "Date", "Message-Id", "Subject", "Auto-Submitted", "Mime-Version", "Content-Type"} {
		if len(header[once]) != 1 {
			t.Errorf("%d times %s", len(header[once]), once)
		}
	}
	for _, never := range []string{"Bcc", "Cc", "List-Unsubscribe", "Reply-To"} {
		if len(header[never]) != 0 {
			t.Errorf("%s: %v", never, header[never])
		}
	}
	recipients, err := header.AddressList("To")
	if err != nil || len(recipients) != 1 || !slices.Contains(to, recipients[0].Address) {
		t.Errorf("to %v, %v", recipients, err)
	}
	if header.Get("Auto-Submitted") != "auto-generated" || !strings.HasSuffix(header.Get("Message-Id"), "@accounts.example.com>") {
		t.Errorf("Auto-Submitted %q, Message-ID %q", header.Get("Auto-Submitted"), header.Get("Message-Id"))
	}
	if media, _, err := mime.ParseMediaType(header.Get("Content-Type")); err != nil || media != "multipart/alternative" {
		t.Errorf("%s, %v", media, err)
	}
	for lines := bufio.NewScanner(bytes.NewReader(raw)); lines.Scan(); {
		if len(lines.Bytes()) > 998 || bytes.ContainsFunc(lines.Bytes(), func(r rune) bool { return r > 126 }) {
			t.Errorf("line of %d bytes, or not ASCII", len(lines.Bytes()))
		}
	}
	return header.Get("Message-Id")
}
