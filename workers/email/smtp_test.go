package email

import (
	"errors"
	"net/mail"
	"strings"
	"testing"
	"time"
)

func testSender(t *testing.T, config Config) *sender {
	t.Helper()
	config.PublicURL = publicURL
	understood, err := config.understand()
	if err != nil {
		t.Fatal(err)
	}
	s := &sender{settings: understood}
	t.Cleanup(s.close)
	return s
}

func testLetter(to string) letter {
	return letter{id: "1@daybook.example", to: to, subject: "Test", text: "one\n.\nRCPT TO:<b@b.example>\n", html: "<p>one</p>"}
}

func TestSender(t *testing.T) {
	t.Run("one conversation for a burst, a new one when the relay hung up", func(t *testing.T) {
		relay := startScripted(t, func(s *scripted) { s.dropAfter = 3 })
		s := testSender(t, Config{SMTPURL: relay.url(), Timeout: 5 * time.Second})
		for range 5 {
			if err := s.send(t.Context(), testLetter("a@b.example")); err != nil {
				t.Fatal(err)
			}
		}
		if relay.count() != 5 || relay.connections != 2 {
			t.Errorf("%d mails over %d connections, want 5 over 2", relay.count(), relay.connections)
		}
	})

	t.Run("the recipient is the stored spelling", func(t *testing.T) {
		relay := startScripted(t, func(*scripted) {})
		s := testSender(t, Config{SMTPURL: relay.url()})
		for _, to := range []string{"MiXed.Case+tag@ExAmple.org", "o'neil/{x}@b.example", "a@bücher.example"} {
			if err := s.send(t.Context(), testLetter(to)); err != nil {
				t.Fatalf("%s: %v", to, err)
			}
			if got := relay.recipients[len(relay.recipients)-1]; got != to {
				t.Errorf("RCPT was %q, want %q", got, to)
			}
		}
	})

	t.Run("a poisoned recipient reaches no relay", func(t *testing.T) {
		relay := startScripted(t, func(*scripted) {})
		s := testSender(t, Config{SMTPURL: relay.url()})
		for _, to := range []string{
			"", "a@b.example\r\nRCPT TO:<c@d.example>", "a@b.example\nBcc: c@d.example", "a@b.example,c@d.example",
			"A <a@b.example>", "a@b.example>", "a@@b.example", `"a b"@b.example`, "a@b.example\x00", " a@b.example",
		} {
			if err := s.send(t.Context(), testLetter(to)); !errors.Is(err, errRecipient) || outcome(err).Outcome != "failed" {
				t.Errorf("%q: %v, want errRecipient", to, err)
			}
		}
		if relay.connections != 0 {
			t.Errorf("there were %d connections", relay.connections)
		}
	})

	t.Run("what is sent is one message", func(t *testing.T) {
		relay := startScripted(t, func(*scripted) {})
		s := testSender(t, Config{SMTPURL: relay.url(), MailFrom: "Täglich <robot@daybook.example>"})
		if err := s.send(t.Context(), testLetter("a@b.example")); err != nil {
			t.Fatal(err)
		}
		if relay.count() != 1 || len(relay.recipients) != 1 {
			t.Fatalf("%d messages to %q", relay.count(), relay.recipients)
		}
		for line := range strings.SplitSeq(relay.messages[0], "\r\n") {
			if len(line) > 998 || strings.Contains(line, "\n") {
				t.Errorf("bad line %q", line)
			}
		}
		read, err := mail.ReadMessage(strings.NewReader(relay.messages[0]))
		if err != nil {
			t.Fatal(err)
		}
		for name, want := range map[string]string{
			"Auto-Submitted": "auto-generated", "Message-Id": "<1@daybook.example>", "To": "<a@b.example>",
			"From": "=?UTF-8?q?T=C3=A4glich?= <robot@daybook.example>", "Subject": "Test", "User-Agent": "",
		} {
			if got := strings.Join(read.Header[name], "|"); !strings.EqualFold(got, want) {
				t.Errorf("%s is %q, want %q", name, got, want)
			}
		}
		if date, err := read.Header.Date(); err != nil || time.Since(date).Abs() > time.Minute {
			t.Errorf("Date is %v, %v", date, err)
		}
	})
}

func TestSenderTLS(t *testing.T) {
	const user = "user:pass-w0rd@"
	send := func(t *testing.T, relay *scripted, mode, credentials string) error {
		t.Helper()
		s := testSender(t, Config{SMTPURL: "smtp://" + credentials + relay.listener.Addr().String() + "?tls=" + mode, Timeout: 5 * time.Second})
		err := s.send(t.Context(), testLetter("a@b.example"))
		if err != nil && (strings.Contains(err.Error(), "pass-w0rd") || strings.Contains(err.Error(), "b.example")) {
			t.Errorf("the error gives something away: %v", err)
		}
		return err
	}
	signedIn := func(s *scripted) { s.password = "pass-w0rd" }

	t.Run("STARTTLS and signing in", func(t *testing.T) {
		relay := startScriptedTLS(t, certificate(true), nil, signedIn)
		if err := send(t, relay, "starttls", user); err != nil || relay.count() != 1 {
			t.Errorf("%d mails, %v", relay.count(), err)
		}
	})
	t.Run("implicit TLS and signing in", func(t *testing.T) {
		relay := startScriptedTLS(t, nil, certificate(true), signedIn)
		if err := send(t, relay, "implicit", user); err != nil || relay.count() != 1 {
			t.Errorf("%d mails, %v", relay.count(), err)
		}
	})
	t.Run("a wrong password is tried again", func(t *testing.T) {
		relay := startScriptedTLS(t, certificate(true), nil, func(s *scripted) { s.password = "another" })
		err := send(t, relay, "starttls", user)
		if reply, ok := errors.AsType[*replyError](err); !ok || reply.code != 535 || reply.final {
			t.Errorf("send: %v, want 535, not final", err)
		}
	})
	t.Run("without STARTTLS nothing is sent", func(t *testing.T) {
		relay := startScripted(t, func(*scripted) {})
		if err := send(t, relay, "starttls", ""); err == nil || outcome(err) != undecided || relay.count() != 0 {
			t.Errorf("%d mails, %v", relay.count(), err)
		}
	})
	for _, mode := range []string{"starttls", "implicit"} {
		t.Run("a certificate by nobody we trust, "+mode, func(t *testing.T) {
			starttls, implicit := certificate(false), certificate(false)
			if mode == "starttls" {
				implicit = nil
			}
			relay := startScriptedTLS(t, starttls, implicit, func(*scripted) {})
			if err := send(t, relay, mode, ""); err == nil || outcome(err) != undecided || relay.count() != 0 {
				t.Errorf("%d mails, %v", relay.count(), err)
			}
		})
	}
}
