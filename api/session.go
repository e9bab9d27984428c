package api

import (
	"net/http"
	"strings"

	"github.com/google/uuid"
	"github.com/gorilla/mux"

	"daybook/commands"
	"daybook/domain"
	"daybook/internal/session"
	"daybook/projections"
)

const (
	sessionCookie   = "sessionid" // the seed's name
	signInRequired  = "Please provide email and password"
	signedOut       = "You have successfully logged out"
	sessionEnded    = "The session has been ended"
	othersEnded     = "All other sessions have been ended"
	cleanSiteOnExit = `"cache", "storage"` // cookies are shared with other services of the site
)

// users refuses two session cookies: which of them a browser was made to send is
// not for us to guess.
func (s *Server) users(h handlerFunc) handlerFunc {
	return func(w http.ResponseWriter, r *http.Request) error {
		if _, err := sessionToken(r); err != nil {
			return err
		}
		return h(w, r)
	}
}

// memberHandler is a handler for somebody signed in.
type memberHandler func(w http.ResponseWriter, r *http.Request, in session.Checked) error

// member asks for a session before anything else is looked at.
func (s *Server) member(h memberHandler) handlerFunc {
	return func(w http.ResponseWriter, r *http.Request) error {
		token, err := sessionToken(r)
		if err != nil {
			return err
		}
		if token == "" {
			return domain.ErrNotSignedIn
		}
		in, err := s.Sessions.Check(r.Context(), token)
		if err != nil {
			return err
		}
		return h(w, r, in)
	}
}

// sessionToken returns the session cookie's value, or "". It reads the header
// itself, because net/http drops cookies whose value it does not like: of two
// cookies it would see one.
func sessionToken(r *http.Request) (string, error) {
	var token string
	count := 0
	for _, line := range r.Header.Values("Cookie") {
		for pair := range strings.SplitSeq(line, ";") {
			name, value, _ := strings.Cut(strings.TrimSpace(pair), "=")
			if name == sessionCookie {
				token = value
				count++
			}
		}
	}
	if count > 1 {
		return "", errTwoSessions
	}
	return token, nil
}

func (s *Server) signIn(w http.ResponseWriter, r *http.Request) error {
	in, err := readObject(w, r, "email", "password")
	if err != nil {
		return err
	}
	if missing := in.missing("email", "password"); len(missing) > 0 {
		return required(signInRequired, missing)
	}
	opened, err := s.Commands.SignIn(r.Context(), s.caller(r), in.text("email"), in.text("password"))
	if err != nil {
		return s.even(r, err)
	}
	s.setSession(w, opened.Token, int(s.Config.SessionLifetime.Seconds()))
	return show(w, s.user(projections.AccountOf(opened.Account)))
}

// signOut never looks at the body.
func (s *Server) signOut(w http.ResponseWriter, r *http.Request) error {
	token, err := sessionToken(r)
	if err != nil {
		return err
	}
	if token != "" {
		if err := s.Commands.SignOut(r.Context(), s.caller(r), token); err != nil {
			return err
		}
	}
	s.setSession(w, "", -1)
	w.Header().Set("Clear-Site-Data", cleanSiteOnExit)
	return say(w, signedOut)
}

func (s *Server) setSession(w http.ResponseWriter, token string, maxAge int) {
	http.SetCookie(w, &http.Cookie{
		Name: sessionCookie, Value: token, Path: "/", MaxAge: maxAge, HttpOnly: true,
		SameSite: http.SameSiteLaxMode, Secure: strings.HasPrefix(s.Config.PublicURL, "https://"),
	})
}

type sessionList struct {
	Sessions []sessionItem `json:"sessions"`
}

type sessionItem struct {
	ID         uuid.UUID `json:"id"`
	Current    bool      `json:"current"`
	CreatedAt  string    `json:"created_at"`
	LastSeenAt string    `json:"last_seen_at"`
	ExpiresAt  string    `json:"expires_at"`
	UserAgent  string    `json:"user_agent"`
}

func (s *Server) listSessions(w http.ResponseWriter, r *http.Request, in session.Checked) error {
	open, err := s.Sessions.List(r.Context(), in.Session.AccountID)
	if err != nil {
		return err
	}
	list := sessionList{Sessions: make([]sessionItem, len(open))}
	for i, one := range open {
		list.Sessions[i] = sessionItem{
			ID: one.ID, Current: one.ID == in.Session.ID, UserAgent: one.UserAgent,
			CreatedAt: stamp(one.CreatedAt), LastSeenAt: stamp(one.LastSeenAt), ExpiresAt: stamp(one.ExpiresAt),
		}
	}
	return show(w, list)
}

// endSession ends one of the caller's own sessions; another's does not exist for
// the caller.
func (s *Server) endSession(w http.ResponseWriter, r *http.Request, in session.Checked) error {
	id, err := uuid.Parse(mux.Vars(r)["session"])
	if err != nil {
		return commands.ErrNoSuchSession
	}
	caller, err := s.signedInCaller(r, in.Session, id)
	if err != nil {
		return err
	}
	if err := s.Commands.EndSession(r.Context(), caller, in.Session.AccountID, id); err != nil {
		return err
	}
	return say(w, sessionEnded)
}

func (s *Server) endOtherSessions(w http.ResponseWriter, r *http.Request, in session.Checked) error {
	caller, err := s.signedInCaller(r, in.Session, nil)
	if err != nil {
		return err
	}
	if err := s.Commands.EndOtherSessions(r.Context(), caller, in.Session.AccountID, in.Session.ID); err != nil {
		return err
	}
	return say(w, othersEnded)
}
