package commands_test

import (
	"testing"

	"daybook/domain"
	"daybook/internal/testkit"
	"daybook/internal/vault"
)

// withKeys is a process that knows these keys of addresses.
func (w *world) withKeys(keys vault.KeySet, run func()) {
	before := w.repository.Addresses
	w.repository.Addresses = keys
	defer func() { w.repository.Addresses = before }()
	run()
}

// holders lists who holds the claims of the address under each key.
func (w *world) holders(keys vault.KeySet, email string) (held int, holder string) {
	w.t.Helper()
	parsed, err := domain.ParseEmail(email)
	must(w.t, err)
	w.withKeys(keys, func() {
		claims, err := w.repository.Claims(w.t.Context(), parsed)
		must(w.t, err)
		for _, claim := range claims {
			if claim.Held {
				held, holder = held+1, claim.Holder.String()
			}
		}
	})
	return held, holder
}

// TestActivationTakesMissingClaims: a process that was left behind registers under the
// old key only. Its account becomes active with the claim under the new one, or not at
// all when another has it.
func TestActivationTakesMissingClaims(t *testing.T) {
	w := newWorld(t)
	old, next := testkit.KeySet("k1"), testkit.KeySet("k2")
	both := append(next[:1:1], old...)
	var late, other domain.Account
	w.withKeys(old, func() { late, other = w.pending(ada), w.pending("bob@example.com") })
	w.withKeys(next, func() { w.active("bob@example.com") })
	for name, keys := range map[string]vault.KeySet{"next": next, "both": both} {
		w.withKeys(keys, func() {
			_, err := w.Activate(t.Context(), caller(), other.ID, w.activationToken(other, 0))
			t.Log(name)
			want(t, err, domain.ErrActivationInvalid)
		})
	}
	w.withKeys(both, func() {
		_, err := w.Activate(t.Context(), caller(), late.ID, w.activationToken(late, 0))
		must(t, err)
		if !w.signsIn(ada, secret) {
			t.Error("locked out")
		}
	})
	if held, holder := w.holders(both, ada); held != 2 || holder != late.ID.String() {
		t.Errorf("%d claims, of %s", held, holder)
	}
	w.withKeys(next, func() {
		if !w.signsIn(ada, secret) || !w.signsIn("bob@example.com", secret) {
			t.Error("locked out when the old key is dropped")
		}
	})
}

// TestIndexAddress is repeatable, and gives nothing to who owns nothing.
func TestIndexAddress(t *testing.T) {
	w := newWorld(t)
	old := testkit.KeySet("k1")
	both := append(testkit.KeySet("k2"), old...)
	var owner domain.Account
	w.withKeys(old, func() { owner = w.active(ada) })
	w.withKeys(both, func() {
		for _, wanted := range []int{1, 0} {
			if n, err := w.IndexAddress(t.Context(), caller(), owner.ID); n != wanted || err != nil {
				t.Errorf("%d claims were added, %v; want %d", n, err, wanted)
			}
		}
		if n, err := w.IndexAddress(t.Context(), caller(), caller().CommandID); n != 0 || err != nil {
			t.Errorf("nobody got %d claims, %v", n, err)
		}
		want(t, w.Register(t.Context(), caller(), registration(ada)), domain.ErrAddressTaken)
	})
	w.withKeys(both[:1], func() {
		want(t, w.Register(t.Context(), caller(), registration(ada)), domain.ErrAddressTaken)
		if !w.signsIn(ada, secret) {
			t.Error("locked out when the old key is dropped")
		}
	})
}

// TestReleaseKnowsEveryKey: an account that came back to an address owns it under
// another key than the one by which it was left.
func TestReleaseKnowsEveryKey(t *testing.T) {
	w := newWorld(t)
	old := testkit.KeySet("k1")
	both := append(testkit.KeySet("k2"), old...)
	var account domain.Account
	w.withKeys(old, func() { account = w.active(ada) })
	left := account.AddressClaim
	w.withKeys(both, func() {
		_, err := w.IndexAddress(t.Context(), caller(), account.ID)
		must(t, err)
		h := w.another()
		h.Store = &unreleasing{w.repository}
		for _, way := range [][2]string{{ada, augusta}, {augusta, ada}} {
			_, token := w.askAddress(w.in(way[0], secret), way[1])
			_, err := h.ChangeAddress(t.Context(), caller(), account.ID, token)
			must(t, err)
		}
		if released, err := w.ReleaseAddress(t.Context(), caller(), account.ID, left); released || err != nil {
			t.Errorf("released a claim of the address that the account has: %v", err)
		}
	})
	if held, _ := w.holders(both, ada); held != 2 {
		t.Errorf("%d claims of the present address", held)
	}
}

// TestChangeReleasesEveryClaim of the former address, under all keys.
func TestChangeReleasesEveryClaim(t *testing.T) {
	w := newWorld(t)
	both := append(testkit.KeySet("k2"), testkit.KeySet("k1")...)
	w.withKeys(both, func() {
		w.active(ada)
		account, token := w.askAddress(w.in(ada, secret), augusta)
		_, err := w.ChangeAddress(t.Context(), caller(), account.ID, token)
		must(t, err)
	})
	former, _ := w.holders(both, ada)
	present, _ := w.holders(both, augusta)
	if former != 0 || present != 2 {
		t.Errorf("%d claims of the former address, %d of the present one", former, present)
	}
}
