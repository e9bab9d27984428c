package commands

import (
	"context"

	"github.com/google/uuid"

	"daybook/domain"
)

// ErrNoSuchAccount says that neither an id nor an address leads to an account.
var ErrNoSuchAccount = domain.Refuse(domain.KindNotFound, "no_such_account", "There is no such account")

// FindAccount folds the account with the id or the address, for operators.
func (h *Handler) FindAccount(ctx context.Context, idOrAddress string) (domain.Account, error) {
	account, err := h.findAccount(ctx, idOrAddress)
	if err == nil && account.Status == domain.StatusNone {
		err = ErrNoSuchAccount
	}
	return account, err
}

func (h *Handler) findAccount(ctx context.Context, idOrAddress string) (domain.Account, error) {
	if id, err := uuid.Parse(idOrAddress); err == nil {
		return h.Store.Account(ctx, id)
	}
	return h.accountAt(ctx, idOrAddress)
}
