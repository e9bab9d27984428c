package commands

import (
	"context"

	"github.com/google/uuid"

	"daybook/domain"
)

// Reactivate opens a shut account again. Sessions that its shutting ended stay
// ended.
func (h *Handler) Reactivate(ctx context.Context, c Caller, id uuid.UUID, reason string) (Result, error) {
	account, err := h.execute(ctx, c, id, step{
		name: "Reactivate", command: domain.Reactivate{Reason: reason}, stage: h.stagePending,
	})
	if err != nil {
		return Result{}, err
	}
	return Result{account}, h.Sessions.Settle(ctx, account)
}
