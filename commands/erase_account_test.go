package commands_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/google/uuid"

	"daybook/commands"
	"daybook/domain"
	"daybook/internal/eventstore"
	"daybook/internal/objectstore"
	"daybook/internal/testkit"
	"daybook/internal/token"
	"daybook/internal/vault"
)

func (w *world) picture(account uuid.UUID) string {
	w.t.Helper()
	result, err := w.UpdateProfile(w.t.Context(), caller(), account, commands.UpdateProfile{
		Thumbnail: &commands.Thumbnail{ContentType: "image/png", Body: []byte("picture")}})
	must(w.t, err)
	return result.Account.Profile.Thumbnail
}

// eraseOwn erases the account as its owner does.
func (w *world) eraseOwn(ctx context.Context, c commands.Caller, id uuid.UUID, password string) error {
	return eraseBy(ctx, w.Handler, c, id, password)
}

func eraseBy(ctx context.Context, h *commands.Handler, c commands.Caller, id uuid.UUID, password string) error {
	_, err := h.EraseAccount(ctx, c, id, password)
	return err
}

func (w *world) hasObject(key string) bool {
	w.t.Helper()
	_, _, err := w.objects.Get(w.t.Context(), key)
	if err != nil && !errors.Is(err, objectstore.ErrNotFound) {
		w.t.Fatal(err)
	}
	return err == nil
}

func (w *world) rows(sql string, arguments ...any) (n int) {
	w.t.Helper()
	must(w.t, w.pool.QueryRow(w.t.Context(), sql, arguments...).Scan(&n))
	return n
}

// restarted is the repository of another process, which knows no keys yet.
func (w *world) restarted() *eventstore.Repository {
	fresh := *w.repository
	fresh.Vault = vaultOf(w)
	return &fresh
}

func vaultOf(w *world) *vault.Vault { return vault.New(w.pool, w.masters) }

// wantGone fails unless nothing of the account is left.
func (w *world) wantGone(before domain.Account, in commands.SignedIn, pictures []string, where string) {
	t := w.t
	t.Helper()
	after, err := w.restarted().Account(t.Context(), before.ID)
	must(t, err)
	if after.Status != domain.StatusErased || after.Email != "" || after.Profile != (domain.Profile{}) || w.valid(in) {
		t.Errorf("%s: %+v, session valid %v", where, after, w.valid(in))
	}
	for table, column := range map[string]string{"vault.data_keys": "subject", "vault.credentials": "account_id", "app.sessions": "account_id"} {
		if n := w.rows(`SELECT count(*) FROM `+table+` WHERE `+column+` = $1`, before.ID); n != 0 {
			t.Errorf("%s: %d rows of %s", where, n, table)
		}
	}
	claim, err := w.repository.ClaimAt(t.Context(), before.AddressClaim)
	must(t, err)
	if claim.Held {
		t.Errorf("%s: the address is claimed by %s", where, claim.Holder)
	}
	for _, key := range pictures {
		if w.hasObject(key) {
			t.Errorf("%s: the picture %s is there", where, key)
		}
	}
	if _, err := w.restarted().Vault.Secret(t.Context(), before.ID); !errors.Is(err, domain.ErrErased) {
		t.Errorf("%s: the key: %v", where, err)
	}
	w.unmarked(before.ID, where)
}

func TestEraseAccount(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	email := uuid.NewString() + "@example.com"
	account := w.active(email)
	first := w.picture(account.ID)
	second := w.picture(account.ID)
	in, other := w.in(email, secret), w.in(email, secret)
	_, mailed := w.mailedReset(email)
	_, exchanged := w.secondToken(email)
	want(t, w.eraseOwn(ctx, caller(), account.ID, "wrong"), commands.ErrWrongPassword)
	if !w.valid(in) {
		t.Fatal("a wrong password ended the session")
	}
	c := caller()
	must(t, w.eraseOwn(ctx, c, account.ID, secret))
	w.wantGone(account, in, []string{first, second}, "erased")
	if w.valid(other) || w.signsIn(email, secret) {
		t.Error("the account is open")
	}
	_, err := w.OpenResetLink(ctx, caller(), account.ID, mailed)
	want(t, err, domain.ErrResetInvalid)
	want(t, w.ResetPassword(ctx, caller(), account.ID, exchanged, newWords), domain.ErrResetInvalid)
	want(t, w.RequestReset(ctx, caller(), email), domain.ErrNotActive)
	want(t, w.eraseOwn(ctx, caller(), account.ID, secret), commands.ErrWrongPassword)
	must(t, w.eraseOwn(ctx, c, account.ID, secret)) // the same command again
	if n := count[domain.AccountErased](w.events(domain.AccountStream(account.ID))); n != 1 {
		t.Errorf("%d erasures", n)
	}
	farewell, found, err := w.vault.Farewell(ctx, account.ID)
	if err != nil || !found || farewell.Email != email || farewell.Name != "Ada" || time.Until(farewell.Until) > domain.FarewellLife {
		t.Errorf("farewell %+v, %v, %v", farewell, found, err)
	}

	next := w.active(email)
	if next.ID == account.ID || !w.signsIn(email, secret) || w.account(account.ID).Status != domain.StatusErased {
		t.Errorf("the address is not free for a new account: %+v", next)
	}
}

// TestErasedIsReadable: what was sealed reads as erased, of the access stream too, by
// a process that has never seen the key and by one that has.
func TestErasedIsReadable(t *testing.T) {
	w := newWorld(t)
	email := uuid.NewString() + "@example.com"
	account := w.active(email)
	w.in(email, secret)
	must(t, w.eraseOwn(t.Context(), caller(), account.ID, secret))
	opened := 0
	for _, stream := range []string{domain.AccountStream(account.ID), domain.AccessStream(account.ID)} {
		for _, r := range w.events(stream) {
			switch e := r.Event.(type) {
			case domain.AccountRegistered:
				opened++
				if !e.Personal.Erased || e.Personal.Value != (domain.RegisteredDetails{}) {
					t.Errorf("%+v", e)
				}
			case domain.SignedIn:
				opened++
				if !e.Personal.Erased || e.Personal.Value != (domain.Origin{}) {
					t.Errorf("%+v", e)
				}
			}
		}
	}
	if opened != 2 {
		t.Errorf("%d sealed events seen", opened)
	}
}

func TestEraseFor(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	pending, shut := w.pending(uuid.NewString()+"@example.com"), w.active(uuid.NewString()+"@example.com")
	_, err := w.Deactivate(ctx, caller(), shut.ID, "abuse")
	must(t, err)
	for _, account := range []domain.Account{pending, shut} {
		c := caller()
		c.Actor = domain.SystemActor("console")
		result, err := w.EraseFor(ctx, c, account.ID, "asked by letter")
		must(t, err)
		w.wantGone(account, commands.SignedIn{}, nil, string(account.Status))
		again, err := w.EraseFor(ctx, caller(), account.ID, "asked again")
		if err != nil || again.Account.Revision != result.Account.Revision {
			t.Errorf("again: %d, %v", again.Account.Revision, err)
		}
		last := w.events(domain.AccountStream(account.ID))[result.Account.Revision]
		if last.Event != (domain.AccountErased{Reason: "asked by letter"}) || last.Metadata.Actor != "system:console" {
			t.Errorf("%+v", last)
		}
	}
	// A mailbox that nobody proved may be a stranger's.
	if _, found, err := w.vault.Farewell(ctx, pending.ID); found || err != nil {
		t.Errorf("farewell to a pending account: %v, %v", found, err)
	}
	if _, found, err := w.vault.Farewell(ctx, shut.ID); !found || err != nil {
		t.Errorf("farewell: %v, %v", found, err)
	}
	result, err := w.EraseFor(ctx, caller(), uuid.New(), "nobody")
	if err != nil || result.Account.Status != domain.StatusNone {
		t.Errorf("nobody: %+v, %v", result, err)
	}
}

// TestLinksOfTheErasedAreDead: every token, by a process that has the key in memory.
func TestLinksOfTheErasedAreDead(t *testing.T) {
	w := newWorld(t)
	account := w.pending(uuid.NewString() + "@example.com")
	link := w.activationToken(account, 0)
	other := &token.Maker{Keys: w.links, Vault: vaultOf(w)}
	attempt := account.Activations[0]
	if ok, err := other.Matches(t.Context(), link, domain.PurposeActivation, account.ID, attempt.ID, attempt.ExpiresAt); !ok || err != nil {
		t.Fatalf("the link does not work: %v", err)
	}
	_, err := w.EraseFor(t.Context(), caller(), account.ID, "asked by letter")
	must(t, err)
	stale := w.another()
	stale.Tokens = other
	_, err = stale.Activate(t.Context(), caller(), account.ID, link)
	want(t, err, domain.ErrActivationInvalid)
	if _, err := w.Tokens.Token(t.Context(), domain.PurposeActivation, account.ID, attempt.ID, attempt.ExpiresAt); !errors.Is(err, domain.ErrErased) {
		t.Errorf("a token can still be made: %v", err)
	}
}

// TestEraseKilledAnywhere: wherever it is killed, the account is either whole, or
// nobody's: no session, no sign-in, no link, no name. FinishErasure, which
// housekeeping runs, drives it to the same end as the command.
func TestEraseKilledAnywhere(t *testing.T) {
	w := newWorld(t)
	w.killedAnywhere(w.eraseKilled, "suspect", "append", "settle", "key", "claim", "picture")
}

func (w *world) eraseKilled(k *killer, email string) {
	t, c := w.t, caller()
	account := w.active(email)
	pictures := []string{w.picture(account.ID)}
	in := w.in(email, secret)
	_, mailed := w.mailedReset(email)
	err := w.killed(k, func(ctx context.Context, h *commands.Handler) error {
		return eraseBy(ctx, h, c, account.ID, secret)
	})
	where := fmt.Sprintf("%s at %s, after it: %v (%v)", k.how, k.name, k.after, err)
	now, foldErr := w.restarted().Account(t.Context(), account.ID)
	must(t, foldErr)
	gone := now.Status == domain.StatusErased
	if err == nil && k.name != "" && k.how == "error" && k.name != "claim" && k.name != "picture" {
		t.Errorf("%s: acknowledged", where)
	}
	if gone == (now.Email == email) || gone == (now.Profile.FirstName == "Ada") {
		t.Errorf("%s: erased %v, but %+v", where, gone, now)
	}
	if w.valid(in) == gone || w.signsIn(email, secret) == gone {
		t.Errorf("%s: erased %v, but not for sessions", where, gone)
	}
	if _, err := w.OpenResetLink(t.Context(), caller(), account.ID, mailed); (err == nil) == gone {
		t.Errorf("%s: erased %v, but the link says %v", where, gone, err)
	}
	must(t, w.FinishErasure(t.Context(), caller(), account.ID))
	if !gone {
		if _, err := w.restarted().Vault.Secret(t.Context(), account.ID); err != nil || !w.hasObject(pictures[0]) {
			t.Errorf("%s: nothing was decided, but something was destroyed: %v", where, err)
		}
		must(t, w.eraseOwn(t.Context(), c, account.ID, secret))
	}
	w.wantGone(account, in, pictures, where)
	// The farewell is there once and for all, whoever came first.
	if farewell, found, err := w.vault.Farewell(t.Context(), account.ID); err != nil || !found || farewell.Email != email {
		t.Errorf("%s: farewell %v, %v", where, found, err)
	}
}

// TestEraseAgainstOtherCommands: many commands of one account at once, one of which
// erases it. None gets through behind it, and nothing they leave outlives it but
// pictures that no event names, which the sweep removes.
func TestEraseAgainstOtherCommands(t *testing.T) {
	w := newWorld(t)
	for range 5 {
		email := uuid.NewString() + "@example.com"
		account := w.active(email)
		in := w.in(email, secret)
		results := together(8, func(i int) error {
			h, c := w.another(), caller()
			switch i {
			case 0:
				return patiently(func() error { return eraseBy(t.Context(), h, c, account.ID, secret) })
			case 1:
				return h.RequestReset(t.Context(), c, email)
			case 2:
				return patiently(func() error {
					_, err := h.ChangePassword(t.Context(), c, account.ID, in.Session, secret, newWords)
					return err
				})
			case 3:
				return patiently(func() error { _, err := h.SignIn(t.Context(), c, email, secret); return err })
			}
			_, err := h.UpdateProfile(t.Context(), c, account.ID, commands.UpdateProfile{FirstName: new(fmt.Sprintf("Name%d", i))})
			return err
		})
		for i, err := range results {
			if _, refused := errors.AsType[*domain.Error](err); err != nil && !refused && !errors.Is(err, domain.ErrErased) {
				t.Errorf("command %d: %v", i, err)
			}
		}
		if results[0] != nil { // the password was changed first
			must(t, w.eraseOwn(t.Context(), caller(), account.ID, newWords))
		}
		history := w.events(domain.AccountStream(account.ID))
		if _, last := history[len(history)-1].Event.(domain.AccountErased); !last {
			t.Errorf("%T follows the erasure", history[len(history)-1].Event)
		}
		// A change that was refused may have left its mark behind the erasure's.
		must(t, w.FinishErasure(t.Context(), caller(), account.ID))
		w.wantGone(account, in, nil, "against others")
	}
}

// TestErasedUnderEveryKey: while keys of addresses change, the address is claimed under
// several, and all claims are given back.
func TestErasedUnderEveryKey(t *testing.T) {
	w := newWorld(t)
	both := append(testkit.KeySet("k2"), testkit.KeySet("k1")...)
	w.withKeys(both, func() {
		account := w.active(ada)
		if held, _ := w.holders(both, ada); held != 2 {
			t.Fatalf("%d claims", held)
		}
		must(t, w.eraseOwn(t.Context(), caller(), account.ID, secret))
	})
	if held, holder := w.holders(both, ada); held != 0 {
		t.Errorf("%d claims, of %s", held, holder)
	}
}
