package email

import (
	"context"
	"time"

	"daybook/domain"
)

// Reasons not to send a mail. They are kept in jobs.
const (
	expired        = "expired"
	erased         = "erased"
	used           = "used"
	superseded     = "superseded"
	notPending     = "not pending"
	notActive      = "not active"
	unknownRequest = "unknown request"
	askedAgain     = "asked again"
	addressTaken   = "address taken"
)

// untrue returns why the mail should not be sent any more, or nothing. The
// account is folded at least as far as the task's revision.
func untrue(t task, a domain.Account, now time.Time) string {
	switch {
	case !now.Before(t.until):
		return expired
	case a.Erased || t.recipient(a) == "":
		return erased
	}
	switch t.mail {
	case kindActivation, kindInvitation:
		return untrueActivation(t, a, now)
	case kindReset:
		return untrueReset(t, a, now)
	case kindNewAddress:
		return untrueNewAddress(t, a, now)
	case kindAddressChangeRequested:
		return untrueAddressChange(t, a)
	case kindAlreadyRegistered, kindNewDevice:
		if !a.Active() {
			return notActive
		}
	}
	return ""
}

func untrueActivation(t task, a domain.Account, now time.Time) string {
	activation, ok := a.Activation(t.request)
	switch {
	case a.Status != domain.StatusPending:
		return notPending
	case !ok:
		return unknownRequest
	case !activation.Open(now):
		return expired
	}
	return overtaken(t, activation.MailedAt)
}

func untrueReset(t task, a domain.Account, now time.Time) string {
	switch {
	case !a.Active():
		return notActive
	case a.Reset.ID != t.request:
		return superseded
	case a.Reset.Closed:
		return used
	case !a.Reset.Open(now):
		return expired
	}
	// An active account is mailed no other links than those of resets.
	return overtaken(t, a.MailedAt[len(a.MailedAt)-1])
}

func untrueNewAddress(t task, a domain.Account, now time.Time) string {
	switch change := a.AddressChange; {
	case !a.Active():
		return notActive
	case change.ID != t.request:
		return superseded
	case change.Closed:
		return used
	case !change.Open(now):
		return expired
	}
	return overtaken(t, a.AddressMailedAt[len(a.AddressMailedAt)-1])
}

// untrueAddressChange tells once of a change, however often its link is mailed, and
// leaves one that was made to the notice of that.
func untrueAddressChange(t task, a domain.Account) string {
	switch change := a.AddressChange; {
	case change.ID != t.request:
		return superseded
	case change.Made():
		return used
	case change.Revision != t.revision:
		return askedAgain
	}
	return ""
}

// taken returns why no link goes to a new address: the account that has it was told
// when the change was asked for.
func (m *Mailer) taken(ctx context.Context, t task, a domain.Account) (string, error) {
	if t.mail != kindNewAddress {
		return "", nil
	}
	claim, err := m.Claim(ctx, a.AddressChange.AddressClaim)
	if email, invalid := domain.ParseEmail(a.AddressChange.Email); invalid == nil {
		claim.Canonical = email.Canonical // its owner may have it under another key
	}
	if err != nil || !claim.Held || claim.Holder == a.ID {
		return "", err
	}
	holder, err := m.account(ctx, claim.Holder)
	if err != nil || !holder.Keeps(claim) {
		return "", err
	}
	return addressTaken, nil
}

// overtaken spares people the same link several times after an outage: a mail
// that is late already leaves it to that of a later request.
func overtaken(t task, mailedAt time.Time) string {
	if t.attempt > 1 && t.occurredAt.Before(mailedAt) {
		return askedAgain
	}
	return ""
}
