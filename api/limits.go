package api

import (
	"context"
	"net/http"
	"net/netip"
	"strconv"
	"time"

	"github.com/google/uuid"

	"daybook/domain"
	"daybook/internal/throttle"
)

// Limits are how often things may be tried, by all processes together; a zero
// limit allows any number. A source is a client address that is neither a trusted
// proxy nor the server of a trusted origin.
type Limits struct {
	SignIn Rate // sign-ins
	Token  Rate // links and tokens of links, at every step, right or wrong
	Mail   Rate // registrations and requests for mail
	// Upload is of pictures by one account.
	Upload throttle.Limit
	// Export is of everything that is held of one account.
	Export throttle.Limit
}

// Rate bounds one source, and all callers together.
type Rate struct{ Source, Total throttle.Limit }

var errTooMany = domain.Refuse(domain.KindTooMany, "too_many", "Too many tries. Try again later")

// limited reserves a try before anything of the request is looked at. What is
// asked for makes no difference: the answer tells nothing of any account.
func (s *Server) limited(what string, rate Rate, h handlerFunc) handlerFunc {
	return func(w http.ResponseWriter, r *http.Request) error {
		tries := []throttle.Try{{Key: what + " of all", Limit: rate.Total}}
		if source, ok := s.source(r); ok {
			tries = append([]throttle.Try{{Key: what + " of source " + source, Limit: rate.Source}}, tries...)
		}
		if err := s.reserve(r.Context(), w, tries...); err != nil {
			return err
		}
		return h(w, r)
	}
}

// limitUpload reserves an upload of the account.
func (s *Server) limitUpload(ctx context.Context, w http.ResponseWriter, account uuid.UUID) error {
	return s.reserve(ctx, w, throttle.Try{Key: "upload of " + account.String(), Limit: s.Config.Limits.Upload})
}

func (s *Server) reserve(ctx context.Context, w http.ResponseWriter, tries ...throttle.Try) error {
	if s.Throttles == nil {
		return nil
	}
	wait, err := s.Throttles.Reserve(ctx, tries...)
	if err == nil && wait > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(int(wait/time.Second)))
		err = errTooMany
	}
	return err
}

// source names where the request comes from, if that is one client: a proxy that
// does not say for whom it asks, and the server of a trusted origin, ask for many.
// That server is told by its Origin without the Sec-Fetch-Site of browsers. Anybody
// can send that, and is then held to the limits of addresses, accounts and all
// callers together.
func (s *Server) source(r *http.Request) (string, bool) {
	address, err := netip.ParseAddr(s.clientAddress(r))
	if err != nil || s.trustedProxy(address) {
		return "", false
	}
	if !s.forwarded(r) && s.origins.foreign[r.Header.Get("Origin")] && r.Header.Get("Sec-Fetch-Site") == "" {
		return "", false
	}
	if address.Is6() {
		// One customer has a whole /64 (RFC 6177).
		network, err := address.Prefix(64)
		return network.String(), err == nil
	}
	return address.String(), true
}

// forwarded reports whether a trusted proxy passed the request on.
func (s *Server) forwarded(r *http.Request) bool {
	peer, err := netip.ParseAddrPort(r.RemoteAddr)
	return err == nil && s.trustedProxy(peer.Addr().Unmap())
}
