package domain

import (
	"slices"
	"time"

	"github.com/google/uuid"
)

// Erase is the command that ends an account for good.
type Erase struct {
	Reason string
	// Owner says that the signed-in person asks, who has proved the password of
	// CurrentCredential. An operator may erase what nobody can sign in to as well.
	Owner             bool
	CurrentCredential uuid.UUID
}

// Decide erases once. A stream that says nothing of a person has nothing to erase.
func (c Erase) Decide(a Account, _ time.Time) ([]Event, error) {
	if c.Owner {
		if !a.Active() {
			return nil, ErrNotSignedIn
		}
		if a.Credential != c.CurrentCredential {
			return nil, ErrPasswordChanged
		}
	}
	switch a.Status {
	case StatusNone, StatusAbandoned, StatusErased:
		return nil, nil
	}
	return []Event{AccountErased{c.Reason}}, nil
}

// erased leaves of the account what says nothing of its person, and the same
// whether or not the key that opens its history is gone already. No credential
// counts any more, and the revision puts every session behind the guard.
func (a Account) erased(revision int64) Account {
	a.Status, a.Version, a.Erased, a.Staff = StatusErased, revision, true, false
	a.Email, a.Profile = "", Profile{}
	a.Credential, a.CredentialRevision = uuid.Nil, revision
	a = a.closeLinks()
	a.AddressChange.Email = ""
	a.FormerAddresses = slices.Clone(a.FormerAddresses)
	for i := range a.FormerAddresses {
		a.FormerAddresses[i].Email = ""
	}
	a.Activations = slices.Clone(a.Activations)
	for i := range a.Activations {
		a.Activations[i].Names = Names{}
	}
	return a
}

// Remains are what erasing an account has to remove outside of its streams, read
// from its history.
type Remains struct {
	Claims []string // streams that index addresses of the account, as it names them
	// Addresses are those that it had or asked for, as far as the history opens: they
	// may be claimed under other keys as well.
	Addresses []string
	Pictures  []string // object keys of every thumbnail there was
	// Farewell is empty when the mailbox was never proved, and once the history does
	// not open any more.
	Farewell Farewell
}

// Farewell is what the mail needs that tells a person of the erasure.
type Farewell struct {
	Email string
	Name  string
	Until time.Time // kept no longer than this, whether or not the mail was sent
}

// FarewellLife is for how long after the erasure the address is kept: enough for a
// relay that puts off strangers at first, and far less than the day within which the
// stores that are in use shall have forgotten a person.
const FarewellLife = time.Hour

// RemainsOf reads a history up to its erasure.
func RemainsOf(history []Recorded) Remains {
	var remains Remains
	for i, r := range history {
		switch e := r.Event.(type) {
		case AccountRegistered:
			remains.claimed(e.AddressClaim, e.Personal.Value.Email)
		case AddressChangeRequested: // it may have claimed the address already
			remains.claimed(e.AddressClaim, e.Personal.Value.Email)
		case ProfileUpdated:
			if e.Thumbnail != nil {
				remains.Pictures = append(remains.Pictures, *e.Thumbnail)
			}
		case AccountErased:
			before := Fold(NewAccount(uuid.Nil), history[:i]...)
			if (before.Active() || before.Status == StatusDeactivated) && before.Email != "" {
				remains.Farewell = farewellTo(before, r.Metadata.OccurredAt)
			}
			return remains
		}
	}
	return remains
}

func farewellTo(a Account, erasedAt time.Time) Farewell {
	return Farewell{a.Email, a.Profile.FirstName, erasedAt.Add(FarewellLife)}
}

func (r *Remains) claimed(stream, address string) {
	if !slices.Contains(r.Claims, stream) {
		r.Claims = append(r.Claims, stream)
	}
	if address != "" && !slices.Contains(r.Addresses, address) {
		r.Addresses = append(r.Addresses, address)
	}
}
