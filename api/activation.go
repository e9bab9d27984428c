package api

import (
	"context"
	"fmt"
	"net/http"

	"github.com/google/uuid"
	"github.com/gorilla/mux"

	"daybook/domain"
)

const activationSent = "Account activation link has been sent to your email address. Kindly take action before its expiration"

func (s *Server) requestActivation(w http.ResponseWriter, r *http.Request) error {
	email, in, err := readEmail(w, r)
	if err != nil {
		return err
	}
	caller, err := s.anonymous(r, addressSubject(email), in)
	if err != nil {
		return err
	}
	err = s.conceal(r, floor, domain.ErrNotPending, func(ctx context.Context) error {
		return s.Commands.RequestActivation(ctx, caller, email)
	})
	if err != nil {
		return err
	}
	return say(w, activationSent)
}

// readEmail reads the body of a request that is only an address.
func readEmail(w http.ResponseWriter, r *http.Request) (string, object, error) {
	in, err := readObject(w, r, "email")
	if err != nil {
		return "", nil, err
	}
	email := in.text("email")
	if email == "" {
		return "", nil, required("Email field is empty", in.missing("email"))
	}
	if _, err := domain.ParseEmail(email); err != nil {
		return "", nil, err
	}
	return email, in, nil
}

// openActivation follows the mailed link. Mail scanners do so too: in the
// hardened contract it only shows a button.
func (s *Server) openActivation(w http.ResponseWriter, r *http.Request) error {
	if s.Config.Contract == ContractSeed {
		return s.activate(w, r)
	}
	id, token, ok := link(r)
	if !ok {
		return s.refuseLink(w, r, domain.ErrActivationInvalid)
	}
	attempt, err := s.Commands.Activation(r.Context(), id, token)
	if domain.IsKind(err, domain.KindInvalid) {
		return s.refuseLink(w, r, err)
	}
	if err != nil {
		return err
	}
	return s.render(w, "activate", attempt.Names)
}

func (s *Server) activate(w http.ResponseWriter, r *http.Request) error {
	id, token, ok := link(r)
	if !ok {
		return s.refuseLink(w, r, domain.ErrActivationInvalid)
	}
	caller, err := s.anonymous(r, id.String(), token)
	if err != nil {
		return err
	}
	result, err := s.Commands.Activate(r.Context(), caller, id, token)
	if domain.IsKind(err, domain.KindInvalid) {
		return s.refuseLink(w, r, err)
	}
	if err != nil {
		return fmt.Errorf("activate: %w", err)
	}
	if result.NewPassword != "" {
		return redirect(w, s.Config.newPasswordURL(id, result.NewPassword))
	}
	return redirect(w, s.Config.confirmedURL())
}

// refuseLink is the one answer to every mailed link that does not work.
func (s *Server) refuseLink(w http.ResponseWriter, r *http.Request, refusal error) error {
	_ = s.even(r, refusal)
	return redirect(w, s.Config.linkRefusedURL())
}

// link reads the two parts of a mailed link.
func link(r *http.Request) (id uuid.UUID, token string, ok bool) {
	parts := mux.Vars(r)
	id, ok = decodeID(parts["uidb64"])
	return id, parts["token"], ok
}
