package commands_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/google/uuid"

	"daybook/commands"
	"daybook/domain"
)

// TestChangeOfAddressKilledAnywhere: wherever it is killed between the claim and the
// release, the account has one address, no session of before is valid once it has
// changed but the one that asked, and using the link again completes it.
func TestChangeOfAddressKilledAnywhere(t *testing.T) {
	w := newWorld(t)
	w.killedAnywhere(w.addressKilled, "suspect", "append", "end others", "settle")
}

func (w *world) addressKilled(k *killer, email string) {
	t := w.t
	former := w.active(email)
	own, other := w.in(email, secret), w.in(email, secret)
	account, token := w.askAddress(own, "new-"+email)
	err := w.killed(k, func(ctx context.Context, h *commands.Handler) error {
		_, err := h.ChangeAddress(ctx, caller(), account.ID, token)
		return err
	})
	where := fmt.Sprintf("%s at %s (step %d), after it: %v (%v)", k.how, k.name, k.step, k.after, err)
	// Nobody has repeated anything yet.
	changed := w.account(account.ID).Email != email
	if w.signsIn(email, secret) == changed || w.signsIn("new-"+email, secret) != changed {
		t.Errorf("%s: changed %v, but signing in does not say so", where, changed)
	}
	if w.valid(other) == changed {
		t.Errorf("%s: changed %v, the other session valid %v", where, changed, !changed)
	}
	if !changed && !w.valid(own) {
		t.Errorf("%s: nothing changed, but the session that asked is refused", where)
	}
	if _, err := w.ChangeAddress(t.Context(), caller(), account.ID, token); err != nil {
		t.Fatalf("%s, repeated: %v", where, err)
	}
	if !w.valid(own) || w.valid(other) || w.signsIn(email, secret) || !w.signsIn("new-"+email, secret) {
		t.Errorf("%s, repeated: the session that asked valid %v, other %v", where, w.valid(own), w.valid(other))
	}
	if n := count[domain.AddressChanged](w.events(domain.AccountStream(account.ID))); n != 1 {
		t.Errorf("%s: %d changes", where, n)
	}
	if n := count[domain.AddressReleased](w.events(former.AddressClaim)); n != 1 {
		t.Errorf("%s: the former address was released %d times", where, n)
	}
	w.unmarked(account.ID, where)
}

// TestHalfwayChangeGivesWay: a change that was killed between its claim and its event
// holds the address up for nobody, and cannot come after somebody else.
func TestHalfwayChangeGivesWay(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	w.active(ada)
	account, token := w.askAddress(w.in(ada, secret), augusta)
	if err := w.killed(&killer{step: 0, after: true, how: "error"}, func(ctx context.Context, h *commands.Handler) error {
		_, err := h.ChangeAddress(ctx, caller(), account.ID, token)
		return err
	}); err == nil {
		t.Fatal("not killed")
	}
	w.clock.advance(5 * time.Minute)
	must(t, w.Register(ctx, caller(), registration(augusta)))
	owner := w.accountOf(augusta)
	if owner.ID == account.ID || owner.Status != domain.StatusPending {
		t.Fatalf("the address is %s's", owner.ID)
	}
	_, err := w.ChangeAddress(ctx, caller(), account.ID, token)
	want(t, err, domain.ErrAddressChangeInvalid)
	if w.account(account.ID).Email != ada || w.accountOf(augusta).ID != owner.ID {
		t.Fatal("the abandoned change came through")
	}
}

// TestReleaseAddress gives up what is not the account's any more, and nothing else.
func TestReleaseAddress(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	former := w.active(ada)
	account, token := w.askAddress(w.in(ada, secret), augusta)
	release := func(id uuid.UUID, stream string) bool {
		released, err := w.ReleaseAddress(ctx, caller(), id, stream)
		must(t, err)
		return released
	}
	if release(account.ID, former.AddressClaim) {
		t.Fatal("released the address that the account has")
	}
	h := w.another()
	h.Store = &unreleasing{w.repository}
	result, err := h.ChangeAddress(ctx, caller(), account.ID, token)
	must(t, err) // the change stands
	if release(account.ID, result.Account.AddressClaim) || release(uuid.New(), former.AddressClaim) {
		t.Fatal("released another's claim, or the new one")
	}
	if !release(account.ID, former.AddressClaim) || release(account.ID, former.AddressClaim) {
		t.Fatal("not released, or twice")
	}
	lost := w.pending("lost@example.com")
	if release(lost.ID, lost.AddressClaim) {
		t.Fatal("released the address of a registration")
	}
}

// unreleasing takes no release.
type unreleasing struct{ commands.Store }

func (s *unreleasing) Append(ctx context.Context, a domain.Append) ([]domain.Recorded, error) {
	if _, ok := a.Events[0].(domain.AddressReleased); ok {
		return nil, errUnwritable
	}
	return s.Store.Append(ctx, a)
}
