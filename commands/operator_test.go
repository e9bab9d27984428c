package commands_test

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/google/uuid"

	"daybook/commands"
	"daybook/domain"
)

func TestDeactivateAndReactivate(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	account := w.active(ada)
	in := w.in(ada, secret)
	_, mailed := w.mailedReset(ada)
	_, second := w.secondToken(ada)
	result, err := w.Deactivate(ctx, caller(), account.ID, "abuse")
	must(t, err)
	if result.Account.Status != domain.StatusDeactivated || w.valid(in) || w.signsIn(ada, secret) {
		t.Errorf("%s, session valid %v", result.Account.Status, w.valid(in))
	}
	_, err = w.OpenResetLink(ctx, caller(), account.ID, mailed)
	want(t, err, domain.ErrResetInvalid)
	want(t, w.RequestReset(ctx, caller(), ada), domain.ErrNotActive)
	if _, err := w.Deactivate(ctx, caller(), account.ID, "again"); err != nil || w.account(account.ID).Revision != result.Account.Revision {
		t.Errorf("shut twice: %v", err)
	}
	_, err = w.Reactivate(ctx, caller(), account.ID, "appeal")
	must(t, err)
	if w.valid(in) || !w.signsIn(ada, secret) {
		t.Errorf("opened again: the ended session is valid %v", w.valid(in))
	}
	want(t, w.ResetPassword(ctx, caller(), account.ID, second, newWords), domain.ErrResetInvalid)
	w.unmarked(account.ID, "at the end")
}

func TestGrantStaff(t *testing.T) {
	w := newWorld(t)
	account := w.active(ada)
	for _, staff := range []bool{true, true, false} {
		result, err := w.GrantStaff(t.Context(), caller(), account.ID, staff, "hired or not")
		must(t, err)
		if result.Account.Staff != staff || w.account(account.ID).Staff != staff {
			t.Errorf("staff %v, want %v", result.Account.Staff, staff)
		}
	}
	events := w.events(domain.AccountStream(account.ID))
	if count[domain.StaffGranted](events) != 1 || count[domain.StaffRevoked](events) != 1 {
		t.Errorf("%d events", len(events))
	}
}

func TestFindAccount(t *testing.T) {
	w := newWorld(t)
	email := uuid.NewString() + "@example.com"
	account := w.active(email)
	for _, name := range []string{email, account.ID.String()} {
		found, err := w.FindAccount(t.Context(), name)
		if err != nil || found.ID != account.ID {
			t.Errorf("%s: %s, %v", name, found.ID, err)
		}
	}
	for _, name := range []string{"x" + email, uuid.NewString()} {
		_, err := w.FindAccount(t.Context(), name)
		want(t, err, commands.ErrNoSuchAccount)
	}
}

// TestDeactivateKilledAnywhere: wherever it is killed, no session of the account
// is valid once the event is in the stream, and none is refused before.
func TestDeactivateKilledAnywhere(t *testing.T) {
	w := newWorld(t)
	w.killedAnywhere(w.deactivateKilled, "suspect", "append", "settle")
}

func (w *world) deactivateKilled(k *killer, email string) {
	t, c := w.t, caller()
	account := w.active(email)
	in := w.in(email, secret)
	err := w.killed(k, func(ctx context.Context, h *commands.Handler) error {
		_, err := h.Deactivate(ctx, c, account.ID, "abuse")
		return err
	})
	where := fmt.Sprintf("%s at %s, after it: %v (%v)", k.how, k.name, k.after, err)
	shut := !w.account(account.ID).Active()
	if w.valid(in) == shut || w.signsIn(email, secret) == shut {
		t.Errorf("%s: shut %v, but not for sessions", where, shut)
	}
	if _, err := w.Deactivate(t.Context(), c, account.ID, "abuse"); err != nil {
		t.Fatal(errors.Join(errors.New(where), err))
	}
	if w.valid(in) || w.signsIn(email, secret) {
		t.Errorf("%s, repeated: the account is open", where)
	}
	w.unmarked(account.ID, where)
}
