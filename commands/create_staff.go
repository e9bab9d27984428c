package commands

import (
	"context"

	"daybook/domain"
)

// CreateStaff is the command of an operator to open an account with staff rights for
// somebody else.
type CreateStaff struct {
	Email     string
	FirstName string
	LastName  string
	Reason    string
}

// CreateStaff opens the account and has an invitation mailed: the link proves the
// mailbox and leads to the choice of a password, which nobody else ever knows. Until
// then nobody can sign in. An address that an account owns, activated or not, is
// domain.ErrAddressTaken, of which its owner is not told.
func (h *Handler) CreateStaff(ctx context.Context, c Caller, in CreateStaff) (Result, error) {
	email, errEmail := domain.ParseEmail(in.Email)
	first, errFirst := domain.ParseName(domain.FieldFirstName, in.FirstName)
	last, errLast := domain.ParseName(domain.FieldLastName, in.LastName)
	if err := domain.JoinInvalid(errEmail, errFirst, errLast); err != nil {
		return Result{}, err
	}
	r := registration{email: email, names: domain.Names{FirstName: first, LastName: last}, staff: in.Reason}
	if err := h.register(ctx, c, r); err != nil {
		return Result{}, err
	}
	account, err := h.accountAt(ctx, in.Email)
	return Result{account}, err
}
