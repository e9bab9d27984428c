package commands

import (
	"context"
	"log/slog"

	"github.com/google/uuid"

	"daybook/domain"
)

// RequestReset mails a reset link. The answer to an address without an active
// account is domain.ErrNotActive; whether the caller is told so is the
// contract's matter.
func (h *Handler) RequestReset(ctx context.Context, c Caller, address string) error {
	account, err := h.accountAt(ctx, address)
	if err != nil {
		return err
	}
	_, err = h.executeFrom(ctx, c, account, step{
		name: "RequestReset",
		command: domain.RequestReset{
			ResetID:   h.derive(c, "reset", 0),
			ExpiresAt: h.resetEnds(),
			Cap:       h.Config.MailsPerHour,
		},
	})
	return err
}

// OpenResetLink exchanges the mailed token for the second one. It consumes
// nothing and gives the same token each time, so that a mail scanner's visit
// does not break the person's own. The note that the link was opened is best
// effort: its failure fails nothing.
func (h *Handler) OpenResetLink(ctx context.Context, c Caller, id uuid.UUID, token string) (second string, err error) {
	account, err := h.Store.Account(ctx, id)
	if err != nil {
		return "", err
	}
	if err := h.checkReset(ctx, account, domain.PurposeReset, token); err != nil {
		return "", err
	}
	second, err = h.Tokens.Token(ctx, domain.PurposeNewPassword, id, account.Reset.ID, account.Reset.ExpiresAt)
	if err != nil {
		return "", err
	}
	_, err = h.executeFrom(ctx, c, account, step{
		name: "OpenResetLink", command: domain.OpenResetLink{ResetID: account.Reset.ID},
	})
	if err != nil {
		h.Logger.WarnContext(ctx, "opening of a reset link was not noted", slog.String("account", id.String()), slog.Any("error", err))
	}
	return second, nil
}

// ResetPassword uses the reset up. After its answer no older session works on
// any node, whatever the projectors do. A refused password leaves the token
// usable.
func (h *Handler) ResetPassword(ctx context.Context, c Caller, id uuid.UUID, token, password string) error {
	account, err := h.Store.Account(ctx, id)
	if err != nil {
		return err
	}
	if account.Applied(c.CommandID) {
		return h.Sessions.Settle(ctx, account)
	}
	if err := h.checkReset(ctx, account, domain.PurposeNewPassword, token); err != nil {
		return err
	}
	phc, err := h.hashNew(ctx, account, password)
	if err != nil {
		return err
	}
	credential := h.derive(c, "credential", 0)
	account, err = h.executeFrom(ctx, c, account, step{
		name:    "ResetPassword",
		command: domain.ResetPassword{ResetID: account.Reset.ID, CredentialID: credential},
		stage:   h.stageChange(credential, phc),
	})
	if err != nil {
		return err
	}
	return h.Sessions.Settle(ctx, account)
}

// checkReset compares the token with the newest reset's.
func (h *Handler) checkReset(ctx context.Context, account domain.Account, purpose domain.Purpose, token string) error {
	if account.Reset.ID == uuid.Nil {
		return domain.ErrResetInvalid
	}
	ok, err := h.Tokens.Matches(ctx, token, purpose, account.ID, account.Reset.ID, account.Reset.ExpiresAt)
	if err != nil {
		return err
	}
	if !ok || !account.Active() || !account.Reset.Open(h.Now()) {
		return domain.ErrResetInvalid
	}
	return nil
}

func (h *Handler) hashNew(ctx context.Context, account domain.Account, password string) (string, error) {
	normal, err := h.Config.Passwords.Check(password, account.Email, account.Profile.FirstName, account.Profile.LastName)
	if err != nil {
		return "", err
	}
	return h.Passwords.Hash(ctx, normal)
}

// stageChange writes the credential and marks the sessions as pending in one
// statement, before the append: a crash after it leaves no stale session valid.
func (h *Handler) stageChange(credential uuid.UUID, phc string) func(context.Context, domain.Account) error {
	return func(ctx context.Context, at domain.Account) error {
		return h.Credentials.StageChange(ctx, domain.Credential{
			ID: credential, AccountID: at.ID, ExpectedRevision: at.Revision, PHC: phc,
		})
	}
}
