package domain

import (
	"time"

	"github.com/google/uuid"
)

// Event is a fact of an account, an address or a person's access. The set is
// closed: only types of this package implement it.
type Event interface{ event() }

// Personal is the part of an event that is sealed when stored. Erased says that
// the key is gone on purpose; Value is then empty and must not be read as "the
// person had no name".
type Personal[T any] struct {
	Value  T
	Erased bool
}

// Seal wraps a value that is to be sealed when the event is stored.
func Seal[T any](value T) Personal[T] { return Personal[T]{Value: value} }

// AccountRegistered is the first fact of every account; it takes the address
// that the claim stream indexes.
type AccountRegistered struct {
	AddressClaim string                      `json:"address_claim"`
	Personal     Personal[RegisteredDetails] `json:"-"`
}

// RegisteredDetails is the sealed part of AccountRegistered.
type RegisteredDetails struct {
	Email     string `json:"email"`
	FirstName string `json:"first_name"`
	LastName  string `json:"last_name"`
}

// ActivationRequested asks for proof of the mailbox. Each attempt brings its
// own names and credential; the attempt whose link is used decides which count,
// so nobody can plant a password on a stranger's address.
type ActivationRequested struct {
	ActivationID uuid.UUID       `json:"activation_id"`
	CredentialID uuid.UUID       `json:"credential_id"`
	ExpiresAt    time.Time       `json:"expires_at"`
	Personal     Personal[Names] `json:"-"`
}

// Names is the sealed part of ActivationRequested.
type Names struct {
	FirstName string `json:"first_name"`
	LastName  string `json:"last_name"`
}

// AccountActivated says that the mailbox was proved with this attempt's link.
type AccountActivated struct {
	ActivationID uuid.UUID `json:"activation_id"`
	CredentialID uuid.UUID `json:"credential_id"`
}

// RegistrationAbandoned fences a registration that never reached its account
// stream: written with no-stream, it makes the slow first registrant fail.
type RegistrationAbandoned struct {
	Reason string `json:"reason"`
}

// RegistrationExpired ends an account that was never activated.
type RegistrationExpired struct {
	Reason string `json:"reason"`
}

// ProfileUpdated carries the fields that changed and nothing else. Thumbnail is
// the object key, or null when it was removed; it counts only when Changed
// names it.
type ProfileUpdated struct {
	Changed   []string                 `json:"changed"`
	Thumbnail *string                  `json:"thumbnail"`
	Personal  Personal[ProfileDetails] `json:"-"`
}

// ProfileDetails holds the new values of the changed fields. A nil value of a
// changed field says that it was cleared.
type ProfileDetails struct {
	FirstName   *string `json:"first_name,omitempty"`
	LastName    *string `json:"last_name,omitempty"`
	PhoneNumber *string `json:"phone_number,omitempty"`
	GithubLink  *string `json:"github_link,omitempty"`
	BirthDate   *string `json:"birth_date,omitempty"`
}

// ResetRequested opens a password reset, or mails an open one again: then id
// and end are those of the first.
type ResetRequested struct {
	ResetID   uuid.UUID `json:"reset_id"`
	ExpiresAt time.Time `json:"expires_at"`
}

// ResetLinkOpened is a best-effort note for the funnel; no decision reads it.
type ResetLinkOpened struct {
	ResetID uuid.UUID `json:"reset_id"`
}

// Causes of a PasswordChanged.
const (
	CauseReset    = "reset"
	CauseChange   = "change"
	CauseOperator = "operator"
)

// PasswordChanged names the credential that counts from now on. It uses up the
// reset and ends every session opened with an older credential.
type PasswordChanged struct {
	CredentialID uuid.UUID  `json:"credential_id"`
	Cause        string     `json:"cause"`
	ResetID      *uuid.UUID `json:"reset_id,omitempty"`
}

// AccountDeactivated ends all sessions and refuses new ones.
type AccountDeactivated struct {
	Reason string `json:"reason"`
}

// AccountReactivated undoes AccountDeactivated.
type AccountReactivated struct {
	Reason string `json:"reason"`
}

// StaffGranted gives the account staff rights.
type StaffGranted struct {
	Reason string `json:"reason"`
}

// StaffRevoked takes staff rights away.
type StaffRevoked struct {
	Reason string `json:"reason"`
}

// AddressChangeRequested asks for proof of a new address, or mails an open request
// again: then id and end are those of the first. The account keeps its address.
type AddressChangeRequested struct {
	ChangeID     uuid.UUID            `json:"change_id"`
	AddressClaim string               `json:"address_claim"`
	ExpiresAt    time.Time            `json:"expires_at"`
	Personal     Personal[NewAddress] `json:"-"`
}

// NewAddress is the sealed part of AddressChangeRequested and AddressChanged.
type NewAddress struct {
	Email string `json:"email"`
}

// AddressChanged says that the new address was proved and is the account's from
// now on. It ends every link mailed before and every session but the one that asked.
type AddressChanged struct {
	ChangeID     uuid.UUID            `json:"change_id"`
	AddressClaim string               `json:"address_claim"`
	FormerClaim  string               `json:"former_claim"`
	Personal     Personal[NewAddress] `json:"-"`
}

// AddressChangeAbandoned fences a change that has claimed an address and did not
// come to its end, before somebody else takes the claim over.
type AddressChangeAbandoned struct {
	ChangeID uuid.UUID `json:"change_id"`
	Reason   string    `json:"reason"`
}

// ReasonOwner is the reason of an AccountErased that no operator gave.
const ReasonOwner = "owner"

// AccountErased is the last event of an account. From here on its person is a
// stranger: sessions and links are dead, the address is free, and the key that opens
// the sealed members of all its events is destroyed for good.
type AccountErased struct {
	Reason string `json:"reason"` // owner, or an operator's
}

// AddressClaimed says which account may use the address of this claim stream.
type AddressClaimed struct {
	AccountID uuid.UUID `json:"account_id"`
}

// AddressReleased says that the account gave the address up.
type AddressReleased struct {
	AccountID uuid.UUID `json:"account_id"`
}

// Origin is the sealed part of access events: where a sign-in came from.
type Origin struct {
	ClientAddress string `json:"client_address"`
	UserAgent     string `json:"user_agent"`
}

// SignedIn says that a session was opened. SessionID is the public id, never
// the token.
type SignedIn struct {
	SessionID uuid.UUID        `json:"session_id"`
	Cause     string           `json:"cause"`
	Personal  Personal[Origin] `json:"-"`
}

// SignedOut says that the person ended this session.
type SignedOut struct {
	SessionID uuid.UUID        `json:"session_id"`
	Cause     string           `json:"cause"`
	Personal  Personal[Origin] `json:"-"`
}

// SessionEnded says that a session was ended from elsewhere.
type SessionEnded struct {
	SessionID uuid.UUID        `json:"session_id"`
	Cause     string           `json:"cause"`
	Personal  Personal[Origin] `json:"-"`
}

// SignInRefused sums up refused tries; at most one per account and 15 minutes,
// so that a stranger cannot grow somebody's stream.
type SignInRefused struct {
	Count int       `json:"count"`
	From  time.Time `json:"from"`
	To    time.Time `json:"to"`
}

// StoreOpened is the first event of a store, and the last one of a copy made of
// another store: its identity, and fingerprints of the keys that it was opened
// with.
type StoreOpened struct {
	StoreID      uuid.UUID         `json:"store_id"`
	Namespace    string            `json:"namespace"`
	Fingerprints map[string]string `json:"fingerprints"`
}

// KeyRotated adds the fingerprint of a new key.
type KeyRotated struct {
	KeyID       string `json:"key_id"`
	Fingerprint string `json:"fingerprint"`
}

// KeyMadeCurrent says that new values of the key's kind are made with it from here on,
// by every process. It is written when all of them know the key; for a key of
// addresses, when all addresses that accounts own are claimed under it as well.
type KeyMadeCurrent struct {
	KeyID string `json:"key_id"`
}

// AuditRead says that somebody read the audit trail, written before the first
// event is delivered. TokenID is absent when an operator read at the machine
// itself. The filters are those of the request; absent ones were not set.
type AuditRead struct {
	TokenID *uuid.UUID `json:"token_id,omitempty"`
	// Opened says that sealed fields were opened for the reader.
	Opened  bool       `json:"opened"`
	Follow  bool       `json:"follow"`
	After   uint64     `json:"after"` // commit position; 0 is the start
	Account *uuid.UUID `json:"account,omitempty"`
	Types   []string   `json:"types,omitempty"`
	Since   *time.Time `json:"since,omitempty"`
	Until   *time.Time `json:"until,omitempty"`
	Limit   int        `json:"limit,omitempty"`
}

// TokenCreated says that a machine was given a token, written before the token
// can be used. TokenID is its public id, never the token.
type TokenCreated struct {
	TokenID   uuid.UUID `json:"token_id"`
	Scopes    []string  `json:"scopes"`
	ExpiresAt time.Time `json:"expires_at"`
}

// TokenRevoked says that the token is of no use any more.
type TokenRevoked struct {
	TokenID uuid.UUID `json:"token_id"`
}

// ParkedAccountDiscarded says that an operator gave an account up that a view
// cannot show: from Position on, its events are left out of the view for good.
// It is written before that is so.
type ParkedAccountDiscarded struct {
	View      string    `json:"view"`
	AccountID uuid.UUID `json:"account_id"`
	Position  uint64    `json:"position"` // commit position of the first event left out
	Revision  int64     `json:"revision"` // of that event
	Parked    string    `json:"parked"`   // why it was parked
	Reason    string    `json:"reason"`   // the operator's
}

// ParkedAccountRetried says that an operator had the events of a parked account
// read again, from Position on, whatever came of it. It is written before that.
type ParkedAccountRetried struct {
	View      string    `json:"view"`
	AccountID uuid.UUID `json:"account_id"`
	Position  uint64    `json:"position"`
	Revision  int64     `json:"revision"`
	Parked    string    `json:"parked"`
	Discarded bool      `json:"discarded"` // had been given up
}

func (AccountRegistered) event()      {}
func (ActivationRequested) event()    {}
func (AccountActivated) event()       {}
func (RegistrationAbandoned) event()  {}
func (RegistrationExpired) event()    {}
func (ProfileUpdated) event()         {}
func (ResetRequested) event()         {}
func (ResetLinkOpened) event()        {}
func (PasswordChanged) event()        {}
func (AccountDeactivated) event()     {}
func (AccountReactivated) event()     {}
func (StaffGranted) event()           {}
func (StaffRevoked) event()           {}
func (AddressChangeRequested) event() {}
func (AddressChanged) event()         {}
func (AddressChangeAbandoned) event() {}
func (AccountErased) event()          {}
func (AddressClaimed) event()         {}
func (AddressReleased) event()        {}
func (SignedIn) event()               {}
func (SignedOut) event()              {}
func (SessionEnded) event()           {}
func (SignInRefused) event()          {}
func (StoreOpened) event()            {}
func (KeyRotated) event()             {}
func (KeyMadeCurrent) event()         {}
func (AuditRead) event()              {}
func (TokenCreated) event()           {}
func (TokenRevoked) event()           {}
func (ParkedAccountDiscarded) event() {}
func (ParkedAccountRetried) event()   {}
