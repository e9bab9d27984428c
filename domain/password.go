package domain

import (
	"time"

	"github.com/google/uuid"
)

// ErrNotActive refuses a reset for an account that cannot sign in.
var ErrNotActive = Refuse(KindNotFound, "not_active", "An active user with this e-mail address does not exist")

// ErrResetInvalid is the one answer to every reset token that does not work:
// malformed, expired, superseded, used, skipped a step.
var ErrResetInvalid = Refuse(KindInvalid, "reset_invalid",
	"It appears that your password request token has expired or previously used")

// ErrNotSignedIn is the one answer to every missing or dead session.
var ErrNotSignedIn = Refuse(KindUnauthenticated, "not_signed_in",
	"You are not logged in. Kindly ensure you are logged in and try again")

// RequestReset is the command to mail a reset link.
type RequestReset struct {
	ResetID   uuid.UUID // of a new request, when one is due
	ExpiresAt time.Time
	Cap       MailCap
}

// Decide mails the open link again while it has half its life left, so that
// asking again kills nobody's link; later a new request supersedes it.
func (c RequestReset) Decide(a Account, now time.Time) ([]Event, error) {
	if !a.Active() {
		return nil, ErrNotActive
	}
	if c.Cap.usedUp(a.MailedAt, now) {
		return nil, nil
	}
	if a.Reset.Open(now) && halfLeft(a.Reset.RequestedAt, a.Reset.ExpiresAt, now) {
		return []Event{ResetRequested{a.Reset.ID, a.Reset.ExpiresAt}}, nil
	}
	return []Event{ResetRequested{c.ResetID, c.ExpiresAt}}, nil
}

// OpenResetLink is the command of somebody who follows the mailed link.
type OpenResetLink struct{ ResetID uuid.UUID }

// Decide notes the first opening; the link may be opened as often as one likes.
func (c OpenResetLink) Decide(a Account, now time.Time) ([]Event, error) {
	if !a.Active() || a.Reset.ID != c.ResetID || !a.Reset.Open(now) {
		return nil, ErrResetInvalid
	}
	if a.Reset.LinkOpened {
		return nil, nil
	}
	return []Event{ResetLinkOpened(c)}, nil
}

// ResetPassword is the command that uses a reset up.
type ResetPassword struct {
	ResetID      uuid.UUID
	CredentialID uuid.UUID
}

// Decide changes the password once per reset: the event that changes it is the
// one that uses the reset up.
func (c ResetPassword) Decide(a Account, now time.Time) ([]Event, error) {
	if !a.Active() || a.Reset.ID != c.ResetID || !a.Reset.Open(now) {
		return nil, ErrResetInvalid
	}
	return []Event{PasswordChanged{c.CredentialID, CauseReset, &c.ResetID}}, nil
}

// ChangePassword is the command of a signed-in person who has proved the
// current password with the credential named here.
type ChangePassword struct {
	CurrentCredential uuid.UUID
	CredentialID      uuid.UUID
}

// ErrPasswordChanged refuses a change decided on a password that is no longer
// the current one.
var ErrPasswordChanged = Refuse(KindConflict, "password_changed", "The password was changed in the meantime")

// Decide changes the password if the proved credential still counts.
func (c ChangePassword) Decide(a Account, _ time.Time) ([]Event, error) {
	if !a.Active() {
		return nil, ErrNotSignedIn
	}
	if a.Credential != c.CurrentCredential {
		return nil, ErrPasswordChanged
	}
	return []Event{PasswordChanged{CredentialID: c.CredentialID, Cause: CauseChange}}, nil
}

// Deactivate is the command that shuts an account.
type Deactivate struct{ Reason string }

// Decide shuts an active account; a shut one stays as it is.
func (c Deactivate) Decide(a Account, _ time.Time) ([]Event, error) {
	if !a.Active() {
		return nil, nil
	}
	return []Event{AccountDeactivated(c)}, nil
}

// Reactivate is the command that opens a shut account again.
type Reactivate struct{ Reason string }

// Decide opens a shut account; any other stays as it is.
func (c Reactivate) Decide(a Account, _ time.Time) ([]Event, error) {
	if a.Status != StatusDeactivated {
		return nil, nil
	}
	return []Event{AccountReactivated(c)}, nil
}

// GrantStaff is the command that gives or takes staff rights.
type GrantStaff struct {
	Reason string
	Staff  bool
}

// ErrNotProved refuses staff rights for whoever registered an address that is not
// proved to be theirs.
var ErrNotProved = Refuse(KindConflict, "not_proved", "The address of the account is not proved yet. Give the rights once it is")

// Decide appends only what changes the account.
func (c GrantStaff) Decide(a Account, _ time.Time) ([]Event, error) {
	switch {
	case c.Staff && a.Status == StatusPending:
		return nil, ErrNotProved
	case !a.OwnsAddress() || a.Staff == c.Staff:
		return nil, nil
	case c.Staff:
		return []Event{StaffGranted{c.Reason}}, nil
	default:
		return []Event{StaffRevoked{c.Reason}}, nil
	}
}
