package smtp_test

import (
	"context"
	"errors"
	"fmt"
	"net/textproto"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/wneessen/go-mail"

	catcher "daybook/internal/embedded/smtp"
)

func TestMessageIsReadAsItWasMeant(t *testing.T) {
	server := start(t, catcher.Config{})
	must(t, sendMail(t, server, activationMail(t, "Ada@example.com")))
	found := messages(t, server, "ada@example.com")
	if len(found) != 1 {
		t.Fatalf("%d messages", len(found))
	}
	got := found[0]
	if age := time.Since(got.ReceivedAt); age < -time.Second || age > time.Minute {
		t.Errorf("received %v ago", age)
	}
	got.ReceivedAt, got.ID = time.Time{}, ""
	want := catcher.Message{
		From: "noreply@daybook.example", To: []string{"Ada@example.com"}, Subject: "Bitte bestätigen — ✓",
		Text: "Grüße\n.dot\nhttp://localhost/a", HTML: "<p>Grüße <a href=\"http://localhost/a\">link</a></p>",
		MessageID: "<event-1@daybook.example>",
	}
	got.Text, got.HTML = strings.TrimSpace(got.Text), strings.TrimSpace(got.HTML)
	if fmt.Sprintf("%+v", got) != fmt.Sprintf("%+v", want) {
		t.Errorf("read %+v\nnot  %+v", got, want)
	}
}

func TestMessagesByRecipientNewestFirst(t *testing.T) {
	server := start(t, catcher.Config{})
	for i, to := range []string{"a@example.com", "b@example.com,a@example.com", "b@example.com", "a@example.com"} {
		must(t, send(server, to, fmt.Sprintf("Subject: %d\n\nbody\n", i)))
	}
	for to, want := range map[string]string{"a@example.com": "310", "B@EXAMPLE.COM": "21", "": "3210", "c@example.com": ""} {
		var got string
		for _, message := range messages(t, server, to) {
			got += message.Subject
		}
		if got != want {
			t.Errorf("to %q: %q, not %q", to, got, want)
		}
	}
}

// All of these are real mail, some of it broken: it is shown, never refused.
func TestOddMail(t *testing.T) {
	server := start(t, catcher.Config{})
	for name, c := range map[string]struct{ raw, subject, text string }{
		"no header":           {"just text\n", "", ""},
		"no content type":     {"Subject: s\n\nplain\n", "s", "plain"},
		"latin-1":             {"Subject: s\nContent-Type: text/plain; charset=ISO-8859-1\n\nGr\xfc\xdfe\n", "s", "Grüße"},
		"invalid UTF-8":       {"Subject: s\n\n\xff!\n", "s", "\uFFFD!"},
		"damaged base64":      {"Subject: s\nContent-Transfer-Encoding: base64\n\nZ29vZA==!!!!\n", "s", "good"},
		"unknown charset":     {"Subject: =?x?q?s?=\n\nt\n", "=?x?q?s?=", "t"},
		"forged envelope":     {"Daybook-Envelope: {\"to\":[\"victim@example.com\"]}\nSubject: s\n\nt\n", "s", "t"},
		"part without an end": {"Subject: s\nContent-Type: multipart/mixed; boundary=b\n\n--b\n\nopen\n", "s", "open"},
	} {
		to := strings.ReplaceAll(name, " ", "-") + "@example.com"
		must(t, send(server, to, c.raw))
		found := messages(t, server, to)
		if len(found) != 1 || found[0].Subject != c.subject || !strings.HasPrefix(found[0].Text, c.text) {
			t.Errorf("%s: read %+v", name, found)
		}
	}
	if len(messages(t, server, "victim@example.com")) != 0 {
		t.Error("a sender could choose another recipient than the envelope's")
	}
}

func TestMailSurvivesARestart(t *testing.T) {
	directory := t.TempDir()
	first, err := catcher.Start(t.Context(), catcher.Config{Dir: directory})
	must(t, err)
	must(t, send(first, "a@example.com", "Subject: kept\n\nbody\n"))
	must(t, os.WriteFile(filepath.Join(directory, "tmp", "unfinished"), []byte("half"), 0o600))
	must(t, first.Stop(t.Context()))
	must(t, first.Stop(t.Context()))
	if err := send(first, "a@example.com", "Subject: late\n\nbody\n"); err == nil {
		t.Error("a stopped catcher took mail")
	}

	second := start(t, catcher.Config{Dir: directory})
	must(t, send(second, "a@example.com", "Subject: new\n\nbody\n"))
	found := messages(t, second, "a@example.com")
	if len(found) != 2 || found[0].Subject != "new" || found[1].Subject != "kept" {
		t.Errorf("found %+v", found)
	}
	if left, err := os.ReadDir(filepath.Join(directory, "tmp")); err != nil || len(left) != 0 {
		t.Errorf("left in tmp: %v, %v", left, err)
	}
}

func TestClear(t *testing.T) {
	directory := t.TempDir()
	server := start(t, catcher.Config{Dir: directory})
	must(t, send(server, "a@example.com", "Subject: s\n\nbody\n"))
	must(t, server.Clear())
	files, err := os.ReadDir(filepath.Join(directory, "new"))
	must(t, err)
	if len(messages(t, server, "")) != 0 || len(files) != 0 {
		t.Errorf("still there: %v", files)
	}
}

func TestOldestGoFirst(t *testing.T) {
	server := start(t, catcher.Config{Capacity: 2})
	for i := range 4 {
		must(t, send(server, "a@example.com", fmt.Sprintf("Subject: %d\n\nbody\n", i)))
	}
	found := messages(t, server, "")
	if len(found) != 2 || found[0].Subject != "3" || found[1].Subject != "2" {
		t.Errorf("kept %+v", found)
	}
}

func TestChangedWakesEveryWaiter(t *testing.T) {
	server := start(t, catcher.Config{})
	first, second := server.Changed(), server.Changed()
	must(t, send(server, "a@example.com", "Subject: s\n\nbody\n"))
	<-first
	<-second
	third := server.Changed()
	select {
	case <-third:
		t.Error("a new waiter was woken by an old change")
	default:
	}
	must(t, server.Clear())
	<-third
}

func TestRefusals(t *testing.T) {
	server := start(t, catcher.Config{})
	server.RefuseNext(451, 550)
	for _, want := range []struct {
		code      int
		temporary bool
	}{{451, true}, {550, false}} {
		err := sendMail(t, server, activationMail(t, "a@example.com"))
		var refused *mail.SendError
		if !errors.As(err, &refused) || refused.ErrorCode() != want.code || refused.IsTemp() != want.temporary {
			t.Errorf("the sender saw %v, not %d", err, want.code)
		}
	}
	must(t, sendMail(t, server, activationMail(t, "a@example.com")))
	if got := len(messages(t, server, "")); got != 1 {
		t.Errorf("%d messages were stored", got)
	}
}

func TestLostAnswer(t *testing.T) {
	server := start(t, catcher.Config{})
	server.LoseNextAnswer()
	err := send(server, "a@example.com", "Subject: s\n\nbody\n")
	var answer *textproto.Error
	if err == nil || errors.As(err, &answer) {
		t.Errorf("the sender got an answer: %v", err)
	}
	if got := len(messages(t, server, "")); got != 1 {
		t.Errorf("%d messages were stored", got)
	}
}

func TestTooLongAMessageIsRefused(t *testing.T) {
	server := start(t, catcher.Config{})
	err := send(server, "a@example.com", "Subject: s\n\n"+strings.Repeat("a line of mail\n", 1<<20))
	var answer *textproto.Error
	if !errors.As(err, &answer) || answer.Code != 552 {
		t.Errorf("the sender got %v", err)
	}
}

func TestManySendersAtOnce(t *testing.T) {
	server := start(t, catcher.Config{})
	const senders, each = 8, 10
	var wait sync.WaitGroup
	for sender := range senders {
		wait.Go(func() {
			for i := range each {
				if err := send(server, "a@example.com", fmt.Sprintf("Subject: %d-%d\n\nbody\n", sender, i)); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wait.Wait()
	seen := map[string]bool{}
	for _, message := range messages(t, server, "a@example.com") {
		seen[message.Subject] = true
	}
	if len(seen) != senders*each {
		t.Errorf("%d of %d messages", len(seen), senders*each)
	}
}

func TestNoDirectoryIsRefused(t *testing.T) {
	if _, err := catcher.Start(context.Background(), catcher.Config{}); err == nil {
		t.Error("a catcher started without a directory")
	}
}
