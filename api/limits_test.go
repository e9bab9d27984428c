package api

import (
	"net/http/httptest"
	"net/netip"
	"testing"
)

// TestSource: one client is one source, whatever it claims; who calls for many is
// none.
func TestSource(t *testing.T) {
	t.Parallel()
	config := Config{
		PublicURL: public, FrontendURL: frontend,
		TrustedProxies: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")},
	}
	s := &Server{Config: config, origins: newOrigins(config)}
	for name, c := range map[string]struct {
		peer   string
		header []string
		source string // empty for none
	}{
		"a client":                    {"192.0.2.1:5", nil, "192.0.2.1"},
		"a client that claims":        {"192.0.2.1:5", []string{"X-Forwarded-For", "203.0.113.9", "X-Real-IP", "203.0.113.9", "Forwarded", "for=203.0.113.9"}, "192.0.2.1"},
		"IPv6 by network":             {"[2001:db8:1:2:3:4:5:6]:5", nil, "2001:db8:1:2::/64"},
		"IPv4 in IPv6":                {"[::ffff:192.0.2.1]:5", nil, "192.0.2.1"},
		"through a proxy":             {"10.0.0.1:5", []string{"X-Forwarded-For", "203.0.113.9, 192.0.2.7"}, "192.0.2.7"},
		"a proxy that does not say":   {"10.0.0.1:5", nil, ""},
		"a proxy that says nonsense":  {"10.0.0.1:5", []string{"X-Forwarded-For", "unknown"}, ""},
		"the frontend's server":       {"192.0.2.1:5", []string{"Origin", frontend}, ""},
		"the same through a proxy":    {"10.0.0.1:5", []string{"Origin", frontend, "X-Forwarded-For", "192.0.2.7"}, "192.0.2.7"},
		"a browser on the frontend":   {"192.0.2.1:5", []string{"Origin", frontend, "Sec-Fetch-Site", "cross-site"}, "192.0.2.1"},
		"a browser on our own pages":  {"192.0.2.1:5", []string{"Origin", public}, "192.0.2.1"},
		"another origin":              {"192.0.2.1:5", []string{"Origin", "https://evil.example"}, "192.0.2.1"},
		"no address that can be read": {"@", nil, ""},
	} {
		r := httptest.NewRequest("POST", "/users/login/", nil)
		r.RemoteAddr = c.peer
		for i := 0; i < len(c.header); i += 2 {
			r.Header.Set(c.header[i], c.header[i+1])
		}
		if source, ok := s.source(r); source != c.source || ok != (c.source != "") {
			t.Errorf("%s: %q, %v, want %q", name, source, ok, c.source)
		}
	}
}
