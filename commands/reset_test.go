package commands_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/google/uuid"

	"daybook/commands"
	"daybook/domain"
)

func TestResetRefusals(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	w.active(ada)
	w.active("bob@example.com")
	_, bobs := w.secondToken("bob@example.com")
	account, mailed := w.mailedReset(ada)
	reset := account.Reset
	second := w.token(domain.PurposeNewPassword, account.ID, reset.ID, reset.ExpiresAt)
	for name, token := range map[string]string{
		"empty": "", "garbage": "a:b=c", "key id only": "token.", "cut": second[:len(second)-1], "longer": second + "A",
		"re-encoded":        reencoded(second),
		"skipped a step":    mailed,
		"another account's": bobs,
		"activation's":      w.activationToken(account, 0),
		"an activation made of the reset's facts": w.token(domain.PurposeActivation, account.ID, reset.ID, reset.ExpiresAt),
		"of another request":                      w.token(domain.PurposeNewPassword, account.ID, uuid.New(), reset.ExpiresAt),
		"of another end":                          w.token(domain.PurposeNewPassword, account.ID, reset.ID, reset.ExpiresAt.Add(time.Minute)),
	} {
		if err := w.ResetPassword(ctx, caller(), account.ID, token, newWords); !errors.Is(err, domain.ErrResetInvalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, token := range map[string]string{"second stage": second, "activation's": w.activationToken(account, 0), "re-encoded": reencoded(mailed)} {
		if _, err := w.OpenResetLink(ctx, caller(), account.ID, token); !errors.Is(err, domain.ErrResetInvalid) {
			t.Errorf("open, %s: %v", name, err)
		}
	}
	want(t, w.ResetPassword(ctx, caller(), uuid.New(), second, newWords), domain.ErrResetInvalid)
	for _, refused := range []string{"", "short", "password", ada} {
		if err := w.ResetPassword(ctx, caller(), account.ID, second, refused); !domain.IsKind(err, domain.KindInvalid) || errors.Is(err, domain.ErrResetInvalid) {
			t.Errorf("password %q: %v", refused, err)
		}
	}
	must(t, w.ResetPassword(ctx, caller(), account.ID, second, newWords))
	want(t, w.ResetPassword(ctx, caller(), account.ID, second, newWords), domain.ErrResetInvalid)
	_, err := w.OpenResetLink(ctx, caller(), account.ID, mailed)
	want(t, err, domain.ErrResetInvalid)
	must(t, w.ResetPassword(ctx, caller(), w.accountOf("bob@example.com").ID, bobs, newWords))
}

func TestResetIsAskedFor(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	w.pending("pending@example.com")
	want(t, w.RequestReset(ctx, caller(), "nobody@example.com"), domain.ErrNotActive)
	want(t, w.RequestReset(ctx, caller(), "pending@example.com"), domain.ErrNotActive)
	want(t, w.RequestReset(ctx, caller(), "no address"), domain.ErrEmailInvalid)
	account := w.active(ada)
	_, first := w.secondToken(ada)
	_, again := w.secondToken(ada)
	if first != again {
		t.Fatal("asking again killed the link")
	}
	w.clock.advance(6 * time.Minute)
	_, second := w.secondToken(ada)
	want(t, w.ResetPassword(ctx, caller(), account.ID, first, newWords), domain.ErrResetInvalid) // superseded
	w.clock.advance(10*time.Minute + time.Second)
	want(t, w.ResetPassword(ctx, caller(), account.ID, second, newWords), domain.ErrResetInvalid) // expired
}

// TestOpeningTheLink consumes nothing and is noted once.
func TestOpeningTheLink(t *testing.T) {
	w := newWorld(t)
	w.active(ada)
	account, mailed := w.mailedReset(ada)
	for range 3 {
		second, err := w.OpenResetLink(t.Context(), caller(), account.ID, mailed)
		must(t, err)
		if second != w.token(domain.PurposeNewPassword, account.ID, account.Reset.ID, account.Reset.ExpiresAt) {
			t.Fatal("another second token")
		}
	}
	if n := count[domain.ResetLinkOpened](w.events(domain.AccountStream(account.ID))); n != 1 {
		t.Fatalf("noted %d times", n)
	}
	h := w.another()
	must(t, w.RequestReset(t.Context(), caller(), ada))
	w.clock.advance(6 * time.Minute)
	account, mailed = w.mailedReset(ada)
	h.Store = unwritable{w.repository}
	if _, err := h.OpenResetLink(t.Context(), caller(), account.ID, mailed); err != nil {
		t.Fatalf("the redirect fails with the note: %v", err)
	}
}

// TestResetHasOneWinner: of 32 at once exactly one gets through, with its password.
// DAYBOOK_TEST_LONG makes it 1,000 rounds.
func TestResetHasOneWinner(t *testing.T) {
	w := newWorld(t)
	for round := range rounds(3) {
		email := uuid.NewString() + "@example.com"
		w.active(email)
		account, second := w.secondToken(email)
		passwords := make([]string, 32)
		results := together(len(passwords), func(i int) error {
			passwords[i] = fmt.Sprintf("Password-%d-%d", round, i)
			return patiently(func() error {
				return w.ResetPassword(t.Context(), caller(), account.ID, second, passwords[i])
			})
		})
		winner := -1
		for i, err := range results {
			switch {
			case err == nil && winner < 0:
				winner = i
			case err == nil:
				t.Fatal("two winners")
			case !errors.Is(err, domain.ErrResetInvalid):
				t.Errorf("a loser is told %v", err)
			}
		}
		if winner < 0 || !w.signsIn(email, passwords[winner]) || w.signsIn(email, passwords[(winner+1)%32]) {
			t.Fatalf("round %d: winner %d", round, winner)
		}
		if n := count[domain.PasswordChanged](w.events(domain.AccountStream(account.ID))); n != 1 {
			t.Fatalf("round %d: %d changes", round, n)
		}
	}
}

// TestOtherChangesKillTheReset: a link asked for before another change is dead.
func TestOtherChangesKillTheReset(t *testing.T) {
	w := newWorld(t)
	account := w.active(ada)
	in := w.in(ada, secret)
	_, second := w.secondToken(ada)
	_, err := w.ChangePassword(t.Context(), caller(), account.ID, in.Session, secret, newWords)
	must(t, err)
	want(t, w.ResetPassword(t.Context(), caller(), account.ID, second, "yetAnother789"), domain.ErrResetInvalid)
}

func TestResetEndsEverySessionAndTheLock(t *testing.T) {
	w := newWorld(t)
	account := w.active(ada)
	var sessions []commands.SignedIn
	for range 5 {
		sessions = append(sessions, w.in(ada, secret))
	}
	for range tries + 1 {
		_, err := w.SignIn(t.Context(), caller(), ada, "wrong")
		want(t, err, commands.ErrCredentials)
	}
	_, err := w.SignIn(t.Context(), caller(), ada, secret)
	want(t, err, commands.ErrCredentials) // locked
	_, second := w.secondToken(ada)
	must(t, w.ResetPassword(t.Context(), caller(), account.ID, second, newWords))
	for i, in := range sessions {
		if w.valid(in) {
			t.Errorf("session %d works after the reset", i)
		}
	}
	w.in(ada, newWords)
}
