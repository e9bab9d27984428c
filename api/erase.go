package api

import (
	"net/http"

	"daybook/internal/session"
)

const (
	erasePassword = "Please provide password"
	accountErased = "Your account has been erased"
)

// eraseAccount asks for the password, which an open session alone does not prove: it
// is also the confirmation, since nothing brings the account back.
func (s *Server) eraseAccount(w http.ResponseWriter, r *http.Request, in session.Checked) error {
	body, err := readObject(w, r, "password")
	if err != nil {
		return err
	}
	if missing := body.missing("password"); len(missing) > 0 {
		return required(erasePassword, missing)
	}
	caller, err := s.signedInCaller(r, in.Session, body)
	if err != nil {
		return err
	}
	result, err := s.Commands.EraseAccount(r.Context(), caller, in.Session.AccountID, body.text("password"))
	if err != nil {
		return err
	}
	s.setSession(w, "", -1)
	w.Header().Set("Clear-Site-Data", cleanSiteOnExit)
	w.Header().Set(positionHeader, position(result.Account.Revision))
	return say(w, accountErased)
}
