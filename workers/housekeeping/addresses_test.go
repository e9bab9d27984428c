package housekeeping_test

import (
	"testing"

	"github.com/google/uuid"

	"daybook/commands"
	"daybook/domain"
	"daybook/internal/testkit"
	"daybook/internal/token"
	"daybook/workers/housekeeping"
)

// moved changes the address of a new account and leaves the former one claimed, as a
// process that was killed does.
func (w *world) moved(email, to string) domain.Account {
	w.t.Helper()
	account := w.active(email)
	result, err := w.RequestAddressChange(w.t.Context(), caller(), account.ID, commands.RequestAddressChange{Email: to, Password: secret})
	must(w.t, err)
	change, claim := result.Account.AddressChange, w.claim(to)
	w.append(claim.Stream, claim.Revision, domain.AddressClaimed{AccountID: account.ID})
	w.append(domain.AccountStream(account.ID), result.Account.Revision, domain.AddressChanged{
		ChangeID: change.ID, AddressClaim: claim.Stream, FormerClaim: account.AddressClaim, Personal: domain.Seal(domain.NewAddress{Email: to}),
	})
	return w.account(account.ID)
}

// TestFormerAddressesAreReleased and no others.
func TestFormerAddressesAreReleased(t *testing.T) {
	w := newWorld(t)
	w.repo.Vault = vaultAfresh(w)
	w.Tokens = &token.Maker{Keys: testkit.KeySet("token"), Vault: w.repo.Vault}
	account := w.moved(ada, "ada@new.example")
	lost := w.moved("lost@example.com", "lost@new.example")
	w.exec(`DELETE FROM vault.data_keys WHERE subject = $1`, lost.ID)
	w.repo.Vault = vaultAfresh(w) // which has nothing cached
	task := w.claims(w.Handler, now)
	w.run(task, 1)
	if former, present := w.claim(ada), w.claim("ada@new.example"); former.Held || !present.Held || present.Holder != account.ID {
		t.Errorf("former %+v, present %+v", former, present)
	}
	w.run(w.claims(w.Handler, now), 0) // from the checkpoint
	w.exec(`DELETE FROM app.checkpoints WHERE name = $1`, housekeeping.ClaimsCheckpoint)
	w.run(w.claims(w.Handler, now), 0) // all over again
	if w.pending(ada).ID == account.ID {
		t.Error("the address is not free")
	}
}

func TestReleaseIsKilled(t *testing.T) {
	w := newWorld(t)
	var made []domain.Account
	w.killed(func(_ commands.Store, h *commands.Handler) housekeeping.Task { return w.claims(h, now) }, func() {
		made = made[:0]
		for range 2 {
			email := uuid.NewString() + "@example.com"
			made = append(made, w.moved(email, "new-"+email))
		}
	}, func() {
		for _, account := range made {
			if n := len(w.ofType(account.AddressChange.FormerClaim, "AddressReleased")); n != 1 {
				t.Fatalf("released %d times", n)
			}
		}
	})
}
