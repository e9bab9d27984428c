package api

import (
	"encoding/json"
	"net/http"
	"net/netip"
	"strings"
	"unicode"

	"github.com/google/uuid"

	"daybook/commands"
	"daybook/domain"
	"daybook/internal/session"
	"daybook/internal/telemetry"
)

const (
	keyHeader       = "Idempotency-Key"
	maxKey          = 255 // characters
	maxUserAgent    = 256 // bytes
	maxForwardedFor = 20  // addresses looked at
)

var errKey = domain.Refuse(domain.KindInvalid, "invalid_idempotency_key",
	"Idempotency-Key must be sent once, with 1 to 255 visible ASCII characters")

// caller describes an anonymous caller with a fresh command id.
func (s *Server) caller(r *http.Request) commands.Caller {
	return commands.Caller{
		CommandID: uuid.New(), Actor: domain.ActorAnonymous, RequestID: exchangeOf(r).id.String(),
		Traceparent: telemetry.Traceparent(r.Context()), ClientAddress: s.clientAddress(r), UserAgent: userAgent(r),
	}
}

// anonymous describes the caller of a mutation. subject says whose it is: the
// address or the account that the request names. body is the request as it was
// understood: the same key with another one is refused.
func (s *Server) anonymous(r *http.Request, subject string, body any) (commands.Caller, error) {
	caller := s.caller(r)
	key, err := idempotencyKey(r)
	if err != nil || key == "" {
		return caller, err
	}
	encoded, err := json.Marshal(body)
	if err != nil {
		return caller, err
	}
	route := r.Method + " " + exchangeOf(r).route
	caller.CommandID, err = s.Idempotency.Command(r.Context(), route, subject, key, encoded)
	return caller, err
}

// signedInCaller describes the caller of a mutation with a session.
func (s *Server) signedInCaller(r *http.Request, in session.Session, body any) (commands.Caller, error) {
	caller, err := s.anonymous(r, in.AccountID.String(), body)
	caller.Actor, caller.Session = domain.AccountActor(in.AccountID), in.ID.String()
	return caller, err
}

func idempotencyKey(r *http.Request) (string, error) {
	values := r.Header.Values(keyHeader)
	if len(values) == 0 {
		return "", nil
	}
	key := values[0]
	if len(values) > 1 || key == "" || len(key) > maxKey || strings.ContainsFunc(key, notVisible) {
		return "", errKey
	}
	return key, nil
}

func notVisible(r rune) bool { return r <= ' ' || r > '~' }

// addressSubject is the same for all spellings of one address.
func addressSubject(email string) string {
	if parsed, err := domain.ParseEmail(email); err == nil {
		return parsed.Canonical
	}
	return email
}

// clientAddress is the peer, or behind trusted proxies the nearest address that
// is none of them. What stands to the left of it anybody could have written.
func (s *Server) clientAddress(r *http.Request) string {
	peer, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return ""
	}
	address := peer.Addr().Unmap()
	hops := strings.Split(strings.Join(r.Header.Values("X-Forwarded-For"), ","), ",")
	for i := len(hops) - 1; i >= max(0, len(hops)-maxForwardedFor) && s.trustedProxy(address); i-- {
		hop, err := netip.ParseAddr(strings.TrimSpace(hops[i]))
		if err != nil {
			break
		}
		address = hop.Unmap().WithZone("")
	}
	return address.String()
}

func (s *Server) trustedProxy(address netip.Addr) bool {
	for _, network := range s.Config.TrustedProxies {
		if network.Contains(address) {
			return true
		}
	}
	return false
}

// userAgent cuts the header down to what every consumer can store.
func userAgent(r *http.Request) string {
	agent := strings.Map(func(c rune) rune {
		if !unicode.IsPrint(c) || c == unicode.ReplacementChar {
			return -1
		}
		return c
	}, r.UserAgent())
	if len(agent) > maxUserAgent {
		agent = strings.ToValidUTF8(agent[:maxUserAgent], "")
	}
	return agent
}
