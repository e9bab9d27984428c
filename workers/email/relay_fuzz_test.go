package email

import (
	"strings"
	"testing"
)

// FuzzParseRelay: a refused setting is not shown, for it holds a password; a relay
// that is taken can be called, and gets no password in the clear.
func FuzzParseRelay(f *testing.F) {
	const password = "zerlinas-password"
	for _, seed := range []string{
		"smtp://user:" + password + "@host:587?tls=starttls", "smtp://host?tls=none", "smtp://user:" + password + "@host?tls=none", "smtp://user:" + password + "@host:0",
		"smtp://user:" + password + "@[::1]:465?tls=implicit", "smtp://host/path", "smtp://" + password + "@host", "ftp://host", "smtp://host?tls=starttls&tls=none", "%", "",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, setting string) {
		r, err := parseRelay(setting)
		if err != nil {
			if strings.Contains(setting, password) && strings.Contains(err.Error(), password) {
				t.Errorf("the refusal shows the password: %v", err)
			}
			return
		}
		if r.host == "" || r.port < 1 || r.port > 65535 || r.password != "" && (r.security == noTLS || r.user == "") {
			t.Errorf("%q is taken as host %q, port %d, %s", setting, r.host, r.port, r.security)
		}
	})
}
