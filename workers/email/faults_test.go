package email

import (
	"context"
	"errors"
	"net"
	"strings"
	"testing"
	"time"

	"daybook/internal/testkit"
)

// asked returns a world in which one reset mail is to be sent.
func asked(t *testing.T) *world {
	t.Helper()
	w := newWorld(t)
	w.activate(t)
	w.append(t, 0, reset(time.Hour))
	w.react(t)
	return w
}

func TestRelayFaults(t *testing.T) {
	t.Run("4xx is tried again", func(t *testing.T) {
		t.Parallel()
		w := asked(t)
		w.relay.RefuseNext(451, 421)
		jobs, mails := w.send(t, w.config())
		if len(mails) != 1 || jobs[0].Output != "sent" || jobs[0].Tries != 3 {
			t.Errorf("%d mails, jobs %s; want one after three tries", len(mails), describe(jobs))
		}
	})

	t.Run("5xx is recorded as failed", func(t *testing.T) {
		t.Parallel()
		w := asked(t)
		w.relay.RefuseNext(550)
		jobs, mails := w.send(t, w.config())
		want := `[{"State":"cancelled","Mail":"reset","Output":"failed the relay answered 550 5.0.0 while closing SMTP DATA writer","Tries":1,"Snooze":0}]`
		if got := describe(jobs); got != want || len(mails) != 0 {
			t.Errorf("%d mails, jobs %s, want %s", len(mails), got, want)
		}
	})

	t.Run("an answer that was lost leads to the same Message-ID", func(t *testing.T) {
		t.Parallel()
		w := asked(t)
		w.relay.LoseNextAnswer()
		jobs, mails := w.send(t, w.config())
		if len(mails) != 2 || mails[0].MessageID != mails[1].MessageID || mails[0].Text != mails[1].Text || jobs[0].Tries != 2 {
			t.Errorf("mails %s, jobs %s; want the same mail twice", describe(mails), describe(jobs))
		}
	})

	t.Run("a relay that is not there is tried until it is", func(t *testing.T) {
		t.Parallel()
		w := asked(t)
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		address := listener.Addr().String()
		_ = listener.Close()
		config := w.config()
		config.SMTPURL = "smtp://" + address + "?tls=none"
		w.run(t, config, w.repo.Account)
		testkit.Await(t, patience, "a second try", func() bool { return w.jobs(t)[0].Tries >= 2 })
		forward(t, address, w.relay.Addr())
		if jobs := w.finished(t); jobs[0].Output != "sent" {
			t.Errorf("jobs are %s", describe(jobs))
		}
		w.checkNothingLeft(t, w.mails(t))
	})

	t.Run("a relay that quotes the recipient gives nothing away", func(t *testing.T) {
		t.Parallel()
		w := asked(t)
		relay := startScripted(t, func(s *scripted) { s.rcpt = []string{"550 5.1.1 <" + w.address + "> is unknown here"} })
		config := w.config()
		config.SMTPURL = relay.url()
		jobs, _ := w.send(t, config)
		if jobs[0].State != "cancelled" || !strings.Contains(jobs[0].Output, "550") {
			t.Errorf("jobs are %s", describe(jobs))
		}
	})

	t.Run("a relay that stalls is left", func(t *testing.T) {
		t.Parallel()
		w := asked(t)
		relay := startScripted(t, func(s *scripted) { s.stallData = 1 })
		config := w.config()
		config.SMTPURL, config.Timeout = relay.url(), 300*time.Millisecond
		jobs, _ := w.send(t, config)
		if jobs[0].Output != "sent" || jobs[0].Tries != 2 || relay.count() != 1 {
			t.Errorf("%d mails, jobs %s; want one at the second try", relay.count(), describe(jobs))
		}
	})

	t.Run("a demand to sign in is not the mail's fault", func(t *testing.T) {
		t.Parallel()
		w := asked(t)
		relay := startScripted(t, func(s *scripted) { s.mailFrom = []string{"530 5.7.0 Authentication required"} })
		config := w.config()
		config.SMTPURL = relay.url()
		jobs, _ := w.send(t, config)
		if jobs[0].Output != "sent" || jobs[0].Tries != 2 {
			t.Errorf("jobs are %s, want a second try", describe(jobs))
		}
	})
}

func TestMailBecomesUntrueWhileTheRelayIsAway(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.activate(t)
	w.append(t, 0, reset(time.Second))
	w.react(t)
	config := w.config()
	config.SMTPURL = "smtp://127.0.0.1:1?tls=none"
	jobs, mails := w.send(t, config)
	if len(mails) != 0 || jobs[0].Output != "skipped expired" || jobs[0].Tries < 2 {
		t.Errorf("%d mails, jobs %s; want several tries, then expired", len(mails), describe(jobs))
	}
}

func TestTryEndsWithItsContext(t *testing.T) {
	relay := startScripted(t, func(s *scripted) { s.stallData = 1 })
	s := testSender(t, Config{SMTPURL: relay.url(), Timeout: time.Minute})
	ctx, cancel := context.WithCancel(t.Context())
	context.AfterFunc(relay.stalled, cancel)
	err := s.send(ctx, testLetter("a@b.example"))
	if !errors.Is(err, context.Canceled) {
		t.Errorf("send: %v, want it to end with its context", err)
	}
}

// forward lets connections to an address reach another.
func forward(t *testing.T, from, to string) {
	t.Helper()
	listener, err := net.Listen("tcp", from)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	go func() {
		for {
			near, err := listener.Accept()
			if err != nil {
				return
			}
			far, err := net.Dial("tcp", to)
			if err != nil {
				_ = near.Close()
				continue
			}
			go pipe(near, far)
			go pipe(far, near)
		}
	}()
}

func pipe(to, from net.Conn) {
	defer func() { _ = to.Close() }()
	buffer := make([]byte, 4096)
	for {
		n, err := from.Read(buffer)
		if err != nil {
			return
		}
		if _, err := to.Write(buffer[:n]); err != nil {
			return
		}
	}
}
