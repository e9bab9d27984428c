package api

import (
	"net/http"
	"strings"
	"time"

	"daybook/domain"
	"daybook/internal/apitoken"
	"daybook/internal/audit"
	"daybook/internal/telemetry"
)

// Audit is what GET /audit/events needs; see internal/audit for what it promises.
type Audit struct {
	Tokens *apitoken.Store
	Reader *audit.Reader
	// Recheck is how often the token of a replay under way is looked at again;
	// default 2 s.
	Recheck time.Duration
	// Heartbeat is how long an event stream is silent at most; default 15 s.
	Heartbeat time.Duration
	// Stall is how long a reader may stand still before it is cut off; default
	// 30 s.
	Stall time.Duration
}

func (a Audit) withDefaults() Audit {
	for _, d := range []struct {
		value    *time.Duration
		fallback time.Duration
	}{{&a.Recheck, 2 * time.Second}, {&a.Heartbeat, 15 * time.Second}, {&a.Stall, 30 * time.Second}} {
		if *d.value <= 0 {
			*d.value = d.fallback
		}
	}
	return a
}

// auditEvents replays the event store to the bearer of a token. Sessions do not
// open it: a browser must not be able to be made to ask.
func (s *Server) auditEvents(w http.ResponseWriter, r *http.Request) error {
	if s.Audit == nil {
		return errNoSuchPath
	}
	bearer, token, err := s.bearer(w, r, apitoken.ReadAudit)
	if err != nil {
		return err
	}
	query, err := auditQuery(r, s.Audit.Reader.Cursors())
	if err != nil {
		return err
	}
	if r.Method == http.MethodHead {
		return s.nothing(w, r)
	}
	query.Personal = token.May(apitoken.ReadPersonal)
	replay, err := s.Audit.Reader.Open(r.Context(), query, audit.Use{
		Command: "ReadAudit", Actor: domain.OperatorActor(token.ID.String()), Token: &token.ID,
		RequestID: exchangeOf(r).id.String(), Traceparent: telemetry.Traceparent(r.Context()),
	})
	if err != nil {
		return err
	}
	defer replay.Close()
	s.replay(w, r, replay, delivery{audit: s.Audit.withDefaults(), bearer: bearer, follow: query.Follow, cursors: s.Audit.Reader.Cursors()})
	return nil
}

// bearer returns the token of the request (RFC 6750, 2.1: in the header and
// nowhere else) if it may be used for the scope.
func (s *Server) bearer(w http.ResponseWriter, r *http.Request, scope apitoken.Scope) (text string, _ apitoken.Token, err error) {
	given := r.Header.Values("Authorization")
	challenge := `Bearer realm="daybook"`
	if len(given) == 1 {
		if kind, credentials, _ := strings.Cut(given[0], " "); strings.EqualFold(kind, "Bearer") {
			text = strings.TrimLeft(credentials, " ")
		}
	}
	if len(given) > 0 {
		challenge += `, error="invalid_token"`
	}
	token, err := s.Audit.Tokens.Check(r.Context(), text)
	if err == nil && !token.May(scope) {
		challenge = `Bearer realm="daybook", error="insufficient_scope", scope="` + string(scope) + `"`
		err = domain.Refuse(domain.KindForbidden, "insufficient_scope", "This access token may not do this")
	}
	if domain.IsKind(err, domain.KindUnauthenticated) || domain.IsKind(err, domain.KindForbidden) {
		w.Header().Set("WWW-Authenticate", challenge)
	}
	return text, token, err
}
