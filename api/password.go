package api

import (
	"net/http"

	"daybook/internal/session"
)

const (
	passwordRequired = "Please provide current_password and password"
	passwordChanged  = "Your password has been changed successfully"
)

// changePassword asks for the current password, which an open session alone does
// not prove. All other sessions end.
func (s *Server) changePassword(w http.ResponseWriter, r *http.Request, in session.Checked) error {
	body, err := readObject(w, r, "current_password", "password")
	if err != nil {
		return err
	}
	if missing := body.missing("current_password", "password"); len(missing) > 0 {
		return required(passwordRequired, missing)
	}
	caller, err := s.signedInCaller(r, in.Session, body)
	if err != nil {
		return err
	}
	result, err := s.Commands.ChangePassword(r.Context(), caller, in.Session.AccountID, in.Session.ID,
		body.text("current_password"), body.text("password"))
	if err != nil {
		return err
	}
	s.saw(r, in.Session, result.Account)
	w.Header().Set(positionHeader, position(result.Account.Revision))
	return say(w, passwordChanged)
}
