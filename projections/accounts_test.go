package projections

import (
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"daybook/domain"
)

// checkAccounts compares every row with the fold of its stream.
func checkAccounts(t failer, w *world, log []domain.Recorded) {
	t.Helper()
	got, want := map[uuid.UUID]Account{}, map[uuid.UUID]Account{}
	for _, row := range w.rows(t, Accounts{}) {
		account, err := DecodeAccount(json.RawMessage(row))
		if err != nil {
			t.Fatal(err)
		}
		got[account.ID] = account
	}
	for id, folded := range folds(log) {
		want[id] = AccountOf(folded)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("rows are not the folds (-fold +row):\n%s", diff)
	}
}

// TestAccountsAreTotal: what no decision of today would write, a fold takes
// nevertheless, and so does the view.
func TestAccountsAreTotal(t *testing.T) {
	tests := map[string][]domain.Event{
		"activated by an attempt that is not there": {registered(), domain.AccountActivated{ActivationID: uuid.New(), CredentialID: uuid.New()}},
		"a field that is not known":                 {registered(), domain.ProfileUpdated{Changed: []string{"shoe_size"}}},
		"never registered":                          {domain.RegistrationAbandoned{Reason: "lost"}},
		"an attempt with other names under its id": {
			registered(), attempt(1, "Ada"), attempt(1, "Eve"), domain.AccountActivated{ActivationID: numbered(1), CredentialID: numbered(2)},
		},
	}
	w := newWorld(t)
	for name, events := range tests {
		t.Run(name, func(t *testing.T) {
			stream := domain.AccountStream(uuid.New())
			for i, event := range events {
				w.append(t, stream, int64(i)-1, domain.Metadata{}, event)
			}
			stored := w.stored(t)
			for _, size := range []int{1, len(stored)} {
				w.reset(t, Accounts{}, 0)
				p := w.projector(t, Accounts{})
				for at := 0; at < len(stored); at += size {
					apply(t, w, p, stored[at:at+size])
				}
				checkAccounts(t, w, w.recorded(t, stored))
			}
		})
	}
}

func registered() domain.Event {
	return domain.AccountRegistered{AddressClaim: "address-a-00", Personal: domain.Seal(domain.RegisteredDetails{
		Email: canary + "@mail.example", FirstName: canary, LastName: "Quux",
	})}
}

func attempt(n byte, name string) domain.Event {
	return domain.ActivationRequested{ActivationID: numbered(n), CredentialID: numbered(n + 1), ExpiresAt: domain.Micro(future()),
		Personal: domain.Seal(domain.Names{FirstName: name, LastName: "Quux"})}
}

func numbered(n byte) uuid.UUID { return uuid.UUID{6: 0x40, 8: 0x80, 15: n} }
