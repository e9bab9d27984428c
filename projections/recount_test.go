package projections

import (
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"daybook/domain"
)

// countRegistrations folds each account's history.
func countRegistrations(log []domain.Recorded) map[uuid.UUID]registration {
	counted := map[uuid.UUID]registration{}
	for id, history := range histories(log) {
		counted[id] = foldRegistration(id, history)
	}
	return counted
}

func countResets(log []domain.Recorded) map[uuid.UUID]reset {
	counted := map[uuid.UUID]reset{}
	for id, history := range histories(log) {
		for _, one := range foldResets(id, history) {
			counted[one.ResetID] = one
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
	got := map[uuid.UUID]registration{}
	for _, row := range rowsAs[registration](t, w, Registrations{}) {
		got[row.AccountID] = row
	}
	if diff := cmp.Diff(countRegistrations(log), got); diff != "" {
		t.Errorf("registrations (-log +rows):\n%s", diff)
	}
}

func checkResets(t failer, w *world, log []domain.Recorded) {
	t.Helper()
	got := map[uuid.UUID]reset{}
	for _, row := range rowsAs[reset](t, w, Resets{}) {
		got[row.ResetID] = row
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
