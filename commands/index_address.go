package commands

import (
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/google/uuid"

	"daybook/domain"
)

// While a key of addresses is changed, an address is claimed under several keys, and an
// account comes to own it only with all claims that the deciding process knows of. Any
// two processes have a key in common, so no two accounts get all of theirs; see
// docs/decisions.md.

// inOrder is the order in which claims are taken: the same for every process, so that
// two registrations do not each wait for the other's.
func inOrder(claims []domain.Claim) []domain.Claim {
	return slices.SortedFunc(slices.Values(claims), func(a, b domain.Claim) int { return strings.Compare(a.Stream, b.Stream) })
}

// holdClaims makes sure, before an account is activated, that it has every claim of its
// address: it may have been registered by a process that did not know of all keys.
func (h *Handler) holdClaims(ctx context.Context, c Caller, account domain.Account) error {
	only, err := h.Store.OnlyClaim(account.AddressClaim)
	if only || err != nil || account.Status != domain.StatusPending {
		return err
	}
	_, err = h.claimAll(ctx, c, "Activate", account)
	if errors.Is(err, errOwned) {
		return domain.ErrActivationInvalid
	}
	return err
}

// IndexAddress claims the account's address under every key under which it is not yet,
// and returns how many claims that were. An account that owns no address has none.
func (h *Handler) IndexAddress(ctx context.Context, c Caller, id uuid.UUID) (claimed int, err error) {
	account, err := h.Store.Account(ctx, id)
	if err != nil || !account.OwnsAddress() {
		return 0, err
	}
	claimed, err = h.claimAll(ctx, c, "IndexAddress", account)
	if errors.Is(err, errOwned) && account.Status == domain.StatusPending {
		err = nil // it cannot be activated any more; see holdClaims
	}
	return claimed, err
}

var errOwned = errors.New("another account owns the address")

// claimAll takes all claims of the account's address that it does not hold.
func (h *Handler) claimAll(ctx context.Context, c Caller, command string, account domain.Account) (claimed int, err error) {
	email, err := domain.ParseEmail(account.Email)
	if err != nil {
		return 0, err
	}
	for attempt := 0; ; attempt++ {
		claims, err := h.Store.Claims(ctx, email)
		if err != nil {
			return claimed, err
		}
		missing := slices.IndexFunc(claims, func(claim domain.Claim) bool { return !claim.Held || claim.Holder != account.ID })
		if missing < 0 {
			return claimed, nil
		}
		taken, err := h.claimOwn(ctx, c, command, claims[missing], account.ID)
		if err != nil {
			return claimed, err
		}
		if taken {
			claimed++
		} else if err := pause(ctx, attempt); err != nil {
			return claimed, err
		}
	}
}

// claimOwn takes one claim for the account that owns the address. Without an error and
// not taken, things have moved.
func (h *Handler) claimOwn(ctx context.Context, c Caller, command string, claim domain.Claim, account uuid.UUID) (taken bool, err error) {
	if claim.Held {
		holder, err := h.Store.Account(ctx, claim.Holder)
		if err != nil {
			return false, err
		}
		if holder.Owns(claim) {
			return false, errOwned
		}
		if free, err := h.takeOver(ctx, c, claim, holder); !free || err != nil {
			return false, err
		}
	}
	return h.claim(ctx, c, command, claim, account)
}
