package app_test

import (
	"bytes"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"daybook/internal/app"
)

const (
	subjectDevice = "New sign-in to your account"
	firefoxAgent  = "Mozilla/5.0 (X11; Linux x86_64; rv:143.0) Gecko/20100101 Firefox/143.0"
	edgeAgent     = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36 Edg/140.0.0.0"
)

// signInWithAgent signs in with a user agent, and further headers.
func (s *service) signInWithAgent(email, agent string, header ...string) {
	s.tb.Helper()
	a := s.browser().post("/users/login/", map[string]any{"email": email, "password": goodPassword}, append(header, "User-Agent", agent)...)
	if a.Status != http.StatusOK {
		s.tb.Fatalf("sign in: %d %s", a.Status, a.Body)
	}
}

// signInFrom does so behind a trusted proxy that names the client's address.
func (s *service) signInFrom(email, agent, address string) {
	s.tb.Helper()
	s.signInWithAgent(email, agent, "X-Forwarded-For", address)
}

// TestSignInFromANewDevice is told by one mail, with and without projectors: not the
// first sign-in, not a known device, not a wrong password; and what came from where
// is in no table and no log line.
func TestSignInFromANewDevice(t *testing.T) {
	frozen(t, func(t *testing.T, roles app.Roles) {
		set := settings(t)
		set.NewDeviceMail, set.TrustedProxies = true, []string{"127.0.0.1/32"}
		s := startRoles(t, set, roles)
		const email = "device@example.com"
		s.register(email)
		s.signInFrom(email, firefoxAgent, "203.0.113.7")
		s.signInFrom(email, firefoxAgent, "203.0.113.8")
		want(t, s.browser().post("/users/login/", map[string]any{"email": email, "password": "wrong-wrong"}, "User-Agent", edgeAgent, "X-Forwarded-For", "198.51.100.4"),
			http.StatusBadRequest, "", "")
		s.signInFrom(email, edgeAgent, "192.0.2.4")
		sent := s.awaitMail(email, subjectDevice, 1)
		for _, fact := range []string{"Edge on Windows, network address 192.0.2.4", "password reset"} {
			if !strings.Contains(sent.Text, fact) || !strings.Contains(sent.HTML, fact) {
				t.Errorf("the mail does not say %q:\n%s", fact, sent.Text)
			}
		}
		s.signInFrom(email, edgeAgent, "192.0.2.5")
		// A reset comes behind all sign-ins in the log, so what they ask for is asked for.
		s.browser().requestReset(email, 1)
		for _, m := range s.mails(email) {
			if m.Subject == subjectDevice && m.ID != sent.ID {
				t.Errorf("told again:\n%s", m.Text)
			}
		}
		if logs := s.logs.String(); strings.Contains(logs, "192.0.2") || strings.Contains(logs, "Edge") {
			t.Error("the log has what a sign-in came from")
		}
	})
}

// TestNoDeviceMailWhereItIsOff: then nothing of devices is kept either.
func TestNoDeviceMailWhereItIsOff(t *testing.T) {
	t.Parallel()
	set := settings(t)
	set.TrustedProxies = []string{"127.0.0.1/32"}
	s := start(t, set)
	const email = "untold@example.com"
	s.register(email)
	s.signInFrom(email, firefoxAgent, "203.0.113.7")
	s.signInFrom(email, edgeAgent, "192.0.2.4")
	s.browser().requestReset(email, 1)
	var devices int
	if err := s.app.Pool().QueryRow(t.Context(), `SELECT count(*) FROM app.devices`).Scan(&devices); err != nil || devices != 0 {
		t.Errorf("%d devices, %v", devices, err)
	}
	if n := len(s.mails(email)); n != 2 {
		t.Errorf("%d mails, want the activation and the reset", n)
	}
}

// TestDeviceMailIsOnByDefault, and a flag turns it off.
func TestDeviceMailIsOnByDefault(t *testing.T) {
	for _, c := range []struct {
		args []string
		on   bool
	}{{[]string{"config"}, true}, {[]string{"config", "--no-new-device-mail"}, false}} {
		var out bytes.Buffer
		if err := app.Main(t.Context(), c.args, &out, &out); err != nil {
			t.Fatal(err)
		}
		if want := fmt.Sprintf("DAYBOOK_NEW_DEVICE_MAIL=%v\n", c.on); !strings.Contains(out.String(), want) {
			t.Errorf("%v shows no %q", c.args, want)
		}
	}
}
