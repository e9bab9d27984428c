package commands

import (
	"context"
	"time"

	"github.com/google/uuid"

	"daybook/domain"
)

// Store is the event store as the commands see it.
type Store interface {
	// Account folds the stream of the account; an account without events has
	// StatusNone.
	Account(ctx context.Context, id uuid.UUID) (domain.Account, error)
	// Claim folds a claim stream that tells whose the address is.
	Claim(ctx context.Context, email domain.Email) (domain.Claim, error)
	// Claims folds every stream under which the address must be claimed: one for
	// each key of addresses, the current one's first. KindUnavailable says that this
	// process cannot know which keys those are.
	Claims(ctx context.Context, email domain.Email) ([]domain.Claim, error)
	// OnlyClaim reports whether the stream is the one under which its address must
	// be claimed. KindUnavailable is as above.
	OnlyClaim(stream string) (bool, error)
	// ClaimAt folds the claim stream with the name.
	ClaimAt(ctx context.Context, stream string) (domain.Claim, error)
	// Remains reads from the account's history what erasing it has to remove.
	Remains(ctx context.Context, id uuid.UUID) (domain.Remains, error)
	// Append writes all events or none and returns them with their places.
	// domain.ErrConflict says that the stream was not at the revision.
	Append(ctx context.Context, a domain.Append) ([]domain.Recorded, error)
}

// Credentials keeps password hashes. They are no events: a log cannot forget.
type Credentials interface {
	// Stage writes the credential before the event that names it. Staging it
	// again raises its expected revision.
	Stage(ctx context.Context, c domain.Credential) error
	// StageChange does the same and, in the same statement, marks the
	// account's sessions as pending until Sessions.Settle.
	StageChange(ctx context.Context, c domain.Credential) error
	// TrySignIn reserves a try for the address before any hashing and returns
	// the credential: one round trip.
	TrySignIn(ctx context.Context, addressKey string, credential uuid.UUID) (domain.SignInTry, error)
	// GiveBack gives back an allowed try in which no password was compared.
	GiveBack(ctx context.Context, addressKey string, try domain.SignInTry) error
	// SignInSucceeded forgets the address's failed tries.
	SignInSucceeded(ctx context.Context, addressKey string) error
	// Replace stores a stronger hash of the same password.
	Replace(ctx context.Context, credential uuid.UUID, phc string) error
}

// Passwords hashes behind a bounded queue. All methods answer with
// KindUnavailable when the queue is full.
type Passwords interface {
	// Hash returns the PHC string of a normalised password.
	Hash(ctx context.Context, password string) (phc string, err error)
	// AdmitVerify takes a place in the queue for one Verify with the returned context,
	// until leave is called.
	AdmitVerify(ctx context.Context) (_ context.Context, leave func(), err error)
	// Verify compares in constant work; an empty phc stands for an unknown
	// credential and costs as much as any. stale says that the parameters have
	// risen since phc was made.
	Verify(ctx context.Context, phc, password string) (ok, stale bool, err error)
}

// Tokens computes the one-time tokens. Nothing stores them.
type Tokens interface {
	// Token returns the token; it has no ':', '=' and '+'.
	Token(ctx context.Context, purpose domain.Purpose, account, id uuid.UUID, expires time.Time) (string, error)
	// Matches compares in constant time, under every known key.
	Matches(ctx context.Context, token string, purpose domain.Purpose, account, id uuid.UUID, expires time.Time) (bool, error)
}

// Sessions keeps sessions and the guards that end them.
type Sessions interface {
	// Open stores the session and returns its token. opened is false when the
	// guard has moved past the session's credential.
	Open(ctx context.Context, s domain.NewSession) (token string, opened bool, err error)
	// End ends the session of the token, if there is one.
	End(ctx context.Context, token string) (ended domain.EndedSession, found bool, err error)
	// Settle moves the guard to what the folded account says and clears the
	// pending mark that the fold has reached. A new credential forgets the
	// address's failed tries, which were tries of another.
	Settle(ctx context.Context, a domain.Account) error
	// Suspect marks the account's sessions, before the append of a change at
	// the expected revision that ends them, as pending until Settle.
	Suspect(ctx context.Context, account uuid.UUID, expectedRevision int64) error
	// EndOne ends a session of the account by its public id.
	EndOne(ctx context.Context, account, id uuid.UUID) (found bool, err error)
	// EndOthers ends the sessions opened with a credential older than the
	// account's, but the one to keep, which gets the account's credential
	// revision and has seen the account as it is. An account that was not folded ends all others. It returns the
	// ended ones.
	EndOthers(ctx context.Context, a domain.Account, keep uuid.UUID) ([]domain.EndedSession, error)
}

// Objects stores thumbnails.
type Objects interface {
	Put(ctx context.Context, key, contentType string, body []byte) error
	// Remove removes an object; one that is not there is removed already.
	Remove(ctx context.Context, key string) error
}

// Vault keeps the keys that make a person's events readable.
type Vault interface {
	// Erase destroys key and credentials of the person for good, behind a fence that
	// is never taken away. A farewell is kept with the first time only, and no longer
	// than it says. It is repeatable.
	Erase(ctx context.Context, id uuid.UUID, farewell domain.Farewell) error
}

// Notices mails what no event stands for.
type Notices interface {
	// AlreadyRegistered tells the owner of an address that somebody else wanted
	// it for an account; at most once an hour and account.
	AlreadyRegistered(ctx context.Context, account domain.Account) error
}
