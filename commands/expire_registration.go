package commands

import (
	"context"
	"time"

	"github.com/google/uuid"

	"daybook/domain"
)

// ExpireRegistration ends an account that was never activated, once its last link
// has been dead for that long: its address is free again. Any other account stays
// as it is; expired tells whether this call ended it.
func (h *Handler) ExpireRegistration(ctx context.Context, c Caller, id uuid.UUID, after time.Duration) (expired bool, err error) {
	account, err := h.Store.Account(ctx, id)
	if err != nil || account.Status != domain.StatusPending {
		return false, err
	}
	account, err = h.executeFrom(ctx, c, account, step{
		name: "ExpireRegistration", command: domain.ExpireRegistration{Reason: "never activated", After: after},
	})
	return err == nil && account.Status == domain.StatusExpired, err
}
