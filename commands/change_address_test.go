package commands_test

import (
	"errors"
	"testing"
	"time"

	"github.com/google/uuid"

	"daybook/commands"
	"daybook/domain"
)

const augusta = "augusta@new.example"

// askAddress asks for a change from the session and returns the account with the
// token that is mailed to the new address.
func (w *world) askAddress(in commands.SignedIn, to string) (domain.Account, string) {
	w.t.Helper()
	c := caller()
	c.Session = in.Session.String()
	result, err := w.RequestAddressChange(w.t.Context(), c, in.Account.ID, commands.RequestAddressChange{Email: to, Password: secret, Concealed: true})
	must(w.t, err)
	return result.Account, w.addressToken(result.Account)
}

func (w *world) addressToken(account domain.Account) string {
	w.t.Helper()
	change := account.AddressChange
	return w.token(domain.PurposeNewAddress, account.ID, change.ID, change.ExpiresAt)
}

func TestChangeAddress(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	before := w.active(ada)
	own, other := w.in(ada, secret), w.in(ada, secret)
	_, reset := w.secondToken(ada)
	account, token := w.askAddress(own, augusta)
	if account.Email != ada || !w.valid(own) || !w.valid(other) || !w.signsIn(ada, secret) || w.signsIn(augusta, secret) {
		t.Fatal("asking has changed something")
	}
	change, err := w.AddressChange(ctx, account.ID, token)
	must(t, err)
	if change.Email != augusta || w.account(account.ID).Revision != account.Revision {
		t.Fatalf("the page shows %+v", change)
	}
	result, err := w.ChangeAddress(ctx, caller(), account.ID, token)
	must(t, err)
	if result.Account.Email != augusta || w.accountOf(augusta).ID != account.ID {
		t.Fatalf("the address is %q", result.Account.Email)
	}
	if w.signsIn(ada, secret) || !w.signsIn(augusta, secret) {
		t.Fatal("signs in with the former address, or not with the new one")
	}
	if !w.valid(own) || w.valid(other) {
		t.Fatalf("the session that asked valid %v, the other %v", w.valid(own), w.valid(other))
	}
	want(t, w.ResetPassword(ctx, caller(), account.ID, reset, newWords), domain.ErrResetInvalid)
	want(t, w.RequestReset(ctx, caller(), ada), domain.ErrNotActive)
	must(t, w.RequestReset(ctx, caller(), augusta))
	former := w.events(before.AddressClaim)
	if count[domain.AddressReleased](former) != 1 {
		t.Fatalf("the former address is not released: %v", former)
	}
	must(t, w.Register(ctx, caller(), registration(ada)))
	if next := w.accountOf(ada); next.ID == account.ID || next.Status != domain.StatusPending {
		t.Fatalf("the former address is %s's", next.ID)
	}
	w.unmarked(account.ID, "at the end")
}

// TestChangedAddressIsSeenBySessions: the session that asked reads nothing older
// than the change, whoever used the link.
func TestChangedAddressIsSeenBySessions(t *testing.T) {
	w := newWorld(t)
	w.active(ada)
	in := w.in(ada, secret)
	account, token := w.askAddress(in, augusta)
	result, err := w.ChangeAddress(t.Context(), caller(), account.ID, token)
	must(t, err)
	checked, err := w.sessions.Check(t.Context(), in.Token)
	must(t, err)
	if checked.Session.AccountRevision != result.Account.Revision {
		t.Errorf("the session has seen %d, the change is %d", checked.Session.AccountRevision, result.Account.Revision)
	}
}

func TestRequestAddressChangeRefusals(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	account := w.active(ada)
	ask := func(email, password string) error {
		_, err := w.RequestAddressChange(ctx, caller(), account.ID, commands.RequestAddressChange{Email: email, Password: password, Concealed: true})
		return err
	}
	want(t, ask("no address", secret), domain.ErrEmailInvalid)
	want(t, ask("Ada <ada@new.example>", secret), domain.ErrEmailInvalid)
	want(t, ask("ADA@EXAMPLE.com", secret), domain.ErrSameAddress)
	want(t, ask(augusta, ""), commands.ErrWrongPassword)
	for range tries {
		want(t, ask(augusta, "wrong"), commands.ErrWrongPassword)
	}
	want(t, ask(augusta, secret), commands.ErrWrongPassword) // locked
	if after := w.account(account.ID); after.Revision != account.Revision {
		t.Fatalf("refused requests appended up to %d", after.Revision)
	}
	_, err := w.RequestAddressChange(ctx, caller(), uuid.New(), commands.RequestAddressChange{Email: augusta, Password: secret})
	want(t, err, domain.ErrNotSignedIn)
}

// TestTakenAddress: what the account's stream shows is the same, the owner is told.
func TestTakenAddress(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	account := w.active(ada)
	w.active(augusta)
	w.pending("pending@example.com")
	in := commands.RequestAddressChange{Email: augusta, Password: secret}
	_, err := w.RequestAddressChange(ctx, caller(), account.ID, in)
	want(t, err, domain.ErrAddressTaken)
	if w.account(account.ID).Revision != account.Revision || w.notices.sent.Load() != 1 {
		t.Fatalf("%d notices to the owner", w.notices.sent.Load())
	}
	in.Concealed = true
	result, err := w.RequestAddressChange(ctx, caller(), account.ID, in)
	must(t, err)
	if result.Account.Revision != account.Revision+1 || w.notices.sent.Load() != 2 {
		t.Fatalf("revision %d, %d notices", result.Account.Revision, w.notices.sent.Load())
	}
	_, err = w.ChangeAddress(ctx, caller(), account.ID, w.addressToken(result.Account)) // whoever had the token
	want(t, err, domain.ErrAddressTaken)
	in.Email, in.Concealed = "pending@example.com", false
	_, err = w.RequestAddressChange(ctx, caller(), account.ID, in)
	must(t, err)
	if w.notices.sent.Load() != 2 {
		t.Fatal("a notice to somebody who has no account yet")
	}
}

// TestProofBeatsRegistration: who can read the mail of an address gets it, not who
// typed it into a form.
func TestProofBeatsRegistration(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	w.active(ada)
	in := w.in(ada, secret)
	account, token := w.askAddress(in, augusta)
	squatter := w.pending(augusta)
	_, err := w.ChangeAddress(ctx, caller(), account.ID, token)
	must(t, err)
	if w.accountOf(augusta).ID != account.ID || w.account(squatter.ID).Status != domain.StatusExpired {
		t.Fatal("a registration that proved nothing kept the address")
	}
	_, err = w.Activate(ctx, caller(), squatter.ID, w.activationToken(squatter, 0))
	want(t, err, domain.ErrActivationInvalid)
	if !w.signsIn(augusta, secret) {
		t.Fatal("the account does not sign in")
	}
	// An operator's invitation stays.
	_, err = w.CreateStaff(ctx, caller(), staff("invited@example.com"))
	must(t, err)
	_, invited := w.askAddress(w.in(augusta, secret), "invited@example.com")
	_, err = w.ChangeAddress(ctx, caller(), account.ID, invited)
	want(t, err, domain.ErrAddressTaken)
	// And the mailbox of an active account has been proved before.
	owner := w.active("owner@example.com")
	_, err = w.RequestAddressChange(ctx, caller(), owner.ID, commands.RequestAddressChange{Email: "free@example.com", Password: secret})
	must(t, err)
	w.active("free@example.com")
	_, err = w.ChangeAddress(ctx, caller(), owner.ID, w.addressToken(w.account(owner.ID)))
	want(t, err, domain.ErrAddressTaken)
}

// addressLinks are the links to a new address that do not work (A10 to A12, C53).
func (w *world) addressLinks(account domain.Account, right string) map[string]string {
	change := account.AddressChange
	_, mailed := w.mailedReset(account.Email)
	return map[string]string{
		"empty": "", "garbage": "a:b=c", "key id only": "token.", "cut": right[:len(right)-1], "longer": right + "A",
		"re-encoded":         reencoded(right),
		"a reset's":          mailed,
		"an activation's":    w.activationToken(account, 0),
		"a reset of the id":  w.token(domain.PurposeReset, account.ID, change.ID, change.ExpiresAt),
		"a second stage":     w.token(domain.PurposeNewPassword, account.ID, change.ID, change.ExpiresAt),
		"of another request": w.token(domain.PurposeNewAddress, account.ID, uuid.New(), change.ExpiresAt),
		"of another end":     w.token(domain.PurposeNewAddress, account.ID, change.ID, change.ExpiresAt.Add(time.Minute)),
	}
}

func TestAddressLinkRefusals(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	w.active(ada)
	w.active("bob@example.com")
	account, right := w.askAddress(w.in(ada, secret), augusta)
	_, bobs := w.askAddress(w.in("bob@example.com", secret), "bob@new.example")
	links := w.addressLinks(account, right)
	links["another account's"] = bobs
	for name, token := range links {
		if _, err := w.ChangeAddress(ctx, caller(), account.ID, token); !errors.Is(err, domain.ErrAddressChangeInvalid) {
			t.Errorf("%s: %v", name, err)
		}
		if _, err := w.AddressChange(ctx, account.ID, token); !errors.Is(err, domain.ErrAddressChangeInvalid) {
			t.Errorf("page, %s: %v", name, err)
		}
	}
	// Nor does it stand for another.
	_, err := w.Activate(ctx, caller(), account.ID, right)
	want(t, err, domain.ErrActivationInvalid)
	_, err = w.OpenResetLink(ctx, caller(), account.ID, right)
	want(t, err, domain.ErrResetInvalid)
	want(t, w.ResetPassword(ctx, caller(), account.ID, right, newWords), domain.ErrResetInvalid)
	_, err = w.ChangeAddress(ctx, caller(), uuid.New(), right)
	want(t, err, domain.ErrAddressChangeInvalid)
	_, err = w.ChangeAddress(ctx, caller(), account.ID, right)
	must(t, err)
}

// TestLinksOfAnAddressDie with each change that ends them (C56, A12).
func TestLinksOfAnAddressDie(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	for name, kill := range map[string]func(in commands.SignedIn){
		"another request": func(in commands.SignedIn) { w.askAddress(in, "third@new.example") },
		"a password change": func(in commands.SignedIn) {
			_, err := w.ChangePassword(ctx, caller(), in.Account.ID, in.Session, secret, newWords)
			must(t, err)
		},
		"a reset": func(in commands.SignedIn) {
			_, second := w.secondToken(in.Account.Email)
			must(t, w.ResetPassword(ctx, caller(), in.Account.ID, second, newWords))
		},
		"deactivation": func(in commands.SignedIn) {
			_, err := w.Deactivate(ctx, caller(), in.Account.ID, "abuse")
			must(t, err)
			_, err = w.Reactivate(ctx, caller(), in.Account.ID, "appeal")
			must(t, err)
		},
		"its end": func(commands.SignedIn) { w.clock.advance(time.Hour) },
	} {
		email := uuid.NewString() + "@example.com"
		w.active(email)
		in := w.in(email, secret)
		account, token := w.askAddress(in, "new-"+email)
		kill(in)
		if _, err := w.ChangeAddress(ctx, caller(), account.ID, token); !errors.Is(err, domain.ErrAddressChangeInvalid) {
			t.Errorf("after %s: %v", name, err)
		}
		if w.account(account.ID).Email != email {
			t.Errorf("after %s the address has changed", name)
		}
	}
}

// TestSameLinkAgain while half its life is left; a used one answers the same until
// its end or another request.
func TestSameLinkAgain(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	w.active(ada)
	in := w.in(ada, secret)
	account, first := w.askAddress(in, augusta)
	if _, again := w.askAddress(in, augusta); again != first {
		t.Fatal("asking again killed the link")
	}
	for range 3 {
		result, err := w.ChangeAddress(ctx, caller(), account.ID, first)
		must(t, err)
		if result.Account.Email != augusta {
			t.Fatalf("the address is %q", result.Account.Email)
		}
	}
	if n := count[domain.AddressChanged](w.events(domain.AccountStream(account.ID))); n != 1 {
		t.Fatalf("%d changes", n)
	}
	for range 4 {
		w.askAddress(in, ada)
	}
	_, err := w.ChangeAddress(ctx, caller(), account.ID, first)
	want(t, err, domain.ErrAddressChangeInvalid)
	_, err = w.RequestAddressChange(ctx, caller(), account.ID, commands.RequestAddressChange{Email: ada, Password: secret})
	want(t, err, domain.ErrAddressChangesUsedUp)
	// And back again.
	result, err := w.ChangeAddress(ctx, caller(), account.ID, w.addressToken(w.account(account.ID)))
	must(t, err)
	if result.Account.Email != ada || !w.signsIn(ada, secret) || w.signsIn(augusta, secret) {
		t.Fatalf("back at %q", result.Account.Email)
	}
}

// TestRepeatedLinkBringsNothingBack: neither sessions that a later change ended, nor
// an end to those opened since.
func TestRepeatedLinkBringsNothingBack(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	w.active(ada)
	in := w.in(ada, secret)
	account, token := w.askAddress(in, augusta)
	_, err := w.ChangeAddress(ctx, caller(), account.ID, token)
	must(t, err)
	later := w.in(augusta, secret)
	_, err = w.ChangeAddress(ctx, caller(), account.ID, token)
	must(t, err)
	if !w.valid(in) || !w.valid(later) {
		t.Fatalf("repeated: the session that asked valid %v, a later one %v", w.valid(in), w.valid(later))
	}
	_, second := w.secondToken(augusta)
	must(t, w.ResetPassword(ctx, caller(), account.ID, second, newWords))
	owner := w.in(augusta, newWords)
	_, err = w.ChangeAddress(ctx, caller(), account.ID, token)
	must(t, err)
	if w.valid(in) || w.valid(later) || !w.valid(owner) {
		t.Fatal("repeated after a reset: a session that had ended works again, or the owner's was ended")
	}
}

// TestOneOwnerOfAnAddress: of accounts that prove one address at once, one gets it.
func TestOneOwnerOfAnAddress(t *testing.T) {
	w := newWorld(t)
	for range 3 {
		email := uuid.NewString() + "@new.example"
		accounts, tokens := make([]domain.Account, 8), make([]string, 8)
		for i := range accounts {
			own := uuid.NewString() + "@example.com"
			w.active(own)
			accounts[i], tokens[i] = w.askAddress(w.in(own, secret), email)
		}
		results := together(len(accounts), func(i int) error {
			_, err := w.ChangeAddress(t.Context(), caller(), accounts[i].ID, tokens[i])
			return err
		})
		var winners []uuid.UUID
		for i, err := range results {
			account := w.account(accounts[i].ID)
			if (account.Email == email) != (err == nil) {
				t.Errorf("told %v, the address is %q", err, account.Email)
			}
			if err == nil {
				winners = append(winners, account.ID)
			} else if !errors.Is(err, domain.ErrAddressTaken) && !errors.Is(err, domain.ErrAddressChangeInvalid) {
				t.Errorf("a loser is told %v", err)
			}
		}
		if len(winners) != 1 || w.accountOf(email).ID != winners[0] || !w.signsIn(email, secret) {
			t.Fatalf("winners %v", winners)
		}
	}
}

// TestOneLinkUsedAtOnce: all are told that it worked, and it worked once.
func TestOneLinkUsedAtOnce(t *testing.T) {
	w := newWorld(t)
	w.active(ada)
	account, token := w.askAddress(w.in(ada, secret), augusta)
	for _, err := range together(16, func(int) error {
		_, err := w.ChangeAddress(t.Context(), caller(), account.ID, token)
		return err
	}) {
		must(t, err)
	}
	if n := count[domain.AddressChanged](w.events(domain.AccountStream(account.ID))); n != 1 || w.account(account.ID).Email != augusta {
		t.Fatalf("%d changes", n)
	}
}
