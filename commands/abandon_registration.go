package commands

import (
	"context"

	"github.com/google/uuid"

	"daybook/domain"
)

// AbandonRegistration fences a registration that claimed an address and never
// reached its account's stream: from now on it cannot. A registrant who was only
// slow tries again under another id by itself. An account with events stays as it
// is; abandoned tells whether this call fenced it.
func (h *Handler) AbandonRegistration(ctx context.Context, c Caller, id uuid.UUID) (abandoned bool, err error) {
	account, err := h.Store.Account(ctx, id)
	if err != nil || account.Status != domain.StatusNone {
		return false, err
	}
	account, err = h.executeFrom(ctx, c, account, step{
		name: "AbandonRegistration", command: domain.AbandonRegistration{Reason: "never arrived"},
	})
	return err == nil && account.Status == domain.StatusAbandoned, err
}
