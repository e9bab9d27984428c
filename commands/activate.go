package commands

import (
	"context"

	"github.com/google/uuid"

	"daybook/domain"
)

// RequestActivation mails the activation link again. The answer to an address
// that waits for none is domain.ErrNotPending; whether the caller is told so is
// the contract's matter.
func (h *Handler) RequestActivation(ctx context.Context, c Caller, address string) error {
	account, err := h.accountAt(ctx, address)
	if err != nil {
		return err
	}
	_, err = h.executeFrom(ctx, c, account, step{
		name: "RequestActivation",
		command: domain.RequestActivation{
			ActivationID: h.derive(c, "activation", 0),
			ExpiresAt:    h.activationEnds(),
			Cap:          h.Config.MailsPerHour,
		},
	})
	return err
}

// Activation returns the attempt that the link stands for, so that its page can
// show whose it is. It changes nothing.
func (h *Handler) Activation(ctx context.Context, account uuid.UUID, token string) (domain.Activation, error) {
	folded, activation, err := h.findActivation(ctx, account, token)
	if err != nil {
		return domain.Activation{}, err
	}
	if folded.Status != domain.StatusPending || !activation.Open(h.Now()) {
		return domain.Activation{}, domain.ErrActivationInvalid
	}
	return activation, nil
}

// Activated is the account after its activation.
type Activated struct {
	Result
	// NewPassword is the second token of a reset, for whoever was invited: there is
	// no password yet. Empty for everybody else.
	NewPassword string
}

// Activate uses the link of one attempt. Whoever was invited gets the token to
// choose a password with.
func (h *Handler) Activate(ctx context.Context, c Caller, id uuid.UUID, token string) (Activated, error) {
	account, activation, err := h.findActivation(ctx, id, token)
	if err != nil {
		return Activated{}, err
	}
	if err := h.holdClaims(ctx, c, account); err != nil {
		return Activated{}, err
	}
	use := domain.Activate{ActivationID: activation.ID}
	do := step{name: "Activate", command: use}
	if activation.Invitation() {
		reset := domain.RequestReset{ResetID: h.derive(c, "reset", 0), ExpiresAt: h.resetEnds()}
		do = step{name: "AcceptInvitation", command: domain.AcceptInvitation{Activate: use, RequestReset: reset}}
	}
	account, err = h.executeFrom(ctx, c, account, do)
	if err != nil || !activation.Invitation() || !account.Reset.Open(h.Now()) {
		return Activated{Result: Result{account}}, err
	}
	second, err := h.Tokens.Token(ctx, domain.PurposeNewPassword, id, account.Reset.ID, account.Reset.ExpiresAt)
	return Activated{Result{account}, second}, err
}

// findActivation finds the attempt by its token, which does not name it: every
// attempt's token is compared, whether or not one before it matched. Whether the
// attempt still counts is decided later: a repeated command finds its own.
func (h *Handler) findActivation(ctx context.Context, id uuid.UUID, token string) (domain.Account, domain.Activation, error) {
	account, err := h.Store.Account(ctx, id)
	if err != nil {
		return domain.Account{}, domain.Activation{}, err
	}
	var found domain.Activation
	for _, activation := range account.Activations {
		ok, err := h.Tokens.Matches(ctx, token, domain.PurposeActivation, id, activation.ID, activation.ExpiresAt)
		if err != nil {
			return domain.Account{}, domain.Activation{}, err
		}
		if ok {
			found = activation
		}
	}
	if found.ID == uuid.Nil {
		return domain.Account{}, domain.Activation{}, domain.ErrActivationInvalid
	}
	return account, found, nil
}

// accountAt folds the account that holds the address. For an unknown address it
// reads an account that does not exist, so that both ways cost the same.
func (h *Handler) accountAt(ctx context.Context, address string) (domain.Account, error) {
	email, err := domain.ParseEmail(address)
	if err != nil {
		return domain.Account{}, err
	}
	claim, err := h.Store.Claim(ctx, email)
	if err != nil {
		return domain.Account{}, err
	}
	return h.holder(ctx, claim)
}

func (h *Handler) holder(ctx context.Context, claim domain.Claim) (domain.Account, error) {
	id := claim.Holder
	if !claim.Held {
		id = uuid.New()
	}
	account, err := h.Store.Account(ctx, id)
	if err == nil && !account.Has(claim) {
		// A claim is only an index: the account decides what it owns.
		return domain.NewAccount(id), nil
	}
	return account, err
}
