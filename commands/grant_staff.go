package commands

import (
	"context"

	"github.com/google/uuid"

	"daybook/domain"
)

// GrantStaff gives the account staff rights, or takes them away.
func (h *Handler) GrantStaff(ctx context.Context, c Caller, id uuid.UUID, staff bool, reason string) (Result, error) {
	name := "GrantStaff"
	if !staff {
		name = "RevokeStaff"
	}
	account, err := h.execute(ctx, c, id, step{name: name, command: domain.GrantStaff{Staff: staff, Reason: reason}})
	return Result{account}, err
}
