package domain

import (
	"slices"
	"time"

	"github.com/google/uuid"
)

// AddressChange is a change of address that somebody signed in has asked for.
type AddressChange struct {
	ID           uuid.UUID
	AddressClaim string // stream that indexes the new address
	Email        string // the new address as typed; mail goes to this spelling
	// Session is the one that asked last, with the password: it outlives the
	// change, all others end.
	Session     uuid.UUID
	RequestedAt time.Time // of the first request with this id
	Revision    int64     // of the first request with this id
	ExpiresAt   time.Time
	Closed      bool // made, or dead by a later change
	// FormerClaim indexes the address that the change gave up, and
	// ChangedRevision is of the event that made it; both say nothing before.
	FormerClaim     string
	ChangedRevision int64
}

// FormerAddress is an address that was the account's until, not including, an
// event.
type FormerAddress struct {
	Email string
	Until int64 // revision
}

// Open reports whether the link of the change still works at the time.
func (c AddressChange) Open(now time.Time) bool { return c.pending() && now.Before(c.ExpiresAt) }

// Made reports whether the change has happened.
func (c AddressChange) Made() bool { return c.FormerClaim != "" }

// pending asks no clock: another host's may be late.
func (c AddressChange) pending() bool { return c.ID != uuid.Nil && !c.Closed }

// EmailAt returns the address that was the account's right after the event of the
// revision.
func (a Account) EmailAt(revision int64) string {
	for _, former := range a.FormerAddresses {
		if revision < former.Until {
			return former.Email
		}
	}
	return a.Email
}

// MayComplete reports whether the change of address by which the claim was made
// may yet happen. Who wants to take over such a claim must abandon the change
// first: no clock says that nobody is about to complete it.
func (a Account) MayComplete(claim Claim) bool {
	return a.Active() && a.AddressChange.pending() && a.AddressChange.ID == claim.ClaimedBy
}

// ErrAddressChangeInvalid is the one answer to every link to a new address that
// does not work: malformed, expired, superseded, used, or too late for the address.
var ErrAddressChangeInvalid = Refuse(KindInvalid, "address_change_invalid",
	"It appears that your link has expired or was used before. Ask for the change of address again")

// ErrSameAddress refuses a change to the address that the account has.
var ErrSameAddress error = &Error{Kind: KindInvalid, Code: "same_address", Message: sameAddress,
	Fields: map[string]string{"email": sameAddress}}

const sameAddress = "This is the address of your account already."

// ErrAddressChangesUsedUp refuses more mails to new addresses than the cap.
var ErrAddressChangesUsedUp = Refuse(KindTooMany, "too_many_address_changes",
	"You have asked for too many changes of your address. Try again in an hour")

// RequestAddressChange is the command of a signed-in person, who has proved the
// password of the credential named here, to mail a link to a new address.
type RequestAddressChange struct {
	ChangeID          uuid.UUID // of a new request, when one is due
	AddressClaim      string
	Email             string
	CurrentCredential uuid.UUID
	ExpiresAt         time.Time
	Cap               MailCap
}

// Decide mails the link of an open request for the same address again while it has
// half its life left; else a new request supersedes it. These mails have a cap of
// their own: with that of resets, any stranger could use it up.
func (c RequestAddressChange) Decide(a Account, now time.Time) ([]Event, error) {
	switch open := a.AddressChange; {
	case !a.Active():
		return nil, ErrNotSignedIn
	case a.Credential != c.CurrentCredential:
		return nil, ErrPasswordChanged
	case a.AddressClaim == c.AddressClaim || sameAddressAs(a.Email, c.Email):
		return nil, ErrSameAddress
	case c.Cap.usedUp(a.AddressMailedAt, now):
		return nil, ErrAddressChangesUsedUp
	case open.Open(now) && open.AddressClaim == c.AddressClaim && open.Email == c.Email && halfLeft(open.RequestedAt, open.ExpiresAt, now):
		return []Event{AddressChangeRequested{open.ID, open.AddressClaim, open.ExpiresAt, Seal(NewAddress{open.Email})}}, nil
	}
	return []Event{AddressChangeRequested{c.ChangeID, c.AddressClaim, c.ExpiresAt, Seal(NewAddress{c.Email})}}, nil
}

// sameAddressAs compares two spellings.
func sameAddressAs(one, other string) bool {
	email, err := ParseEmail(other)
	return err == nil && sameAs(one, email.Canonical)
}

// ChangeAddress is the command of somebody who holds the link mailed to the new
// address, which was claimed by this change.
type ChangeAddress struct{ ChangeID uuid.UUID }

// Decide changes the address once per request.
func (c ChangeAddress) Decide(a Account, now time.Time) ([]Event, error) {
	change := a.AddressChange
	if !a.Active() || change.ID != c.ChangeID || !change.Open(now) {
		return nil, ErrAddressChangeInvalid
	}
	return []Event{AddressChanged{change.ID, change.AddressClaim, a.AddressClaim, Seal(NewAddress{change.Email})}}, nil
}

// AbandonAddressChange is the fence: it closes a change that has claimed an
// address and did not come to its end, so that a late append of it fails.
type AbandonAddressChange struct {
	ChangeID uuid.UUID
	Reason   string
}

// Decide closes the change if it is still to come.
func (c AbandonAddressChange) Decide(a Account, _ time.Time) ([]Event, error) {
	if a.AddressChange.ID != c.ChangeID || !a.AddressChange.pending() {
		return nil, nil
	}
	return []Event{AddressChangeAbandoned(c)}, nil
}

// YieldRegistration is the command to end a registration that never proved its
// mailbox, because somebody else has.
type YieldRegistration struct{ Reason string }

// Decide ends a pending registration; any other account keeps its address, an
// operator's invitation too.
func (c YieldRegistration) Decide(a Account, _ time.Time) ([]Event, error) {
	if !a.yields() {
		return nil, nil
	}
	return []Event{RegistrationExpired(c)}, nil
}

func (a Account) addressChangeRequested(e AddressChangeRequested, r Recorded) Account {
	a.AddressMailedAt = lastMails(a.AddressMailedAt, r)
	session, _ := uuid.Parse(r.Metadata.Session) // absent when nobody's
	if a.AddressChange.ID == e.ChangeID {
		a.AddressChange.Session = session
		return a
	}
	a.AddressChange = AddressChange{
		ID: e.ChangeID, AddressClaim: e.AddressClaim, Email: e.Personal.Value.Email, Session: session,
		RequestedAt: r.Metadata.OccurredAt, Revision: r.Revision, ExpiresAt: e.ExpiresAt, Closed: e.Personal.Erased,
	}
	return a
}

// addressChanged makes every session and link of before void, as a change of the
// password does.
func (a Account) addressChanged(e AddressChanged, r Recorded) Account {
	a.FormerAddresses = append(slices.Clone(a.FormerAddresses), FormerAddress{a.Email, r.Revision})
	a.AddressClaim, a.Email, a.Version = e.AddressClaim, e.Personal.Value.Email, r.Revision
	a.Erased = a.Erased || e.Personal.Erased
	a.CredentialRevision = r.Revision
	a = a.closeLinks()
	if a.AddressChange.ID == e.ChangeID {
		a.AddressChange.FormerClaim, a.AddressChange.ChangedRevision = e.FormerClaim, r.Revision
	}
	return a
}

// closeLinks ends what was asked for by mail and not done.
func (a Account) closeLinks() Account {
	a.Reset.Closed, a.AddressChange.Closed = true, true
	return a
}
