package commands

import (
	"context"
	"errors"
	"log/slog"

	"github.com/google/uuid"

	"daybook/domain"
)

// EraseAccount ends the account of a signed-in person for good, who must know the
// password. When it returns without an error, every session and link is dead on every
// node and the key that opens the person's events is destroyed, whatever the
// projectors do. What fails after that is left to housekeeping.
func (h *Handler) EraseAccount(ctx context.Context, c Caller, id uuid.UUID, current string) (Result, error) {
	account, err := h.Store.Account(ctx, id)
	if err != nil {
		return Result{}, err
	}
	if !account.Applied(c.CommandID) {
		if err := h.proveCurrent(ctx, account, current); err != nil {
			return Result{}, err
		}
	}
	account, err = h.erase(ctx, c, account, domain.Erase{Reason: domain.ReasonOwner, Owner: true, CurrentCredential: account.Credential})
	return Result{account}, err
}

// EraseFor ends an account at somebody else's request, as EraseAccount does. An
// account that was erased before stays as it is.
func (h *Handler) EraseFor(ctx context.Context, c Caller, id uuid.UUID, reason string) (Result, error) {
	account, err := h.Store.Account(ctx, id)
	if err != nil {
		return Result{}, err
	}
	account, err = h.erase(ctx, c, account, domain.Erase{Reason: reason})
	return Result{account}, err
}

// erase takes the decision first: what is destroyed for it is destroyed for good, and
// an append may be refused.
func (h *Handler) erase(ctx context.Context, c Caller, account domain.Account, command domain.Erase) (domain.Account, error) {
	account, err := h.executeFrom(ctx, c, account, step{name: "EraseAccount", command: command, stage: h.stagePending})
	if err != nil || account.Status != domain.StatusErased {
		return account, err
	}
	remains, err := h.destroy(ctx, account)
	if err != nil {
		return account, err
	}
	if err := h.clear(ctx, c, account, remains); err != nil {
		h.Logger.WarnContext(ctx, "an erasure is left to housekeeping", slog.String("account", account.ID.String()), slog.Any("error", err))
	}
	return account, nil
}

// FinishErasure does what is left of an erasure that the account's stream has decided;
// of any other account it does nothing. It is repeatable.
func (h *Handler) FinishErasure(ctx context.Context, c Caller, id uuid.UUID) error {
	account, err := h.Store.Account(ctx, id)
	if err != nil || account.Status != domain.StatusErased {
		return err
	}
	remains, err := h.destroy(ctx, account)
	if err != nil {
		return err
	}
	return h.clear(ctx, c, account, remains)
}

// destroy ends the sessions, then the key. The sessions come first: with a key that is
// gone, a session that is not would show a person without a name. What the history
// tells of the rest is read before it falls silent.
func (h *Handler) destroy(ctx context.Context, account domain.Account) (domain.Remains, error) {
	if err := h.Sessions.Settle(ctx, account); err != nil {
		return domain.Remains{}, err
	}
	remains, err := h.Store.Remains(ctx, account.ID)
	if err != nil {
		return domain.Remains{}, err
	}
	return remains, h.Vault.Erase(ctx, account.ID, remains.Farewell)
}

// clear gives the addresses back and removes pictures. All of it can be found again
// without the key.
func (h *Handler) clear(ctx context.Context, c Caller, account domain.Account, remains domain.Remains) error {
	var failed []error
	for _, claim := range remains.Claims {
		failed = append(failed, h.giveUpClaim(ctx, c, claim, account))
	}
	if h.Objects == nil {
		return errors.Join(failed...)
	}
	for _, picture := range remains.Pictures {
		failed = append(failed, h.Objects.Remove(ctx, picture))
	}
	return errors.Join(failed...)
}

// giveUpClaim gives a claim back, unless somebody else has it by now.
func (h *Handler) giveUpClaim(ctx context.Context, c Caller, stream string, account domain.Account) error {
	for range maxAttempts {
		claim, err := h.Store.ClaimAt(ctx, stream)
		if err != nil || !claim.Held || claim.Holder != account.ID {
			return err
		}
		if released, err := h.release(ctx, c, claim, account); released || err != nil {
			return err
		}
	}
	return errBusy
}
