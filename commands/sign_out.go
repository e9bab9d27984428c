package commands

import (
	"context"
	"log/slog"

	"github.com/google/uuid"

	"daybook/domain"
)

// SignOut ends the session of the token at once. A token that is nobody's is
// no error: the caller is signed out.
func (h *Handler) SignOut(ctx context.Context, c Caller, token string) error {
	ctx, end := h.observe(ctx, c, "SignOut", uuid.Nil)
	err := h.signOut(ctx, c, token)
	end(err)
	return err
}

func (h *Handler) signOut(ctx context.Context, c Caller, token string) error {
	ended, found, err := h.Sessions.End(ctx, token)
	if err != nil || !found {
		return err
	}
	c.Actor, c.Session = domain.AccountActor(ended.AccountID), ended.ID.String()
	err = h.access(ctx, c, "SignOut", ended.AccountID, domain.SignedOut{
		SessionID: ended.ID, Cause: "request", Personal: origin(c),
	})
	if err != nil {
		// The session is dead, which is what was asked for.
		h.Logger.WarnContext(ctx, "sign-out was not noted", slog.String("session", ended.ID.String()), slog.Any("error", err))
	}
	return nil
}
