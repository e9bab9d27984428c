package commands

import (
	"context"

	"github.com/google/uuid"

	"daybook/domain"
)

// NoteRefused tells the account's access stream of sign-ins that were refused. The
// caller's command id stands for the tries that are summed up.
func (h *Handler) NoteRefused(ctx context.Context, c Caller, account uuid.UUID, refused domain.SignInRefused) error {
	ctx, end := h.observe(ctx, c, "NoteRefused", account)
	err := h.access(ctx, c, "NoteRefused", account, refused)
	end(err)
	return err
}
