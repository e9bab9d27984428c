package commands_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/google/uuid"

	"daybook/commands"
	"daybook/domain"
	"daybook/internal/password"
)

func TestSignInRefusals(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	w.active(ada)
	w.pending("pending@example.com")
	w.shut("shut@example.com")
	for _, c := range []struct{ email, password string }{
		{ada, "wrong"}, {ada, ""}, {"nobody@example.com", secret}, {"pending@example.com", secret},
		{"shut@example.com", secret}, {"no address", secret}, {"", ""},
	} {
		if _, err := w.SignIn(ctx, caller(), c.email, c.password); !errors.Is(err, commands.ErrCredentials) {
			t.Errorf("%v: %v", c, err)
		}
	}
	w.in(strings.ToUpper(ada), secret)
}

// shut is an account that was deactivated.
func (w *world) shut(email string) domain.Account {
	w.t.Helper()
	account := w.active(email)
	_, err := w.repository.Append(w.t.Context(), domain.Append{
		Stream: domain.AccountStream(account.ID), Expected: account.Revision,
		Events: []domain.Event{domain.AccountDeactivated{Reason: "test"}}, Metadata: domain.Metadata{CommandID: uuid.New()},
	})
	must(w.t, err)
	return w.account(account.ID)
}

// TestMissingCredential: a credential that is named but gone means that the
// person has to reset.
func TestMissingCredential(t *testing.T) {
	w := newWorld(t)
	account := w.active(ada)
	_, err := w.pool.Exec(t.Context(), `DELETE FROM vault.credentials WHERE account_id = $1`, account.ID)
	must(t, err)
	_, err = w.SignIn(t.Context(), caller(), ada, secret)
	want(t, err, commands.ErrCredentials)
	_, second := w.secondToken(ada)
	must(t, w.ResetPassword(t.Context(), caller(), account.ID, second, newWords))
	w.in(ada, newWords)
}

// comparing counts the tries that reached a comparison.
type comparing struct {
	*password.Hasher
	compared atomic.Int64
}

func (c *comparing) Verify(ctx context.Context, phc, password string) (ok, stale bool, err error) {
	c.compared.Add(1)
	return c.Hasher.Verify(ctx, phc, password)
}

func TestParallelTriesKeepTheLimit(t *testing.T) {
	w := newWorld(t)
	w.active(ada)
	for _, email := range []string{ada, "nobody@example.com"} {
		passwords := &comparing{Hasher: password.NewHasher(cheap)}
		h := w.another()
		h.Passwords = passwords
		var refused atomic.Int64
		together(200, func(int) error {
			_, err := h.SignIn(t.Context(), caller(), email, "wrong")
			if errors.Is(err, commands.ErrCredentials) || domain.IsKind(err, domain.KindUnavailable) {
				refused.Add(1)
			}
			return nil
		})
		if refused.Load() != 200 || passwords.compared.Load() != tries {
			t.Errorf("%s: %d refused, %d compared", email, refused.Load(), passwords.compared.Load())
		}
	}
	_, err := w.SignIn(t.Context(), caller(), ada, secret)
	want(t, err, commands.ErrCredentials)
}

// TestSuccessForgetsFailures: the tries are consecutive ones.
func TestSuccessForgetsFailures(t *testing.T) {
	w := newWorld(t)
	w.active(ada)
	for range 3 {
		for range tries - 1 {
			_, err := w.SignIn(t.Context(), caller(), ada, "wrong")
			want(t, err, commands.ErrCredentials)
		}
		w.in(ada, secret)
	}
}

func TestRehash(t *testing.T) {
	w := newWorld(t)
	account := w.active(ada)
	stored := func() (phc string) {
		must(t, w.pool.QueryRow(t.Context(), `SELECT phc FROM vault.credentials WHERE credential_id = $1`, account.Credential).Scan(&phc))
		return phc
	}
	before := stored()
	w.in(ada, secret)
	if stored() != before {
		t.Fatal("hashed anew without need")
	}
	risen := cheap
	risen.MemoryKiB *= 2
	w.Passwords = password.NewHasher(risen)
	_, err := w.SignIn(t.Context(), caller(), ada, "wrong")
	want(t, err, commands.ErrCredentials)
	if stored() != before {
		t.Fatal("a wrong password was hashed")
	}
	w.in(ada, secret)
	after := stored()
	if !strings.Contains(after, "$m=128,t=1,p=1$") {
		t.Fatalf("stored %s", strings.Join(strings.Split(after, "$")[:4], "$"))
	}
	w.in(ada, secret)
	if stored() != after {
		t.Fatal("hashed anew twice")
	}
	w.Passwords = password.NewHasher(cheap)
	w.in(ada, secret)
	if stored() != after {
		t.Fatal("a strong hash was replaced by a weak one")
	}
}

// stalling holds a sign-in after it has folded the account.
type stalling struct {
	commands.Store
	folded, proceed chan struct{}
	once            sync.Once
}

func (s *stalling) Account(ctx context.Context, id uuid.UUID) (domain.Account, error) {
	account, err := s.Store.Account(ctx, id)
	s.once.Do(func() {
		close(s.folded)
		<-s.proceed
	})
	return account, err
}

// TestGuardMovesPastASignIn: the old password was right when the account was
// read, but the answer comes after the reset's.
func TestGuardMovesPastASignIn(t *testing.T) {
	w := newWorld(t)
	account := w.active(ada)
	_, second := w.secondToken(ada)
	slow := &stalling{Store: w.repository, folded: make(chan struct{}), proceed: make(chan struct{})}
	h := w.another()
	h.Store = slow
	result := make(chan error, 1)
	go func() {
		_, err := h.SignIn(t.Context(), caller(), ada, secret)
		result <- err
	}()
	<-slow.folded
	must(t, w.ResetPassword(t.Context(), caller(), account.ID, second, newWords))
	close(slow.proceed)
	want(t, <-result, commands.ErrCredentials)
}

// TestSessionOpenedWhileAChangeIsPending follows one over the change.
func TestSessionOpenedWhileAChangeIsPending(t *testing.T) {
	w := newWorld(t)
	account := w.active(ada)
	_, second := w.secondToken(ada)
	var during, after commands.SignedIn
	h := w.another()
	h.Store = &around{Store: w.repository,
		before: func() {
			during = w.in(ada, secret)
			if !w.valid(during) {
				t.Error("the change has not happened, but a session is refused")
			}
		},
		after: func() {
			if w.valid(during) {
				t.Error("the change has happened, but an older session is valid")
			}
			after = w.in(ada, newWords)
			if !w.valid(after) {
				t.Error("a session of the new password is refused")
			}
		},
	}
	must(t, h.ResetPassword(t.Context(), caller(), account.ID, second, newWords))
	if w.valid(during) || !w.valid(after) {
		t.Fatal("after the answer")
	}
}

// around runs something before and after an append.
type around struct {
	commands.Store
	before, after func()
}

func (s *around) Append(ctx context.Context, a domain.Append) ([]domain.Recorded, error) {
	s.before()
	defer s.after()
	return s.Store.Append(ctx, a)
}

func TestChangePassword(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	account := w.active(ada)
	own, other := w.in(ada, secret), w.in(ada, secret)
	_, err := w.ChangePassword(ctx, caller(), account.ID, own.Session, "wrong", newWords)
	want(t, err, commands.ErrWrongPassword)
	_, err = w.ChangePassword(ctx, caller(), account.ID, own.Session, secret, "short")
	if !domain.IsKind(err, domain.KindInvalid) {
		t.Fatal(err)
	}
	if !w.valid(own) || !w.valid(other) {
		t.Fatal("a refused change ended sessions")
	}
	result, err := w.ChangePassword(ctx, caller(), account.ID, own.Session, secret, newWords)
	must(t, err)
	if result.Account.Credential == account.Credential || !w.valid(own) || w.valid(other) {
		t.Fatal("the own session must stay, the other one must end")
	}
	if w.signsIn(ada, secret) || !w.signsIn(ada, newWords) {
		t.Fatal("the old password works")
	}
	for range tries {
		_, err = w.ChangePassword(ctx, caller(), account.ID, own.Session, "wrong", newWords)
		want(t, err, commands.ErrWrongPassword)
	}
	_, err = w.ChangePassword(ctx, caller(), account.ID, own.Session, newWords, secret)
	want(t, err, commands.ErrWrongPassword) // locked
}

// TestParallelChanges: one of two changes proved with the same password wins.
func TestParallelChanges(t *testing.T) {
	w := newWorld(t)
	account := w.active(ada)
	sessions := []commands.SignedIn{w.in(ada, secret), w.in(ada, secret)}
	passwords := []string{newWords, "yetAnother789"}
	results := together(2, func(i int) error {
		return patiently(func() error {
			_, err := w.ChangePassword(t.Context(), caller(), account.ID, sessions[i].Session, secret, passwords[i])
			return err
		})
	})
	for i, err := range results {
		if (err == nil) != w.valid(sessions[i]) {
			t.Errorf("change %d: %v, its session valid: %v", i, err, w.valid(sessions[i]))
		}
		if (err == nil) != w.signsIn(ada, passwords[i]) {
			t.Errorf("change %d: %v, but its password", i, err)
		}
	}
	if (results[0] == nil) == (results[1] == nil) {
		t.Fatalf("results %v", results)
	}
}

func TestEndingSessions(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	account, stranger := w.active(ada), w.active("bob@example.com")
	own, one, two := w.in(ada, secret), w.in(ada, secret), w.in(ada, secret)
	want(t, w.EndSession(ctx, caller(), stranger.ID, one.Session), commands.ErrNoSuchSession)
	if !w.valid(one) {
		t.Fatal("a stranger ended the session")
	}
	must(t, w.EndSession(ctx, caller(), account.ID, one.Session))
	want(t, w.EndSession(ctx, caller(), account.ID, one.Session), commands.ErrNoSuchSession)
	must(t, w.EndOtherSessions(ctx, caller(), account.ID, own.Session))
	if !w.valid(own) || w.valid(one) || w.valid(two) {
		t.Fatal("the own session must stay, the others must end")
	}
	must(t, w.EndOtherSessions(ctx, caller(), account.ID, own.Session))
	if n := count[domain.SessionEnded](w.events(domain.AccessStream(account.ID))); n != 2 {
		t.Fatalf("%d noted", n)
	}
}

// shedding refuses as a full queue does, as long as it says so.
type shedding struct {
	comparing
	shed func() bool
}

func (s *shedding) Verify(ctx context.Context, phc, typed string) (ok, stale bool, err error) {
	if s.shed() {
		return false, false, password.ErrBusy
	}
	return s.comparing.Verify(ctx, phc, typed)
}

// TestShedTriesAreGivenBack: a try in which no password was compared is none, so that
// an overload locks nobody out; and yet no more are compared than the limit.
func TestShedTriesAreGivenBack(t *testing.T) {
	w := newWorld(t)
	w.active(ada)
	var calls atomic.Int64
	passwords := &shedding{comparing: comparing{Hasher: password.NewHasher(cheap)}, shed: func() bool { return true }}
	h := w.another()
	h.Passwords = passwords
	for range 3 * tries {
		if _, err := h.SignIn(t.Context(), caller(), ada, "wrong"); !domain.IsKind(err, domain.KindUnavailable) {
			t.Fatalf("a full queue: %v", err)
		}
	}
	w.in(ada, secret)

	passwords.shed = func() bool { return calls.Add(1)%3 > 0 }
	var busy atomic.Int64
	together(200, func(int) error {
		_, err := h.SignIn(t.Context(), caller(), ada, "wrong")
		if domain.IsKind(err, domain.KindUnavailable) {
			busy.Add(1)
			return nil
		}
		if !errors.Is(err, commands.ErrCredentials) {
			return err
		}
		return nil
	})
	if passwords.compared.Load() > tries || busy.Load() == 0 {
		t.Errorf("%d compared, %d shed", passwords.compared.Load(), busy.Load())
	}
	passwords.shed = func() bool { return false }
	for range 2 * tries {
		_, err := h.SignIn(t.Context(), caller(), ada, "wrong")
		want(t, err, commands.ErrCredentials)
	}
	if passwords.compared.Load() != tries {
		t.Errorf("%d compared in the end, want %d", passwords.compared.Load(), tries)
	}
}

// TestTriesOfAnOutageAreGivenBack: who knows the password is not locked out by a
// store that takes no sign-ins, and neither is whoever gives up waiting.
func TestTriesOfAnOutageAreGivenBack(t *testing.T) {
	w := newWorld(t)
	w.active(ada)
	away := w.another()
	away.Store = awayForAppends{w.repository}
	for range 2 * tries {
		if _, err := away.SignIn(t.Context(), caller(), ada, secret); !domain.IsKind(err, domain.KindUnavailable) {
			t.Fatalf("the store takes nothing: %v", err)
		}
	}
	gone := w.another()
	for range 2 * tries {
		ctx, leave := context.WithCancel(t.Context())
		gone.Passwords = &shedding{comparing: comparing{Hasher: password.NewHasher(cheap)}, shed: func() bool { leave(); return false }}
		if _, err := gone.SignIn(ctx, caller(), ada, secret); err == nil {
			t.Fatal("signed in although the caller had gone")
		}
	}
	w.in(ada, secret)
}

// awayForAppends is an event store that can be read only.
type awayForAppends struct{ commands.Store }

func (awayForAppends) Append(context.Context, domain.Append) ([]domain.Recorded, error) {
	return nil, domain.Refuse(domain.KindUnavailable, "event_store_unavailable", "away")
}
