package domain

import (
	"time"

	"github.com/google/uuid"
)

// Status is where an account stands in its life.
type Status string

const (
	// StatusNone is an account without events.
	StatusNone Status = ""
	// StatusPending is registered, the mailbox not proved yet.
	StatusPending Status = "pending"
	// StatusActive may sign in.
	StatusActive Status = "active"
	// StatusDeactivated was active and may not sign in.
	StatusDeactivated Status = "deactivated"
	// StatusAbandoned was fenced before it was registered.
	StatusAbandoned Status = "abandoned"
	// StatusExpired was never activated in time.
	StatusExpired Status = "expired"
	// StatusErased was given up for good: nothing can happen to it any more, and
	// nobody can be told from it.
	StatusErased Status = "erased"
)

// Account is the fold of an account's stream: all that its decisions need. It
// is a value; Evolve returns the next one.
type Account struct {
	ID       uuid.UUID
	Revision int64 // of the last event folded; NoStream when there is none
	Status   Status
	Staff    bool

	AddressClaim string // stream that indexes the address
	Email        string // stored spelling; mail goes here only
	Erased       bool   // personal fields are gone for ever
	Profile      Profile
	JoinedAt     time.Time
	// Version is the revision of the last event that changed a field the
	// person sees; a stranger's reset request does not move it.
	Version int64

	// Credential is the one that counts; zero before activation, and after that of
	// an invitation until a password is chosen.
	Credential uuid.UUID
	// CredentialRevision is the revision of the event that named Credential, or of
	// a later change of address. Sessions opened with an older one are over.
	CredentialRevision int64

	Activations []Activation // every attempt, oldest first, each id once
	Reset       Reset        // the newest request; zero ID when there is none
	// MailedAt holds the times of the newest token mails asked for, oldest
	// first, at most MaxMailsPerHour.
	MailedAt []time.Time

	AddressChange   AddressChange   // the newest request; zero ID when there is none
	AddressMailedAt []time.Time     // as MailedAt, of mails to new addresses
	FormerAddresses []FormerAddress // oldest first

	commands map[uuid.UUID]bool
}

// Profile holds the person's own fields. Empty means not given.
type Profile struct {
	FirstName   string
	LastName    string
	PhoneNumber string // E.164
	GithubLink  string
	BirthDate   string // YYYY-MM-DD
	Thumbnail   string // object key
}

// Activation is one attempt to prove the mailbox.
type Activation struct {
	ID           uuid.UUID
	CredentialID uuid.UUID // zero of an invitation
	Names        Names
	RequestedAt  time.Time // of the first request with this id
	MailedAt     time.Time // of the last request with this id
	ExpiresAt    time.Time
}

// Reset is a password reset.
type Reset struct {
	ID          uuid.UUID
	RequestedAt time.Time // of the first request with this id
	ExpiresAt   time.Time
	LinkOpened  bool
	Closed      bool // used, or dead by a later change
}

// NewAccount returns the account before its first event.
func NewAccount(id uuid.UUID) Account {
	return Account{ID: id, Revision: NoStream, Version: NoStream, CredentialRevision: NoStream}
}

// Applied reports whether an event of the command is in the stream: then the
// command's outcome is what the stream says, and it is not decided again.
func (a Account) Applied(commandID uuid.UUID) bool { return a.commands[commandID] }

// Active reports whether the person may sign in.
func (a Account) Active() bool { return a.Status == StatusActive }

// OwnsAddress reports whether the account holds its address: claims of accounts
// that do not may be taken over.
func (a Account) OwnsAddress() bool {
	return a.Status == StatusPending || a.Status == StatusActive || a.Status == StatusDeactivated
}

// Has reports whether the claim is of the account's address: which key of addresses
// names the stream does not matter.
func (a Account) Has(claim Claim) bool {
	return a.AddressClaim == claim.Stream || claim.Canonical != "" && sameAs(a.Email, claim.Canonical)
}

// sameAs reports whether the spelling is one of the canonical address.
func sameAs(spelling, canonical string) bool {
	email, err := ParseEmail(spelling)
	return err == nil && email.Canonical == canonical
}

// Activation returns the attempt with the id.
func (a Account) Activation(id uuid.UUID) (Activation, bool) {
	for _, activation := range a.Activations {
		if activation.ID == id {
			return activation, true
		}
	}
	return Activation{}, false
}

// LastActivation returns the attempt that was mailed last.
func (a Account) LastActivation() (Activation, bool) {
	if len(a.Activations) == 0 {
		return Activation{}, false
	}
	last := a.Activations[0]
	for _, activation := range a.Activations[1:] {
		if !activation.MailedAt.Before(last.MailedAt) {
			last = activation
		}
	}
	return last, true
}

// Invitation reports whether an operator made the attempt, which brings no
// password.
func (v Activation) Invitation() bool { return v.CredentialID == uuid.Nil }

// Open reports whether the attempt's link still works at the time.
func (v Activation) Open(now time.Time) bool { return now.Before(v.ExpiresAt) }

// Open reports whether the reset's link still works at the time.
func (r Reset) Open(now time.Time) bool {
	return r.ID != uuid.Nil && !r.Closed && now.Before(r.ExpiresAt)
}
