package commands_test

import (
	"errors"
	"testing"

	"daybook/commands"
	"daybook/domain"
)

// TestRoundTrips holds each command to its budget, once the account's key is
// known to the process.
func TestRoundTrips(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	account := w.active(ada)
	var in commands.SignedIn
	var second string
	for _, c := range []struct {
		name   string
		budget spent
		run    func() error
	}{
		// The first sign-in sets the age of the access stream; this is a later one.
		{"warm up", spent{3, 2, 1}, func() error { w.in(ada, secret); return nil }},
		// Before the hash one statement; beside each other the event, the session
		// and the end of the failed tries.
		{"SignIn", spent{3, 2, 1}, func() error { in = w.in(ada, secret); return nil }},
		{"SignIn refused", spent{1, 2, 0}, func() error {
			_, err := w.SignIn(ctx, caller(), ada, "wrong")
			if errors.Is(err, commands.ErrCredentials) {
				return nil
			}
			return err
		}},
		{"SignIn of nobody", spent{1, 2, 0}, func() error {
			_, err := w.SignIn(ctx, caller(), "nobody@example.com", "wrong")
			if errors.Is(err, commands.ErrCredentials) {
				return nil
			}
			return err
		}},
		{"Check", spent{1, 0, 0}, func() error { _, err := w.sessions.Check(ctx, in.Token); return err }},
		{"UpdateProfile", spent{0, 1, 1}, func() error {
			_, err := w.UpdateProfile(ctx, caller(), account.ID, commands.UpdateProfile{FirstName: new("Augusta")})
			return err
		}},
		{"RequestReset", spent{0, 2, 1}, func() error { return w.RequestReset(ctx, caller(), ada) }},
		{"RequestReset of nobody", spent{0, 2, 0}, func() error {
			if err := w.RequestReset(ctx, caller(), "nobody@example.com"); !errors.Is(err, domain.ErrNotActive) {
				return err
			}
			return nil
		}},
		{"OpenResetLink", spent{0, 1, 1}, func() (err error) {
			reset := w.openReset(account)
			second, err = w.OpenResetLink(ctx, caller(), account.ID, reset)
			return err
		}},
		{"ResetPassword", spent{2, 1, 1}, func() error { return w.ResetPassword(ctx, caller(), account.ID, second, newWords) }},
		{"SignOut", spent{1, 0, 1}, func() error { return w.SignOut(ctx, caller(), in.Token) }},
	} {
		var err error
		got := w.counts.during(func() { err = c.run() })
		if c.name == "OpenResetLink" {
			got.reads-- // the test's own
		}
		must(t, err)
		if got != c.budget {
			t.Errorf("%s: %+v, want %+v", c.name, got, c.budget)
		}
	}
	in = w.in(ada, newWords)
	got := w.counts.during(func() {
		_, err := w.ChangePassword(ctx, caller(), account.ID, in.Session, newWords, "yetAnother789")
		must(t, err)
	})
	// Try and credential, end of the tries, new credential, other sessions, guard.
	if want := (spent{5, 1, 1}); got != want {
		t.Errorf("ChangePassword: %+v, want %+v", got, want)
	}
	got = w.counts.during(func() { must(t, w.eraseOwn(ctx, caller(), account.ID, "yetAnother789")) })
	// Try and credential, end of the tries, mark, guard, key. The history is read once
	// more for what is to be removed; the claim is read and given back.
	if want := (spent{5, 3, 2}); got != want {
		t.Errorf("EraseAccount: %+v, want %+v", got, want)
	}
}

// TestRoundTripsOfAnAddressChange: of a claim that nobody has ever had.
func TestRoundTripsOfAnAddressChange(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	w.active(ada)
	in := w.in(ada, secret)
	ask := commands.RequestAddressChange{Email: augusta, Password: secret, Concealed: true}
	var asked commands.Result
	for _, c := range []struct {
		name   string
		budget spent
		run    func() error
	}{
		// Try and credential, end of the tries; account, claim, its holder.
		{"RequestAddressChange", spent{2, 3, 1}, func() (err error) {
			asked, err = w.RequestAddressChange(ctx, caller(), in.Account.ID, ask)
			return err
		}},
		{"AddressChange", spent{0, 1, 0}, func() error {
			_, err := w.AddressChange(ctx, in.Account.ID, w.addressToken(asked.Account))
			return err
		}},
		// Mark, other sessions, guard; account and both claims; claim, change, release.
		{"ChangeAddress", spent{3, 3, 3}, func() error {
			_, err := w.ChangeAddress(ctx, caller(), in.Account.ID, w.addressToken(asked.Account))
			return err
		}},
		// Used again: the account twice, for the claim is read before it.
		{"ChangeAddress again", spent{2, 2, 0}, func() error {
			_, err := w.ChangeAddress(ctx, caller(), in.Account.ID, w.addressToken(asked.Account))
			return err
		}},
	} {
		var err error
		got := w.counts.during(func() { err = c.run() })
		must(t, err)
		if got != c.budget {
			t.Errorf("%s: %+v, want %+v", c.name, got, c.budget)
		}
	}
}

// openReset returns the mailed token of the open reset: one read.
func (w *world) openReset(account domain.Account) string {
	w.t.Helper()
	reset := w.account(account.ID).Reset
	return w.token(domain.PurposeReset, account.ID, reset.ID, reset.ExpiresAt)
}
