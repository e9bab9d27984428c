package domain

import (
	"time"

	"github.com/google/uuid"
)

// Credential is a password hash (PHC string) on its way to an account. It is a
// row of the vault, never an event: a log cannot forget.
type Credential struct {
	ID        uuid.UUID
	AccountID uuid.UUID
	// ExpectedRevision is the revision of the account's stream at which the
	// event that names the credential is appended. The row may be swept once
	// the stream is past it and does not name it.
	ExpectedRevision int64
	PHC              string
}

// SignInTry is a reserved try to sign in at an address.
type SignInTry struct {
	// PHC is the credential's hash, empty when there is none.
	PHC string
	// Allowed is false when the tries of the address are used up.
	Allowed bool
	// Window is when the window began that it was reserved in.
	Window time.Time
}

// NewSession is a session to be opened.
type NewSession struct {
	ID                 uuid.UUID // public id, not the token
	AccountID          uuid.UUID
	CredentialRevision int64 // of the credential that was proved
	AccountRevision    int64 // the newest that the session has seen
	UserAgent          string
}

// EndedSession is what is left of a session that was ended.
type EndedSession struct {
	ID        uuid.UUID
	AccountID uuid.UUID
}
