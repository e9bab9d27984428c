package housekeeping_test

import (
	"testing"

	"github.com/google/uuid"

	"daybook/commands"
	"daybook/domain"
	"daybook/workers/housekeeping"
)

func (w *world) erasures(h *commands.Handler) housekeeping.Task {
	return housekeeping.Erasures{Repository: w.repo, Vault: w.repo.Vault, StoreID: storeID, Commands: h}.Task(now)
}

var storeID = uuid.New()

// halfErased is an account whose command died right after the event.
func (w *world) halfErased(email string) (account domain.Account, picture string) {
	w.t.Helper()
	account = w.active(email)
	picture = w.picture(account.ID)
	w.signsIn(email, secret)
	account = w.account(account.ID)
	w.append(domain.AccountStream(account.ID), account.Revision, domain.AccountErased{Reason: domain.ReasonOwner})
	return account, picture
}

func (w *world) wantErased(account domain.Account, email, picture string) {
	w.t.Helper()
	for table, column := range map[string]string{"vault.data_keys": "subject", "vault.credentials": "account_id", "app.sessions": "account_id"} {
		if n := scalar[int](w, `SELECT count(*) FROM `+table+` WHERE `+column+` = $1`, account.ID); n != 0 {
			w.t.Errorf("%d rows of %s", n, table)
		}
	}
	if _, _, err := w.objects.Get(w.t.Context(), picture); err == nil {
		w.t.Error("the picture is there")
	}
	if claim := w.claim(email); claim.Held {
		w.t.Errorf("the address is claimed by %s", claim.Holder)
	}
}

// TestErasuresAreFinished, and looked at once.
func TestErasuresAreFinished(t *testing.T) {
	w := newWorld(t).withObjects()
	w.run(w.erasures(w.Handler), 0)
	bystander := w.active(bob)
	account, picture := w.halfErased(ada)
	w.run(w.erasures(w.Handler), 1)
	w.wantErased(account, ada, picture)
	w.run(w.erasures(w.Handler), 0)
	if !w.signsIn(bob, secret) || w.account(bystander.ID).Email != bob {
		t.Error("somebody else was erased")
	}
	if next := w.active(ada); next.ID == account.ID {
		t.Error("an id is used again")
	}
}

// TestErasuresKilledAnywhere: the next process finishes them.
func TestErasuresKilledAnywhere(t *testing.T) {
	w := newWorld(t).withObjects()
	var account domain.Account
	var picture, email string
	w.killed(func(_ commands.Store, h *commands.Handler) housekeeping.Task { return w.erasures(h) },
		func() {
			email = uuid.NewString() + "@example.com"
			account, picture = w.halfErased(email)
		},
		func() { w.wantErased(account, email, picture) })
}

// TestErasuresInARestoredVault: keys and place go back to before the erasure, while
// housekeeping runs.
func TestErasuresInARestoredVault(t *testing.T) {
	w := newWorld(t).withObjects()
	account, picture := w.halfErased(ada)
	w.exec(`DROP TABLE IF EXISTS public.backup_keys`)
	w.exec(`CREATE TABLE public.backup_keys AS SELECT * FROM vault.data_keys`)
	w.run(w.erasures(w.Handler), 1)
	for _, restored := range []string{"", "erased_subjects", "erased_subjects erasures_seen"} {
		if restored != "" {
			w.exec(`DELETE FROM vault.erased_subjects`)
		}
		if restored == "erased_subjects erasures_seen" {
			w.exec(`DELETE FROM vault.erasures_seen`)
		}
		w.exec(`DO $$ BEGIN SET LOCAL session_replication_role = replica; INSERT INTO vault.data_keys SELECT * FROM public.backup_keys; END $$`)
		w.run(w.erasures(w.Handler), 1)
		w.wantErased(account, ada, picture)
	}
	w.exec(`DROP TABLE public.backup_keys`)
}
