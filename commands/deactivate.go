package commands

import (
	"context"

	"github.com/google/uuid"

	"daybook/domain"
)

// Deactivate shuts an account: its sessions and outstanding tokens are dead on
// every node when this returns, whatever the projectors do. An account that is not
// active stays as it is.
func (h *Handler) Deactivate(ctx context.Context, c Caller, id uuid.UUID, reason string) (Result, error) {
	account, err := h.execute(ctx, c, id, step{
		name: "Deactivate", command: domain.Deactivate{Reason: reason}, stage: h.stagePending,
	})
	if err != nil {
		return Result{}, err
	}
	return Result{account}, h.Sessions.Settle(ctx, account)
}

// stagePending marks the sessions before the append: a crash after it leaves none
// of them valid without a look at the stream.
func (h *Handler) stagePending(ctx context.Context, at domain.Account) error {
	return h.Sessions.Suspect(ctx, at.ID, at.Revision)
}
