package domain

import (
	"cmp"
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

// CreateStaff is the command of an operator to open an account for somebody, with
// staff rights and without a password: its CredentialID is zero.
type CreateStaff struct {
	Register
	Reason string
}

// Decide opens the account as Register does. The rights count once the mailbox is
// proved; until a password is chosen, nobody can sign in.
func (c CreateStaff) Decide(a Account, now time.Time) ([]Event, error) {
	events, err := c.Register.Decide(a, now)
	if err != nil {
		return nil, err
	}
	return append(events, StaffGranted{c.Reason}), nil
}

// RegisterAgain is the command to try a registration of an address whose
// account was never activated: an attempt of its own, beside the others.
type RegisterAgain struct {
	Names        Names
	ActivationID uuid.UUID
	CredentialID uuid.UUID
	ExpiresAt    time.Time
	Cap          MailCap
}

// Decide adds the attempt if the last activation mail is old enough; asking
// sooner changes nothing, so nobody can flood a mailbox. Of an account that an
// operator made, the invitation is mailed again instead: a stranger's password must
// not come by rights that were given to somebody else.
func (c RegisterAgain) Decide(a Account, now time.Time) ([]Event, error) {
	if a.Status != StatusPending {
		return nil, ErrAddressTaken
	}
	last, ok := a.LastActivation()
	if ok && now.Sub(last.MailedAt) < ActivationMailInterval || c.Cap.usedUp(a.MailedAt, now) {
		return nil, nil
	}
	if ok && last.Invitation() {
		return []Event{invite(last, c.ActivationID, c.ExpiresAt, now)}, nil
	}
	return []Event{ActivationRequested{c.ActivationID, c.CredentialID, c.ExpiresAt, Seal(c.Names)}}, nil
}

// RequestActivation is the command to mail the activation link again.
type RequestActivation struct {
	ActivationID uuid.UUID // of a new request, when one is due
	ExpiresAt    time.Time
	Cap          MailCap
}

// Decide mails the same link again while it has half its life left; later a new
// one with the same names and credential.
func (c RequestActivation) Decide(a Account, now time.Time) ([]Event, error) {
	last, ok := a.LastActivation()
	if a.Status != StatusPending || !ok {
		return nil, ErrNotPending
	}
	if c.Cap.usedUp(a.MailedAt, now) {
		return nil, nil
	}
	return []Event{invite(last, c.ActivationID, c.ExpiresAt, now)}, nil
}

// invite asks for the last link once more, or for a new one with the same names and
// credential when less than half of its life is left.
func invite(last Activation, id uuid.UUID, expires, now time.Time) Event {
	if halfLeft(last.RequestedAt, last.ExpiresAt, now) {
		id, expires = last.ID, last.ExpiresAt
	}
	return ActivationRequested{id, last.CredentialID, expires, Seal(last.Names)}
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

// AcceptInvitation is the command of somebody who holds the link of an invitation.
type AcceptInvitation struct {
	Activate
	RequestReset // by which the first password is chosen
}

// Decide activates as Activate does, and asks for a reset in the same append: an
// invitation brings no password.
func (c AcceptInvitation) Decide(a Account, now time.Time) ([]Event, error) {
	events, err := c.Activate.Decide(a, now)
	if err != nil {
		return nil, err
	}
	return append(events, ResetRequested{c.ResetID, c.ExpiresAt}), nil
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

// MailCap is how many token mails an account may be asked for in an hour: at most
// MaxMailsPerHour. The zero value is MailsPerHour.
type MailCap int

// usedUp reports whether the hour's mails are spent, of which the last are given.
func (m MailCap) usedUp(mailed []time.Time, now time.Time) bool {
	most := min(int(cmp.Or(m, MailsPerHour)), MaxMailsPerHour)
	return len(mailed) >= most && now.Sub(mailed[len(mailed)-most]) < time.Hour
}
