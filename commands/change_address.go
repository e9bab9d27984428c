package commands

import (
	"context"
	"errors"
	"slices"

	"github.com/google/uuid"

	"daybook/domain"
)

// RequestAddressChange is the command of a signed-in person to have a link mailed
// to a new address.
type RequestAddressChange struct {
	Email    string
	Password string // the current one
	// Concealed makes an address that another account owns look like a free one,
	// also in the own account's stream. No link is mailed to it all the same: the
	// mailer asks again who owns it.
	Concealed bool
}

// RequestAddressChange asks for the change; until the link is used the account keeps
// its address. The owner of an address that is taken gets a notice, and the answer
// is domain.ErrAddressTaken unless it is to be concealed. A registration that was
// never activated keeps no address from somebody who can read its mail.
func (h *Handler) RequestAddressChange(ctx context.Context, c Caller, id uuid.UUID, in RequestAddressChange) (Result, error) {
	email, err := domain.ParseEmail(in.Email)
	if err != nil {
		return Result{}, err
	}
	account, err := h.Store.Account(ctx, id)
	if err != nil || account.Applied(c.CommandID) {
		return Result{account}, err
	}
	claim, err := h.Store.Claim(ctx, email)
	if err != nil {
		return Result{}, err
	}
	command := domain.RequestAddressChange{
		ChangeID: h.derive(c, "address", 0), AddressClaim: claim.Stream, Email: email.Spelling,
		CurrentCredential: account.Credential, ExpiresAt: h.addressChangeEnds(), Cap: h.Config.MailsPerHour,
	}
	if _, err := command.Decide(account, h.Now()); err != nil {
		return Result{}, err // nothing is to be tried or told
	}
	if err := h.proveCurrent(ctx, account, in.Password); err != nil {
		return Result{}, err
	}
	if err := h.checkTaken(ctx, claim); err != nil && (!in.Concealed || !errors.Is(err, domain.ErrAddressTaken)) {
		return Result{}, err
	}
	account, err = h.executeFrom(ctx, c, account, step{name: "RequestAddressChange", command: command})
	return Result{account}, err
}

// checkTaken costs the same whether or not somebody holds the claim.
func (h *Handler) checkTaken(ctx context.Context, claim domain.Claim) error {
	holder, err := h.holder(ctx, claim)
	if err != nil || !holder.Keeps(claim) {
		return err
	}
	return h.refuseTaken(ctx, holder)
}

// AddressChange returns the change that the link stands for, so that its page can
// show it. It changes nothing.
func (h *Handler) AddressChange(ctx context.Context, id uuid.UUID, token string) (domain.AddressChange, error) {
	account, err := h.findAddressChange(ctx, id, token)
	return account.AddressChange, err
}

// ChangeAddress uses the link: the account has the new address, signs in with it
// and not with the former one, and every session but the one that asked is over,
// whatever the projectors do. Used again it completes what a crash has left, and
// answers the same. The answer is domain.ErrAddressTaken when somebody owns the
// address by now.
func (h *Handler) ChangeAddress(ctx context.Context, c Caller, id uuid.UUID, token string) (Result, error) {
	account, err := h.findAddressChange(ctx, id, token)
	if err != nil {
		return Result{}, err
	}
	c.CommandID = account.AddressChange.ID // it is one command, however often the link is used
	if account.AddressChange.Made() {
		return h.completeAddress(ctx, c, account)
	}
	former, err := h.claimsOf(ctx, account.Email)
	if err != nil {
		return Result{}, err
	}
	if err := h.claimNewAddress(ctx, c, account); err != nil {
		return Result{}, err
	}
	account, err = h.executeFrom(ctx, c, account, step{
		name: "ChangeAddress", command: domain.ChangeAddress{ChangeID: c.CommandID}, stage: h.stagePending,
	})
	if err != nil {
		return Result{}, err
	}
	if err := h.settleAddress(ctx, account); err != nil {
		return Result{}, err
	}
	h.releaseFormer(ctx, c, former, account)
	return Result{account}, nil
}

// completeAddress does what a crash may have left of a change that was made.
func (h *Handler) completeAddress(ctx context.Context, c Caller, account domain.Account) (Result, error) {
	if err := h.settleAddress(ctx, account); err != nil {
		return Result{}, err
	}
	former, err := h.claimsOf(ctx, account.EmailAt(account.AddressChange.ChangedRevision-1))
	if err != nil {
		return Result{}, err
	}
	if slices.ContainsFunc(former, func(claim domain.Claim) bool { return claim.Held && claim.Holder == account.ID }) {
		later, err := h.Store.Account(ctx, account.ID) // behind the claims: see release
		if err != nil {
			return Result{}, err
		}
		h.releaseFormer(ctx, c, former, later)
	}
	return Result{account}, nil
}

// settleAddress ends the other sessions, unless a later change has ended this one
// too.
func (h *Handler) settleAddress(ctx context.Context, account domain.Account) error {
	change := account.AddressChange
	return h.keepSession(ctx, account, change.ChangedRevision == account.CredentialRevision, change.Session)
}

// findAddressChange compares the token with the newest request's. A change that was
// made by it is still found until the link's end.
func (h *Handler) findAddressChange(ctx context.Context, id uuid.UUID, token string) (domain.Account, error) {
	account, err := h.Store.Account(ctx, id)
	if err != nil {
		return domain.Account{}, err
	}
	change := account.AddressChange
	if change.ID == uuid.Nil {
		return domain.Account{}, domain.ErrAddressChangeInvalid
	}
	ok, err := h.Tokens.Matches(ctx, token, domain.PurposeNewAddress, id, change.ID, change.ExpiresAt)
	if err != nil {
		return domain.Account{}, err
	}
	made := change.Made() && account.AddressClaim == change.AddressClaim && h.Now().Before(change.ExpiresAt)
	if !ok || !account.Active() || !made && !change.Open(h.Now()) {
		return domain.Account{}, domain.ErrAddressChangeInvalid
	}
	return account, nil
}

// claimNewAddress claims by this very change, always behind a fold of the account:
// a claim by an earlier change of the same account does not count, because who takes
// that over looks for the earlier change only.
func (h *Handler) claimNewAddress(ctx context.Context, c Caller, account domain.Account) error {
	change := account.AddressChange
	email, err := domain.ParseEmail(change.Email)
	if err != nil {
		return err
	}
	for attempt := 0; ; attempt++ {
		claims, err := h.Store.Claims(ctx, email)
		if err != nil {
			return err
		}
		if !slices.ContainsFunc(claims, func(claim domain.Claim) bool { return claim.Stream == change.AddressClaim }) {
			return domain.ErrAddressChangeInvalid // its key of addresses was dropped meanwhile
		}
		claims = inOrder(claims)
		missing := slices.IndexFunc(claims, func(claim domain.Claim) bool {
			return !claim.Held || claim.Holder != account.ID || claim.ClaimedBy != change.ID
		})
		if missing < 0 {
			return nil
		}
		taken, err := h.claimForChange(ctx, c, claims[missing], account.ID)
		if err != nil || taken && len(claims) == 1 {
			return err
		}
		if taken {
			continue
		}
		if err := pause(ctx, attempt); err != nil {
			return err
		}
	}
}

func (h *Handler) claimForChange(ctx context.Context, c Caller, claim domain.Claim, account uuid.UUID) (taken bool, err error) {
	free, err := h.freeForChange(ctx, c, claim, account)
	if err != nil || !free {
		return false, err
	}
	return h.claim(ctx, c, "ChangeAddress", claim, account)
}

// freeForChange reports whether the claim may be taken. A registration that never
// proved the mailbox gives way to who has.
func (h *Handler) freeForChange(ctx context.Context, c Caller, claim domain.Claim, account uuid.UUID) (bool, error) {
	if !claim.Held || claim.Holder == account {
		return true, nil
	}
	holder, err := h.Store.Account(ctx, claim.Holder)
	switch {
	case err != nil:
		return false, err
	case holder.Keeps(claim):
		return false, domain.ErrAddressTaken
	case !holder.Owns(claim):
		return h.takeOver(ctx, c, claim, holder)
	}
	after, err := h.executeFrom(ctx, c, holder, step{
		name: "YieldRegistration", command: domain.YieldRegistration{Reason: "another account has proved the address"},
	})
	return err == nil && !after.Owns(claim), err
}
