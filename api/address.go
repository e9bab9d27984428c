package api

import (
	"context"
	"errors"
	"net/http"

	"daybook/commands"
	"daybook/domain"
	"daybook/internal/session"
)

const (
	addressRequired = "Please provide email and password"
	addressSent     = "A link has been sent to the new address. Open it before it expires to confirm that the address is yours"
)

// requestAddressChange asks for the password, which an open session alone does not
// prove. The answer does not tell whether the address has an account already, nor
// does the account's own history.
func (s *Server) requestAddressChange(w http.ResponseWriter, r *http.Request, in session.Checked) error {
	body, err := readObject(w, r, "email", "password")
	if err != nil {
		return err
	}
	if missing := body.missing("email", "password"); len(missing) > 0 {
		return required(addressRequired, missing)
	}
	caller, err := s.signedInCaller(r, in.Session, body)
	if err != nil {
		return err
	}
	var result commands.Result
	err = s.conceal(r, floorHash, domain.ErrAddressTaken, func(ctx context.Context) (err error) {
		result, err = s.Commands.RequestAddressChange(ctx, caller, in.Session.AccountID, commands.RequestAddressChange{
			Email: body.text("email"), Password: body.text("password"), Concealed: s.Config.Contract != ContractSeed,
		})
		return err
	})
	if errors.Is(err, domain.ErrAddressChangesUsedUp) {
		w.Header().Set("Retry-After", "3600") // in an hour at the latest
	}
	if err != nil {
		return err
	}
	s.saw(r, in.Session, result.Account)
	w.Header().Set(positionHeader, position(result.Account.Revision))
	return say(w, addressSent)
}

// openAddressChange follows the link mailed to the new address. Mail scanners do so
// too: in either contract it only shows a button. Who opens it needs no session.
func (s *Server) openAddressChange(w http.ResponseWriter, r *http.Request) error {
	id, token, ok := link(r)
	if !ok {
		return s.refuseAddressLink(w, r, domain.ErrAddressChangeInvalid)
	}
	change, err := s.Commands.AddressChange(r.Context(), id, token)
	if domain.IsKind(err, domain.KindInvalid) {
		return s.refuseAddressLink(w, r, err)
	}
	if err != nil {
		return err
	}
	return s.render(w, "confirm-address", change)
}

// changeAddress leads to pages of our own, whatever the frontend: one written for
// the seed has none for this.
func (s *Server) changeAddress(w http.ResponseWriter, r *http.Request) error {
	id, token, ok := link(r)
	if !ok {
		return s.refuseAddressLink(w, r, domain.ErrAddressChangeInvalid)
	}
	caller, err := s.anonymous(r, id.String(), token)
	if err != nil {
		return err
	}
	_, err = s.Commands.ChangeAddress(r.Context(), caller, id, token)
	if domain.IsKind(err, domain.KindInvalid) {
		return s.refuseAddressLink(w, r, err)
	}
	if err != nil {
		return err
	}
	return redirect(w, s.Config.addressConfirmedURL())
}

// refuseAddressLink is the one answer to every link to a new address that does not
// work.
func (s *Server) refuseAddressLink(w http.ResponseWriter, r *http.Request, refusal error) error {
	_ = s.even(r, refusal)
	return redirect(w, s.Config.addressRefusedURL())
}
