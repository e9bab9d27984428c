package domain

import (
	"maps"
	"slices"
	"time"

	"github.com/google/uuid"
)

// MailsPerHour is how many token mails an account may be asked for in an hour, where a
// command does not say another number. MaxMailsPerHour is the greatest it may say.
const (
	MailsPerHour    = 6
	MaxMailsPerHour = 60
)

// Evolve folds one event into the account. It is total: it refuses nothing,
// because the event has happened, and it never changes its argument.
func Evolve(a Account, r Recorded) Account { return Fold(a, r) }

// Fold replays a history from where the account stands. Its argument stays as it
// is. The set of commands is copied once, not once per event: anybody may make a
// stream longer by asking for reset mails.
func Fold(a Account, history ...Recorded) Account {
	if len(history) == 0 {
		return a
	}
	commands := maps.Clone(a.commands)
	if commands == nil {
		commands = map[uuid.UUID]bool{}
	}
	a.commands = commands
	for _, r := range history {
		commands[r.Metadata.CommandID] = true
		a = a.apply(r)
	}
	return a
}

func (a Account) apply(r Recorded) Account {
	a.Revision = r.Revision
	if a.Status == StatusErased {
		return a
	}
	switch e := r.Event.(type) {
	case AccountRegistered:
		return a.registered(e, r)
	case ActivationRequested:
		return a.activationRequested(e, r)
	case AccountActivated:
		return a.activated(e, r)
	case RegistrationAbandoned:
		a.Status = StatusAbandoned
	case RegistrationExpired:
		a.Status = StatusExpired
	case ProfileUpdated:
		return a.profileUpdated(e, r)
	case ResetRequested:
		return a.resetRequested(e, r)
	case ResetLinkOpened:
		a.Reset.LinkOpened = a.Reset.LinkOpened || a.Reset.ID == e.ResetID
	case PasswordChanged:
		a.Credential, a.CredentialRevision = e.CredentialID, r.Revision
		return a.closeLinks()
	case AddressChangeRequested:
		return a.addressChangeRequested(e, r)
	case AddressChanged:
		return a.addressChanged(e, r)
	case AddressChangeAbandoned:
		a.AddressChange.Closed = a.AddressChange.Closed || a.AddressChange.ID == e.ChangeID
	case AccountDeactivated:
		a.Status, a.Version = StatusDeactivated, r.Revision
		return a.closeLinks()
	case AccountReactivated:
		a.Status, a.Version = StatusActive, r.Revision
	case StaffGranted:
		a.Staff, a.Version = true, r.Revision
	case StaffRevoked:
		a.Staff, a.Version = false, r.Revision
	case AccountErased:
		return a.erased(r.Revision)
	}
	return a
}

func (a Account) registered(e AccountRegistered, r Recorded) Account {
	a.Status = StatusPending
	a.AddressClaim = e.AddressClaim
	a.Email = e.Personal.Value.Email
	a.Erased = e.Personal.Erased
	a.Profile = Profile{FirstName: e.Personal.Value.FirstName, LastName: e.Personal.Value.LastName}
	a.JoinedAt = r.Metadata.OccurredAt
	a.Version = r.Revision
	return a
}

func (a Account) activationRequested(e ActivationRequested, r Recorded) Account {
	at := r.Metadata.OccurredAt
	a.MailedAt = lastMails(a.MailedAt, r)
	a.Activations = slices.Clone(a.Activations)
	for i := range a.Activations {
		if a.Activations[i].ID == e.ActivationID {
			a.Activations[i].MailedAt = at
			return a
		}
	}
	a.Activations = append(a.Activations, Activation{
		ID: e.ActivationID, CredentialID: e.CredentialID, Names: e.Personal.Value,
		RequestedAt: at, MailedAt: at, ExpiresAt: e.ExpiresAt,
	})
	return a
}

func (a Account) activated(e AccountActivated, r Recorded) Account {
	a.Status = StatusActive
	a.Version = r.Revision
	a.Credential, a.CredentialRevision = e.CredentialID, r.Revision
	if activation, ok := a.Activation(e.ActivationID); ok && !a.Erased {
		a.Profile.FirstName, a.Profile.LastName = activation.Names.FirstName, activation.Names.LastName
	}
	return a
}

func (a Account) profileUpdated(e ProfileUpdated, r Recorded) Account {
	a.Version = r.Revision
	details := e.Personal.Value
	for _, field := range e.Changed {
		switch field {
		case FieldFirstName:
			a.Profile.FirstName = valueOf(details.FirstName)
		case FieldLastName:
			a.Profile.LastName = valueOf(details.LastName)
		case FieldPhoneNumber:
			a.Profile.PhoneNumber = valueOf(details.PhoneNumber)
		case FieldGithubLink:
			a.Profile.GithubLink = valueOf(details.GithubLink)
		case FieldBirthDate:
			a.Profile.BirthDate = valueOf(details.BirthDate)
		case FieldThumbnail:
			a.Profile.Thumbnail = valueOf(e.Thumbnail)
		}
	}
	return a
}

func (a Account) resetRequested(e ResetRequested, r Recorded) Account {
	a.MailedAt = lastMails(a.MailedAt, r)
	if a.Reset.ID == e.ResetID {
		return a
	}
	a.Reset = Reset{ID: e.ResetID, RequestedAt: r.Metadata.OccurredAt, ExpiresAt: e.ExpiresAt}
	return a
}

// lastMails keeps no more than any cap needs, so that the fold stays small.
func lastMails(mailed []time.Time, r Recorded) []time.Time {
	mailed = append(slices.Clone(mailed), r.Metadata.OccurredAt)
	return mailed[max(0, len(mailed)-MaxMailsPerHour):]
}

func valueOf(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}
