package commands

import (
	"context"
	"errors"
	"log/slog"
	"slices"

	"github.com/google/uuid"

	"daybook/domain"
)

// claim appends the account's claim at the revision that was read. Without an
// error and not claimed, somebody was faster.
func (h *Handler) claim(ctx context.Context, c Caller, command string, claim domain.Claim, account uuid.UUID) (claimed bool, err error) {
	_, err = h.Store.Append(ctx, domain.Append{
		Stream: claim.Stream, Expected: claim.Revision,
		Events: []domain.Event{domain.AddressClaimed{AccountID: account}}, Metadata: h.metadata(c, command),
	})
	if errors.Is(err, domain.ErrConflict) {
		return false, nil
	}
	return err == nil, err
}

// takeOver sees to it that the holder, which does not own the address, never comes
// to own it by this claim: only then may somebody else claim, at the revision that
// was read before the holder. A registration that has not arrived is fenced, and so
// is a change of address that has not come to its end. Without an error and not
// free, things have moved.
func (h *Handler) takeOver(ctx context.Context, c Caller, claim domain.Claim, holder domain.Account) (free bool, err error) {
	arrives, completes := holder.Status == domain.StatusNone, holder.MayComplete(claim)
	switch {
	case !arrives && !completes:
		return true, nil
	case h.Now().Sub(claim.ClaimedAt).Abs() < fenceAfter:
		return false, pause(ctx, 6)
	case arrives:
		return h.fence(ctx, c, holder)
	}
	return h.fenceChange(ctx, c, claim, holder)
}

// fence closes the empty stream of a lost registration.
func (h *Handler) fence(ctx context.Context, c Caller, holder domain.Account) (bool, error) {
	after, err := h.executeFrom(ctx, c, holder, step{
		name: "AbandonRegistration", command: domain.AbandonRegistration{Reason: "superseded"},
	})
	return err == nil && after.Status == domain.StatusAbandoned, err
}

// fenceChange closes a change of address that is half-way. It is one command,
// whoever gives it: a caller that comes to fence a second change of the same account
// has not applied it yet.
func (h *Handler) fenceChange(ctx context.Context, c Caller, claim domain.Claim, holder domain.Account) (bool, error) {
	change := holder.AddressChange.ID
	c.CommandID = uuid.NewSHA1(change, []byte("abandon"))
	after, err := h.executeFrom(ctx, c, holder, step{
		name: "AbandonAddressChange", command: domain.AbandonAddressChange{ChangeID: change, Reason: "superseded"},
	})
	return err == nil && !after.Owns(claim) && !after.MayComplete(claim), err
}

// ReleaseAddress gives up the account's claim on an address that it does not own
// any more. Any other claim stays as it is; released tells whether this call gave
// it up.
func (h *Handler) ReleaseAddress(ctx context.Context, c Caller, id uuid.UUID, stream string) (released bool, err error) {
	claim, err := h.Store.ClaimAt(ctx, stream)
	if err != nil || !claim.Held || claim.Holder != id {
		return false, err
	}
	account, err := h.Store.Account(ctx, id)
	if err != nil {
		return false, err
	}
	// The account may have come back to the address and own it under another key.
	present, err := h.claimsOf(ctx, account.Email)
	if err != nil || slices.ContainsFunc(present, func(own domain.Claim) bool { return own.Stream == stream }) {
		return false, err
	}
	return h.release(ctx, c, claim, account)
}

// claimsOf folds the claims of an address that was an account's; of an erased one
// there are none.
func (h *Handler) claimsOf(ctx context.Context, email string) ([]domain.Claim, error) {
	if email == "" {
		return nil, nil
	}
	parsed, err := domain.ParseEmail(email)
	if err != nil {
		return nil, err
	}
	return h.Store.Claims(ctx, parsed)
}

// releaseFormer gives up the claims of the address that the account had before. What
// fails is left to housekeeping, or to whoever takes the claim over: it decides
// nothing, the account does not own the address any more.
func (h *Handler) releaseFormer(ctx context.Context, c Caller, claims []domain.Claim, account domain.Account) {
	for _, claim := range claims {
		if _, err := h.release(ctx, c, claim, account); err != nil {
			h.Logger.WarnContext(ctx, "a former address was not released", slog.String("account", account.ID.String()), slog.Any("error", err))
		}
	}
}

// release wants a claim that was read before the account: what the account could
// still come to own by it shows in the account, and by a later one not at this
// revision.
func (h *Handler) release(ctx context.Context, c Caller, claim domain.Claim, account domain.Account) (released bool, err error) {
	if !claim.Held || claim.Holder != account.ID || account.Status == domain.StatusNone || account.Owns(claim) || account.MayComplete(claim) {
		return false, nil
	}
	_, err = h.Store.Append(ctx, domain.Append{
		Stream: claim.Stream, Expected: claim.Revision,
		Events: []domain.Event{domain.AddressReleased{AccountID: account.ID}}, Metadata: h.metadata(c, "ReleaseAddress"),
	})
	if errors.Is(err, domain.ErrConflict) {
		return false, nil
	}
	return err == nil, err
}
