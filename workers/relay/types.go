package relay

import (
	"time"

	"github.com/google/uuid"

	"daybook/domain"
)

// publicType is a row of the table of public types.
type publicType struct {
	name string
	data func(account uuid.UUID, event domain.Event) any
}

// types is the one table of public types, by the names of the stored events. A row
// is never changed once it was released: consumers rely on it. A new shape gets a
// new name, with the next version, and is published beside the old one for as long
// as somebody reads that. docs/kafka.md describes each.
//
// Left out of what is stored: everything sealed, claims of addresses, credentials,
// keys of pictures (they are the picture's URL) and reasons, which are free text.
var types = table(
	public("daybook.account.registered.v1", func(a accountData, _ domain.AccountRegistered) any { return a }),
	public("daybook.account.activation_requested.v1", func(a accountData, e domain.ActivationRequested) any {
		return activationRequestedData{a, e.ActivationID, e.ExpiresAt}
	}),
	public("daybook.account.activated.v1", func(a accountData, e domain.AccountActivated) any { return activatedData{a, e.ActivationID} }),
	public("daybook.account.registration_expired.v1", func(a accountData, _ domain.RegistrationExpired) any { return a }),
	public("daybook.account.profile_updated.v1", func(a accountData, e domain.ProfileUpdated) any { return profileUpdatedData{a, e.Changed} }),
	public("daybook.account.password_reset_requested.v1", func(a accountData, e domain.ResetRequested) any {
		return resetRequestedData{a, e.ResetID, e.ExpiresAt}
	}),
	public("daybook.account.password_reset_link_opened.v1", func(a accountData, e domain.ResetLinkOpened) any { return resetData{a, e.ResetID} }),
	public("daybook.account.password_changed.v1", func(a accountData, e domain.PasswordChanged) any {
		return passwordChangedData{a, e.Cause, e.ResetID}
	}),
	public("daybook.account.address_change_requested.v1", func(a accountData, e domain.AddressChangeRequested) any {
		return addressChangeRequestedData{a, e.ChangeID, e.ExpiresAt}
	}),
	public("daybook.account.address_changed.v1", func(a accountData, e domain.AddressChanged) any { return addressChangeData{a, e.ChangeID} }),
	public("daybook.account.address_change_abandoned.v1", func(a accountData, e domain.AddressChangeAbandoned) any {
		return addressChangeData{a, e.ChangeID}
	}),
	public("daybook.account.deactivated.v1", func(a accountData, _ domain.AccountDeactivated) any { return a }),
	public("daybook.account.reactivated.v1", func(a accountData, _ domain.AccountReactivated) any { return a }),
	public("daybook.account.staff_granted.v1", func(a accountData, _ domain.StaffGranted) any { return a }),
	public("daybook.account.staff_revoked.v1", func(a accountData, _ domain.StaffRevoked) any { return a }),
	public("daybook.account.erased.v1", func(a accountData, _ domain.AccountErased) any { return a }),
	public("daybook.account.signed_in.v1", func(a accountData, e domain.SignedIn) any { return sessionData{a, e.SessionID, e.Cause} }),
	public("daybook.account.signed_out.v1", func(a accountData, e domain.SignedOut) any { return sessionData{a, e.SessionID, e.Cause} }),
	public("daybook.account.session_ended.v1", func(a accountData, e domain.SessionEnded) any { return sessionData{a, e.SessionID, e.Cause} }),
	public("daybook.account.sign_in_refused.v1", func(a accountData, e domain.SignInRefused) any {
		return signInRefusedData{a, e.Count, e.From, e.To}
	}),
)

// unpublished are the events of accounts that are nobody else's business. An
// abandoned registration never was one: its account has no other event.
var unpublished = map[string]bool{domain.NameOf(domain.RegistrationAbandoned{}): true}

type accountData struct {
	AccountID uuid.UUID `json:"account_id"`
}

type activationRequestedData struct {
	accountData
	ActivationID uuid.UUID `json:"activation_id"`
	ExpiresAt    time.Time `json:"expires_at"`
}

type activatedData struct {
	accountData
	ActivationID uuid.UUID `json:"activation_id"`
}

type profileUpdatedData struct {
	accountData
	Changed []string `json:"changed"`
}

type resetRequestedData struct {
	accountData
	ResetID   uuid.UUID `json:"reset_id"`
	ExpiresAt time.Time `json:"expires_at"`
}

type resetData struct {
	accountData
	ResetID uuid.UUID `json:"reset_id"`
}

type passwordChangedData struct {
	accountData
	Cause   string     `json:"cause"`
	ResetID *uuid.UUID `json:"reset_id,omitempty"`
}

type addressChangeRequestedData struct {
	accountData
	ChangeID  uuid.UUID `json:"change_id"`
	ExpiresAt time.Time `json:"expires_at"`
}

type addressChangeData struct {
	accountData
	ChangeID uuid.UUID `json:"change_id"`
}

type sessionData struct {
	accountData
	SessionID uuid.UUID `json:"session_id"`
	Cause     string    `json:"cause"`
}

type signInRefusedData struct {
	accountData
	Count int       `json:"count"`
	From  time.Time `json:"from"`
	To    time.Time `json:"to"`
}

// row is a public type with the name of the stored event that it is made of.
type row struct {
	stored string
	public publicType
}

func public[E domain.Event](name string, data func(account accountData, event E) any) row {
	var zero E
	return row{domain.NameOf(zero), publicType{name, func(account uuid.UUID, event domain.Event) any {
		return data(accountData{account}, event.(E))
	}}}
}

func table(rows ...row) map[string]publicType {
	byName := make(map[string]publicType, len(rows))
	for _, r := range rows {
		byName[r.stored] = r.public
	}
	return byName
}
