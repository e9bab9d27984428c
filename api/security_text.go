package api

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// securityTextLife is how long a copy of security.txt may be relied on: RFC 9116
// recommends less than a year, and what is given out anew each day needs far less.
const securityTextLife = 60 * 24 * time.Hour

// securityText says where faults of the service are reported (RFC 9116).
func (s *Server) securityText(w http.ResponseWriter, _ *http.Request) error {
	if len(s.Config.SecurityContacts) == 0 {
		return errNoSuchPath
	}
	var text strings.Builder
	for _, contact := range s.Config.SecurityContacts {
		fmt.Fprintf(&text, "Contact: %s\n", contact)
	}
	expires := time.Now().UTC().Truncate(24 * time.Hour).Add(securityTextLife)
	fmt.Fprintf(&text, "Expires: %s\nCanonical: %s/.well-known/security.txt\nPreferred-Languages: en\n",
		expires.Format(time.RFC3339), s.Config.PublicURL)
	return write(w, http.StatusOK, "text/plain; charset=utf-8", []byte(text.String()))
}

// checkContacts wants what RFC 9116 (section 2.5.3) allows: a URI, and of the web
// https only.
func checkContacts(contacts []string) error {
	for _, contact := range contacts {
		parsed, err := url.Parse(contact)
		switch {
		case err != nil, strings.ContainsFunc(contact, notVisible):
		case parsed.Scheme == "https" && parsed.Host != "":
			continue
		case (parsed.Scheme == "mailto" || parsed.Scheme == "tel") && parsed.Opaque != "":
			continue
		}
		return fmt.Errorf("DAYBOOK_SECURITY_CONTACT: a contact must be a URI such as mailto:security@example.com or https://example.com/report, not %q", contact)
	}
	return nil
}
