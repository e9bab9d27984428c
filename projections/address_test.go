package projections

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"daybook/domain"
)

// TestAddressChangeInTheViews: the address follows, an open reset closes, and the
// history tells what was asked for and what it replaced.
func TestAddressChangeInTheViews(t *testing.T) {
	w := newWorld(t)
	id, reset, change := uuid.New(), uuid.New(), uuid.New()
	asked := func(email string) domain.Event {
		return domain.AddressChangeRequested{ChangeID: change, AddressClaim: "address-b-00", ExpiresAt: domain.Micro(future()), Personal: domain.Seal(domain.NewAddress{Email: email})}
	}
	for i, event := range []domain.Event{
		registered(), attempt(1, "Ada"), domain.AccountActivated{ActivationID: numbered(1), CredentialID: numbered(2)},
		domain.ResetRequested{ResetID: reset, ExpiresAt: domain.Micro(future())}, asked("wrong@b.example"), asked("ada@b.example"),
		domain.AddressChanged{ChangeID: change, AddressClaim: "address-b-00", FormerClaim: "address-a-00", Personal: domain.Seal(domain.NewAddress{Email: "ada@b.example"})},
	} {
		w.append(t, domain.AccountStream(id), int64(i)-1, domain.Metadata{Actor: domain.AccountActor(id), OccurredAt: domain.Micro(time.Now())}, event)
	}
	events := w.stored(t)
	log := w.recorded(t, events)
	for _, v := range viewChecks {
		apply(t, w, w.projector(t, v.view), events)
		v.check(t, w, log)
	}
	entries, err := (&Queries{Pool: w.pool}).Activity(t.Context(), id, uuid.Nil, 3)
	if err != nil {
		t.Fatal(err)
	}
	old := canary + "@mail.example"
	for i, want := range []struct {
		what    string
		changes []Change
	}{
		{"AddressChanged", []Change{{"email", old, "ada@b.example"}}},
		{"AddressChangeRequested", []Change{{"email", old, "ada@b.example"}}},
		{"AddressChangeRequested", []Change{{"email", old, "wrong@b.example"}}},
	} {
		if diff := cmp.Diff(want.changes, entries[i].Changes); diff != "" || entries[i].What != want.what {
			t.Errorf("%s (-want +got):\n%s", entries[i].What, diff)
		}
	}
}
