package api

import (
	"context"
	"errors"
	"net/http"

	"daybook/domain"
)

const (
	resetSent    = "Password reset instructions have been sent to your email address. Kindly take action before its expiration"
	resetDone    = "Your password has been changed successfully. Kindly login with the new password"
	notActive    = "An active user with this e-mail address does not exist. If you registered with this email, ensure you have activated your account. You can check by logging in. If you have not activated it, visit "
	notActiveEnd = "/auth/regenerate-token to regenerate the token that will allow you activate your account."
)

func (s *Server) requestReset(w http.ResponseWriter, r *http.Request) error {
	email, in, err := readEmail(w, r)
	if err != nil {
		return err
	}
	caller, err := s.anonymous(r, addressSubject(email), in)
	if err != nil {
		return err
	}
	err = s.conceal(r, floor, domain.ErrNotActive, func(ctx context.Context) error {
		return s.Commands.RequestReset(ctx, caller, email)
	})
	if errors.Is(err, domain.ErrNotActive) {
		return domain.Refuse(domain.KindNotFound, "not_active", notActive+s.Config.frontend()+notActiveEnd)
	}
	if err != nil {
		return err
	}
	return say(w, resetSent)
}

// openReset exchanges the mailed token for the second one and consumes nothing.
func (s *Server) openReset(w http.ResponseWriter, r *http.Request) error {
	id, token, ok := link(r)
	if !ok {
		return s.refuseLink(w, r, domain.ErrResetInvalid)
	}
	second, err := s.Commands.OpenResetLink(r.Context(), s.caller(r), id, token)
	if domain.IsKind(err, domain.KindInvalid) {
		return s.refuseLink(w, r, err)
	}
	if err != nil {
		return err
	}
	return redirect(w, s.Config.newPasswordURL(id, second))
}

// resetPassword takes a missing password for an empty one: the policy refuses
// it, and the token stays usable.
func (s *Server) resetPassword(w http.ResponseWriter, r *http.Request) error {
	in, err := readObject(w, r, "token", "password")
	if err != nil {
		return err
	}
	id, token, ok := splitToken(in.text("token"))
	if !ok {
		return s.even(r, domain.ErrResetInvalid)
	}
	caller, err := s.anonymous(r, id.String(), in)
	if err != nil {
		return err
	}
	if err := s.Commands.ResetPassword(r.Context(), caller, id, token, in.text("password")); err != nil {
		return s.even(r, err)
	}
	return say(w, resetDone)
}
