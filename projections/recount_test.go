package projections

import (
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"daybook/domain"
)

// registration, reset and presence are what a straightforward reading of the log
// says; the views must agree.
type registration struct {
	AccountID    uuid.UUID  `json:"account_id"`
	Attempts     int        `json:"attempts"`
	MailRequests int        `json:"mail_requests"`
	RegisteredAt *time.Time `json:"registered_at"`
	ActivatedAt  *time.Time `json:"activated_at"`
	ExpiredAt    *time.Time `json:"expired_at"`
	AbandonedAt  *time.Time `json:"abandoned_at"`
}

type reset struct {
	ResetID      uuid.UUID  `json:"reset_id"`
	AccountID    uuid.UUID  `json:"account_id"`
	MailRequests int        `json:"mail_requests"`
	RequestedAt  time.Time  `json:"requested_at"`
	ExpiresAt    time.Time  `json:"expires_at"`
	LinkOpenedAt *time.Time `json:"link_opened_at"`
	ChangedAt    *time.Time `json:"changed_at"`
	SupersededAt *time.Time `json:"superseded_at"`
	ClosedAt     *time.Time `json:"closed_at"`
}

func countRegistrations(log []domain.Recorded) map[uuid.UUID]*registration {
	counted := map[uuid.UUID]*registration{}
	for id, history := range histories(log) {
		one := &registration{AccountID: id, Attempts: len(domain.Fold(domain.NewAccount(id), history...).Activations)}
		counted[id] = one
		for _, r := range history {
			at := r.Metadata.OccurredAt
			switch r.Event.(type) {
			case domain.AccountRegistered:
				one.RegisteredAt = &at
			case domain.ActivationRequested:
				one.MailRequests++
			case domain.AccountActivated:
				one.ActivatedAt = &at
			case domain.RegistrationExpired:
				one.ExpiredAt = &at
			case domain.RegistrationAbandoned:
				one.AbandonedAt = &at
			}
		}
	}
	return counted
}

// countResets walks each account's history event by event with the one reset
// that can be open.
func countResets(log []domain.Recorded) map[uuid.UUID]*reset {
	counted := map[uuid.UUID]*reset{}
	for id, history := range histories(log) {
		var current *reset
		for _, r := range history {
			at := r.Metadata.OccurredAt
			open := current != nil && current.ChangedAt == nil && current.ClosedAt == nil && at.Before(current.ExpiresAt)
			switch e := r.Event.(type) {
			case domain.ResetRequested:
				if current != nil && current.ResetID == e.ResetID {
					current.MailRequests++
					continue
				}
				if open {
					current.SupersededAt = &at
				}
				current = &reset{ResetID: e.ResetID, AccountID: id, MailRequests: 1, RequestedAt: at, ExpiresAt: e.ExpiresAt}
				counted[e.ResetID] = current
			case domain.ResetLinkOpened:
				current.LinkOpenedAt = &at
			case domain.PasswordChanged:
				if e.Cause == domain.CauseReset {
					current.ChangedAt = &at
				} else if open {
					current.ClosedAt = &at
				}
			case domain.AddressChanged, domain.AccountDeactivated:
				if open {
					current.ClosedAt = &at
				}
			}
		}
	}
	return counted
}

// presence is a sign-in, or what a person did.
type presence struct {
	AccountID uuid.UUID `json:"account_id"`
	At        time.Time `json:"at"`
	Type      string    `json:"type"`
}

func countPresence(log []domain.Recorded) map[uuid.UUID]presence {
	counted := map[uuid.UUID]presence{}
	for _, r := range log {
		id, _ := domain.StreamSubject(r.Stream)
		_, signedIn := r.Event.(domain.SignedIn)
		if signedIn || r.Metadata.Actor == "account:"+id.String() {
			counted[r.ID] = presence{id, r.Metadata.OccurredAt, domain.NameOf(r.Event)}
		}
	}
	return counted
}

func checkRegistrations(t failer, w *world, log []domain.Recorded) {
	t.Helper()
	got := map[uuid.UUID]*registration{}
	for _, row := range rowsAs[registration](t, w, Registrations{}) {
		got[row.AccountID] = &row
	}
	if diff := cmp.Diff(countRegistrations(log), got); diff != "" {
		t.Errorf("registrations (-log +rows):\n%s", diff)
	}
}

func checkResets(t failer, w *world, log []domain.Recorded) {
	t.Helper()
	got := map[uuid.UUID]*reset{}
	for _, row := range rowsAs[reset](t, w, Resets{}) {
		got[row.ResetID] = &row
	}
	if diff := cmp.Diff(countResets(log), got); diff != "" {
		t.Errorf("resets (-log +rows):\n%s", diff)
	}
}

func checkPresence(t failer, w *world, log []domain.Recorded) {
	t.Helper()
	type row struct {
		presence
		EventID uuid.UUID `json:"event_id"`
	}
	got := map[uuid.UUID]presence{}
	for _, found := range rowsAs[row](t, w, Presence{}) {
		got[found.EventID] = found.presence
	}
	if diff := cmp.Diff(countPresence(log), got); diff != "" {
		t.Errorf("presence (-log +rows):\n%s", diff)
	}
}
