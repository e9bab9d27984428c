package domain

import (
	"time"

	"github.com/google/uuid"
)

// ActivationMailInterval is how old the last activation mail must be before
// registering the address again mails another one.
const ActivationMailInterval = 10 * time.Minute

// ErrAddressTaken refuses a registration of an address that an account owns.
var ErrAddressTaken = Refuse(KindInvalid, "address_taken", "A user with that email address already exists")

// ErrActivationInvalid is the one answer to every activation link that does not
// work: malformed, expired, used, already active.
var ErrActivationInvalid = Refuse(KindInvalid, "activation_invalid",
	"It appears that your confirmation token has expired or previously used. Kindly generate a new token")

// ErrNotPending refuses to mail a link to an account that waits for none.
var ErrNotPending = Refuse(KindNotFound, "not_pending",
	"A user with this e-mail address does not exist. If you registered with this email, ensure you haven't activated it yet. You can check by logging in")

// Register is the command to open an account on a claimed address.
type Register struct {
	AddressClaim string
	Email        string
	Names        Names
	ActivationID uuid.UUID
	CredentialID uuid.UUID
	ExpiresAt    time.Time
}

// Decide registers on an empty stream only; a fence there refuses for ever.
func (c Register) Decide(a Account, _ time.Time) ([]Event, error) {
	if a.Status != StatusNone {
		return nil, ErrAddressTaken
	}
	return []Event{
		AccountRegistered{
			AddressClaim: c.AddressClaim,
			Personal:     Seal(RegisteredDetails{c.Email, c.Names.FirstName, c.Names.LastName}),
		},
		ActivationRequested{c.ActivationID, c.CredentialID, c.ExpiresAt, Seal(c.Names)},
	}, nil
}

// RegisterAgain is the command to try a registration of an address whose
// account was never activated: an attempt of its own, beside the others.
type RegisterAgain struct {
	Names        Names
	ActivationID uuid.UUID
	CredentialID uuid.UUID
	ExpiresAt    time.Time
}

// Decide adds the attempt if the last activation mail is old enough; asking
// sooner changes nothing, so nobody can flood a mailbox.
func (c RegisterAgain) Decide(a Account, now time.Time) ([]Event, error) {
	if a.Status != StatusPending {
		return nil, ErrAddressTaken
	}
	last, ok := a.LastActivation()
	if ok && now.Sub(last.MailedAt) < ActivationMailInterval || a.mailsUsedUp(now) {
		return nil, nil
	}
	return []Event{ActivationRequested{c.ActivationID, c.CredentialID, c.ExpiresAt, Seal(c.Names)}}, nil
}

// RequestActivation is the command to mail the activation link again.
type RequestActivation struct {
	ActivationID uuid.UUID // of a new request, when one is due
	ExpiresAt    time.Time
}

// Decide mails the same link again while it has half its life left; later a new
// one with the same names and credential.
func (c RequestActivation) Decide(a Account, now time.Time) ([]Event, error) {
	last, ok := a.LastActivation()
	if a.Status != StatusPending || !ok {
		return nil, ErrNotPending
	}
	if a.mailsUsedUp(now) {
		return nil, nil
	}
	if halfLeft(last.RequestedAt, last.ExpiresAt, now) {
		return []Event{ActivationRequested{last.ID, last.CredentialID, last.ExpiresAt, Seal(last.Names)}}, nil
	}
	return []Event{ActivationRequested{c.ActivationID, last.CredentialID, c.ExpiresAt, Seal(last.Names)}}, nil
}

// Activate is the command of somebody who holds the link of an attempt.
type Activate struct{ ActivationID uuid.UUID }

// Decide activates once, with an unexpired attempt.
func (c Activate) Decide(a Account, now time.Time) ([]Event, error) {
	activation, ok := a.Activation(c.ActivationID)
	if !ok || a.Status != StatusPending || !activation.Open(now) {
		return nil, ErrActivationInvalid
	}
	return []Event{AccountActivated{activation.ID, activation.CredentialID}}, nil
}

// AbandonRegistration is the fence: it claims the empty stream of a
// registration that seems lost, so that its late registrant fails.
type AbandonRegistration struct{ Reason string }

// Decide fences an empty stream; on any other there is nothing to fence.
func (c AbandonRegistration) Decide(a Account, _ time.Time) ([]Event, error) {
	if a.Status != StatusNone {
		return nil, nil
	}
	return []Event{RegistrationAbandoned(c)}, nil
}

// ExpireRegistration ends a registration that was never activated.
type ExpireRegistration struct {
	Reason string
	// After is how long after its last open attempt an account expires.
	After time.Duration
}

// Decide expires a pending account once all its links are dead for long enough.
func (c ExpireRegistration) Decide(a Account, now time.Time) ([]Event, error) {
	if a.Status != StatusPending {
		return nil, nil
	}
	for _, activation := range a.Activations {
		if now.Before(activation.ExpiresAt.Add(c.After)) {
			return nil, nil
		}
	}
	return []Event{RegistrationExpired{c.Reason}}, nil
}

// halfLeft reports whether at least half of the life is still to come.
func halfLeft(from, to, now time.Time) bool { return to.Sub(now) >= to.Sub(from)/2 }

// mailsUsedUp reports whether the hour's token mails are spent.
func (a Account) mailsUsedUp(now time.Time) bool { return usedUp(a.MailedAt, now) }

func usedUp(mailed []time.Time, now time.Time) bool {
	return len(mailed) >= MailsPerHour && now.Sub(mailed[len(mailed)-MailsPerHour]) < time.Hour
}
