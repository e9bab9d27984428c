package api

import (
	"net/http"
	"strings"
	"testing"
	"time"
)

func TestSecurityText(t *testing.T) {
	t.Parallel()
	const path = "/.well-known/security.txt"
	wantProblem(t, newService(t).do(http.MethodGet, path, ""), http.StatusNotFound)

	s := newService(t, func(s *Server) {
		s.Config.SecurityContacts = []string{"mailto:security@example.org", "https://example.org/report"}
	})
	w := s.do(http.MethodGet, path, "")
	wantStatus(t, w, http.StatusOK)
	if w.Header().Get("Content-Type") != "text/plain; charset=utf-8" || w.Header().Get("X-Content-Type-Options") != "nosniff" {
		t.Errorf("%v", w.Header())
	}
	fields := map[string][]string{}
	for line := range strings.Lines(w.Body.String()) {
		name, value, ok := strings.Cut(strings.TrimSuffix(line, "\n"), ": ")
		if !ok || value == "" {
			t.Errorf("line %q", line)
		}
		fields[name] = append(fields[name], value)
	}
	if contacts := strings.Join(fields["Contact"], " "); contacts != "mailto:security@example.org https://example.org/report" {
		t.Errorf("contacts %q", contacts)
	}
	if len(fields["Canonical"]) != 1 || fields["Canonical"][0] != public+path || len(fields["Expires"]) != 1 {
		t.Errorf("%v", fields)
	}
	expires, err := time.Parse(time.RFC3339, fields["Expires"][0])
	if left := time.Until(expires); err != nil || left < 30*24*time.Hour || left > 365*24*time.Hour {
		t.Errorf("it ends at %v, %v", fields["Expires"], err)
	}
}

func TestSecurityContacts(t *testing.T) {
	t.Parallel()
	for contact, good := range map[string]bool{
		"mailto:security@example.org": true, "https://example.org/report": true, "tel:+1-201-555-0123": true,
		"security@example.org": false, "http://example.org/report": false, "https:": false, "mailto:": false, "": false,
		"javascript:alert(1)": false, "mailto:a@example.org\nContact: mailto:b@example.org": false, "https://example.org/a b": false,
	} {
		c := Config{PublicURL: public, SecurityContacts: []string{contact}}
		if err := c.Validate(); (err == nil) != good {
			t.Errorf("%q: %v", contact, err)
		}
	}
}
