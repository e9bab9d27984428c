package commands

import (
	"context"

	"github.com/google/uuid"

	"daybook/domain"
)

// ErrWrongPassword refuses a change whose current password is wrong.
var ErrWrongPassword = domain.Refuse(domain.KindForbidden, "wrong_password", "The current password is not right")

// ChangePassword changes the password of a signed-in person, who must know the
// current one. All other sessions end; the one that asks stays.
func (h *Handler) ChangePassword(ctx context.Context, c Caller, id, session uuid.UUID, current, password string) (Result, error) {
	account, err := h.Store.Account(ctx, id)
	if err != nil {
		return Result{}, err
	}
	credential := h.derive(c, "credential", 0)
	if account.Applied(c.CommandID) {
		return Result{account}, h.keepSession(ctx, account, account.Credential == credential, session)
	}
	if err := h.proveCurrent(ctx, account, current); err != nil {
		return Result{}, err
	}
	phc, err := h.hashNew(ctx, account, password)
	if err != nil {
		return Result{}, err
	}
	account, err = h.executeFrom(ctx, c, account, step{
		name:    "ChangePassword",
		command: domain.ChangePassword{CurrentCredential: account.Credential, CredentialID: credential},
		stage:   h.stageChange(credential, phc),
	})
	if err != nil {
		return Result{}, err
	}
	return Result{account}, h.keepSession(ctx, account, account.Credential == credential, session)
}

func (h *Handler) proveCurrent(ctx context.Context, account domain.Account, current string) error {
	try, err := h.Credentials.TrySignIn(ctx, account.AddressClaim, account.Credential)
	if err != nil {
		return err
	}
	if !try.Allowed {
		return ErrWrongPassword
	}
	ok, _, err := h.Passwords.Verify(ctx, try.PHC, domain.NormalPassword(current))
	if err != nil {
		h.giveBack(ctx, account.AddressClaim, account, try)
		return err
	}
	if !ok {
		return ErrWrongPassword
	}
	return h.Credentials.SignInSucceeded(ctx, account.AddressClaim)
}

// keepSession carries the session over the command's change, if that is the newest
// that ends sessions: a later one has ended this session too.
func (h *Handler) keepSession(ctx context.Context, account domain.Account, newest bool, session uuid.UUID) error {
	if newest {
		if _, err := h.Sessions.EndOthers(ctx, account, session); err != nil {
			return err
		}
	}
	return h.Sessions.Settle(ctx, account)
}
