package api

import (
	"net/http"
	"strings"
)

// origins are the sites that may call from a browser.
type origins struct {
	foreign    map[string]bool // may call across origins, with the cookie
	protection *http.CrossOriginProtection
}

// newOrigins takes a Config that validates.
func newOrigins(c Config) origins {
	o := origins{foreign: map[string]bool{}, protection: http.NewCrossOriginProtection()}
	for _, raw := range c.foreignOrigins() {
		origin, err := originOf(raw)
		if err == nil {
			err = o.protection.AddTrustedOrigin(origin)
		}
		if err != nil {
			panic("api: trusted origin: " + err.Error())
		}
		o.foreign[origin] = true
	}
	// Behind a proxy the Host we see need not be the one that browsers see.
	public, err := originOf(c.PublicURL)
	if err == nil {
		err = o.protection.AddTrustedOrigin(public)
	}
	if err != nil {
		panic("api: public URL: " + err.Error())
	}
	return o
}

const (
	corsMethods = "GET, HEAD, POST, PATCH, DELETE"
	corsHeaders = "Content-Type, Idempotency-Key, If-Match"
	corsExposed = "Daybook-Position, ETag, Retry-After, X-Request-Id"
)

// crossOrigin answers preflights and refuses what another site makes a browser
// send. Callers that are no browsers send neither Origin nor Sec-Fetch-Site and
// pass; the frontend's own server sends the frontend's Origin.
func (s *Server) crossOrigin(next http.Handler) http.Handler {
	return s.handle(unmatched, func(w http.ResponseWriter, r *http.Request) error {
		header := w.Header()
		header.Add("Vary", "Origin")
		origin := r.Header.Get("Origin")
		allowed := s.origins.foreign[origin]
		if allowed {
			header.Set("Access-Control-Allow-Origin", origin)
			header.Set("Access-Control-Allow-Credentials", "true")
			header.Set("Access-Control-Expose-Headers", corsExposed)
		}
		if r.Method == http.MethodOptions && r.Header.Get("Access-Control-Request-Method") != "" {
			return preflight(w, allowed)
		}
		if s.origins.protection.Check(r) != nil && !opaqueForm(r) {
			return errCrossSite
		}
		next.ServeHTTP(w, r)
		return nil
	})
}

func preflight(w http.ResponseWriter, allowed bool) error {
	if !allowed {
		return errCrossSite
	}
	header := w.Header()
	header.Set("Access-Control-Allow-Methods", corsMethods)
	header.Set("Access-Control-Allow-Headers", corsHeaders)
	header.Set("Access-Control-Max-Age", "600")
	return empty(w)
}

// opaqueForm recognises the button of a page that a mailed link leads to. Our Referrer-Policy
// makes browsers send a form with "Origin: null", and without https they do not
// say Sec-Fetch-Site. The link's token is what authorises that request; no
// cookie is looked at, so there is nothing for another site to borrow.
func opaqueForm(r *http.Request) bool {
	path := r.URL.EscapedPath()
	button := strings.HasPrefix(path, "/users/register/confirm/") || strings.HasPrefix(path, "/users/email-change/confirm/")
	return button && r.Method == http.MethodPost && r.Header.Get("Origin") == "null" && r.Header.Get("Sec-Fetch-Site") == ""
}
