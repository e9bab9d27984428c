package commands_test

import (
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"

	"daybook/commands"
	"daybook/domain"
)

func staff(email string) commands.CreateStaff {
	return commands.CreateStaff{Email: email, FirstName: "Ada", LastName: "Lovelace", Reason: "hired"}
}

// TestCreateStaff: the account has its rights, nobody gets in without the mailed
// link and a password of the person's own, and both work once.
func TestCreateStaff(t *testing.T) {
	w := newWorld(t)
	ctx, email, c := t.Context(), uuid.NewString()+"@example.com", caller()
	result, err := w.CreateStaff(ctx, c, staff(email))
	must(t, err)
	account := result.Account
	if account.Status != domain.StatusPending || !account.Staff || account.Email != email {
		t.Fatalf("%+v", account)
	}
	again, err := w.CreateStaff(ctx, c, staff(email))
	if err != nil || again.Account.Revision != account.Revision {
		t.Errorf("repeated: %v at %d", err, again.Account.Revision)
	}
	if w.signsIn(email, "") || w.signsIn(email, secret) {
		t.Error("signs in before the link was used")
	}
	used, err := w.Activate(ctx, caller(), account.ID, w.activationToken(account, 0))
	must(t, err)
	if w.signsIn(email, "") || w.signsIn(email, secret) {
		t.Error("signs in without a password")
	}
	_, err = w.Activate(ctx, caller(), account.ID, w.activationToken(account, 0))
	want(t, err, domain.ErrActivationInvalid)
	must(t, w.ResetPassword(ctx, caller(), account.ID, used.NewPassword, newWords))
	if in := w.in(email, newWords); !in.Account.Staff || !in.Account.Active() {
		t.Errorf("signed in as %+v", in.Account)
	}
	want(t, w.ResetPassword(ctx, caller(), account.ID, used.NewPassword, secret), domain.ErrResetInvalid)
}

// TestCreateStaffTakesNothingOver: of an address that somebody has or waits for,
// nothing changes and nobody is told; a bad address or name changes nothing either.
func TestCreateStaffTakesNothingOver(t *testing.T) {
	w := newWorld(t)
	active, waiting := uuid.NewString()+"@example.com", uuid.NewString()+"@example.com"
	for _, account := range []domain.Account{w.active(active), w.pending(waiting)} {
		_, err := w.CreateStaff(t.Context(), caller(), staff(account.Email))
		want(t, err, domain.ErrAddressTaken)
		if after := w.account(account.ID); after.Revision != account.Revision || after.Staff {
			t.Errorf("%s: %+v", account.Email, after)
		}
	}
	if w.notices.sent.Load() != 0 {
		t.Error("an owner was told")
	}
	tail := w.tail()
	for _, bad := range []commands.CreateStaff{{Email: "nobody", FirstName: "A", LastName: "B"}, {Email: ada, LastName: "B"}, {Email: ada, FirstName: "A\x00", LastName: "B"}} {
		if _, err := w.CreateStaff(t.Context(), caller(), bad); !domain.IsKind(err, domain.KindInvalid) {
			t.Errorf("%+v: %v", bad, err)
		}
	}
	if w.tail() != tail {
		t.Error("a refused command left something behind")
	}
}

// TestNoStrangerComesByStaffRights: whoever registers the address of an invited
// person brings no password in, and the person's link still works.
func TestNoStrangerComesByStaffRights(t *testing.T) {
	w := newWorld(t)
	ctx, email := t.Context(), uuid.NewString()+"@example.com"
	result, err := w.CreateStaff(ctx, caller(), staff(email))
	must(t, err)
	w.clock.advance(11 * time.Minute)
	must(t, w.Register(ctx, caller(), commands.Register{Email: email, FirstName: "Mallory", LastName: "M", Password: secret}))
	account := w.account(result.Account.ID)
	if len(account.Activations) != 1 || !account.Activations[0].Invitation() || account.Activations[0].Names.FirstName != "Ada" {
		t.Fatalf("%+v", account.Activations)
	}
	used, err := w.Activate(ctx, caller(), account.ID, w.activationToken(account, 0))
	must(t, err)
	if w.signsIn(email, secret) || used.NewPassword == "" {
		t.Error("the stranger's password counts")
	}
}

// TestStaffAndRegistrationsAtOnce leave one account, and no stranger with rights.
func TestStaffAndRegistrationsAtOnce(t *testing.T) {
	w := newWorld(t)
	for range 5 {
		email := uuid.NewString() + "@example.com"
		var made, refused atomic.Int64
		var all sync.WaitGroup
		for i := range 8 {
			all.Go(func() {
				var err error
				if i%2 == 0 {
					_, err = w.CreateStaff(t.Context(), caller(), staff(email))
				} else {
					err = w.Register(t.Context(), caller(), commands.Register{Email: email, FirstName: "Mallory", LastName: "M", Password: secret})
				}
				switch {
				case err == nil && i%2 == 0:
					made.Add(1)
				case errors.Is(err, domain.ErrAddressTaken):
					refused.Add(1)
				case err != nil:
					t.Error(err)
				}
			})
		}
		all.Wait()
		account := w.accountOf(email)
		if account.Staff != (made.Load() == 1) || made.Load() > 1 || made.Load()+refused.Load() < 4 {
			t.Errorf("staff %v, made %d, refused %d", account.Staff, made.Load(), refused.Load())
		}
		for _, attempt := range account.Activations {
			if account.Staff != attempt.Invitation() {
				t.Errorf("staff %v, but an attempt of another kind", account.Staff)
			}
		}
	}
}
