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

// killer ends a command at one of its steps: the write calls behind the ports,
// in the order in which they come.
type killer struct {
	step   int // from 0
	after  bool
	how    string // "panic", "error" or "cancel"
	cancel context.CancelFunc
	passed int
	name   string // of the step at which it struck
}

var (
	errKilled = errors.New("killed")
	ways      = []string{"panic", "error", "cancel"}
)

func (k *killer) around(name string, call func() error) error {
	mine := k.passed == k.step
	k.passed++
	if mine {
		k.name = name
	}
	if mine && !k.after {
		if err := k.strike(); err != nil {
			return err
		}
	}
	err := call()
	if mine && k.after && err == nil {
		return k.strike()
	}
	return err
}

// strike returns nil after a cancel: the rest meets a dead context by itself.
func (k *killer) strike() error {
	switch k.how {
	case "panic":
		panic(errKilled)
	case "cancel":
		k.cancel()
		return nil
	}
	return errKilled
}

type killStore struct {
	commands.Store
	k *killer
}

func (s killStore) Append(ctx context.Context, a domain.Append) (recorded []domain.Recorded, err error) {
	name := "append"
	if domain.IsAddressStream(a.Stream) {
		name = "claim"
	}
	err = s.k.around(name, func() (err error) {
		recorded, err = s.Store.Append(ctx, a)
		return err
	})
	return recorded, err
}

type killCredentials struct {
	commands.Credentials
	k *killer
}

func (c killCredentials) StageChange(ctx context.Context, n domain.Credential) error {
	return c.k.around("credential", func() error { return c.Credentials.StageChange(ctx, n) })
}

type killVault struct {
	commands.Vault
	k *killer
}

func (v killVault) Erase(ctx context.Context, id uuid.UUID, farewell domain.Farewell) error {
	return v.k.around("key", func() error { return v.Vault.Erase(ctx, id, farewell) })
}

type killObjects struct {
	commands.Objects
	k *killer
}

func (o killObjects) Remove(ctx context.Context, key string) error {
	return o.k.around("picture", func() error { return o.Objects.Remove(ctx, key) })
}

type killSessions struct {
	commands.Sessions
	k *killer
}

func (s killSessions) Settle(ctx context.Context, a domain.Account) error {
	return s.k.around("settle", func() error { return s.Sessions.Settle(ctx, a) })
}

func (s killSessions) Suspect(ctx context.Context, account uuid.UUID, expected int64) error {
	return s.k.around("suspect", func() error { return s.Sessions.Suspect(ctx, account, expected) })
}

func (s killSessions) EndOthers(ctx context.Context, a domain.Account, keep uuid.UUID) (ended []domain.EndedSession, err error) {
	err = s.k.around("end others", func() (err error) {
		ended, err = s.Sessions.EndOthers(ctx, a, keep)
		return err
	})
	return ended, err
}

// killed runs a command until the killer strikes.
func (w *world) killed(k *killer, run func(ctx context.Context, h *commands.Handler) error) (err error) {
	ctx, cancel := context.WithCancel(w.t.Context())
	defer cancel()
	k.cancel = cancel
	h := w.another()
	h.Store, h.Credentials, h.Sessions = killStore{w.repository, k}, killCredentials{w.Credentials, k}, killSessions{w.sessions, k}
	h.Vault, h.Objects = killVault{w.vault, k}, killObjects{w.objects, k}
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v", p)
		}
	}()
	return run(ctx, h)
}

// killedAnywhere kills at every step, before it and after it, in every way, until
// nothing is left to be killed at. The named steps are among them.
func (w *world) killedAnywhere(kill func(k *killer, email string), steps ...string) {
	w.t.Helper()
	struck := map[string]bool{}
	for step := 0; !struck[""]; step++ {
		for _, after := range []bool{false, true} {
			for _, how := range ways {
				k := &killer{step: step, after: after, how: how}
				kill(k, uuid.NewString()+"@example.com")
				struck[k.name] = true
			}
		}
	}
	for _, step := range steps {
		if !struck[step] {
			w.t.Errorf("never killed at %s", step)
		}
	}
}

// TestResetKilledAnywhere: wherever a reset is killed between the credential row
// and its answer, no stale session is valid once the password has changed, no
// good one is refused, and repeating the command completes it.
func TestResetKilledAnywhere(t *testing.T) {
	w := newWorld(t)
	w.killedAnywhere(w.resetKilled, "credential", "append", "settle")
}

func (w *world) resetKilled(k *killer, email string) {
	t, c := w.t, caller()
	account := w.active(email)
	stale := w.in(email, secret)
	_, second := w.secondToken(email)
	err := w.killed(k, func(ctx context.Context, h *commands.Handler) error {
		return h.ResetPassword(ctx, c, account.ID, second, newWords)
	})
	where := fmt.Sprintf("%s at %s, after it: %v", k.how, k.name, k.after)
	// Nobody has repeated anything yet.
	changed := w.account(account.ID).Credential != account.Credential
	if w.valid(stale) == changed {
		t.Errorf("%s (%v): changed %v, the older session valid %v", where, err, changed, !changed)
	}
	if w.signsIn(email, secret) == changed || w.signsIn(email, newWords) != changed {
		t.Errorf("%s (%v): changed %v, but the passwords do not say so", where, err, changed)
	}
	current := secret
	if changed {
		current = newWords
	}
	good := w.in(email, current)
	// What opened a session meanwhile may not have moved the guard past the change.
	if !w.valid(good) || w.valid(stale) == changed {
		t.Errorf("%s: good session valid %v, older one %v", where, w.valid(good), w.valid(stale))
	}
	must(t, w.ResetPassword(t.Context(), c, account.ID, second, newWords))
	if w.valid(stale) {
		t.Errorf("%s, repeated: the older session is valid", where)
	}
	if w.valid(good) != changed {
		t.Errorf("%s, repeated: changed %v, the session opened in between valid %v", where, changed, w.valid(good))
	}
	if n := count[domain.PasswordChanged](w.events(domain.AccountStream(account.ID))); n != 1 {
		t.Errorf("%s: %d changes", where, n)
	}
	w.unmarked(account.ID, where)
}

// unmarked fails when checks would still have to fold the account's stream.
func (w *world) unmarked(account uuid.UUID, where string) {
	w.t.Helper()
	var pending *int64
	must(w.t, w.pool.QueryRow(w.t.Context(), `SELECT pending_revision FROM app.account_guards WHERE account_id = $1`, account).Scan(&pending))
	if pending != nil {
		w.t.Errorf("%s: the guard is still marked for %d", where, *pending)
	}
}

// TestChangeKilledAnywhere does the same for a change by a signed-in person.
func TestChangeKilledAnywhere(t *testing.T) {
	w := newWorld(t)
	w.killedAnywhere(w.changeKilled, "credential", "append", "end others", "settle")
}

func (w *world) changeKilled(k *killer, email string) {
	t, c := w.t, caller()
	account := w.active(email)
	own, other := w.in(email, secret), w.in(email, secret)
	err := w.killed(k, func(ctx context.Context, h *commands.Handler) error {
		_, err := h.ChangePassword(ctx, c, account.ID, own.Session, secret, newWords)
		return err
	})
	where := fmt.Sprintf("%s at %s, after it: %v (%v)", k.how, k.name, k.after, err)
	changed := w.account(account.ID).Credential != account.Credential
	if w.valid(other) == changed {
		t.Errorf("%s: changed %v, the other session valid %v", where, changed, !changed)
	}
	if !changed && !w.valid(own) {
		t.Errorf("%s: nothing changed, but the own session is refused", where)
	}
	_, err = w.ChangePassword(t.Context(), c, account.ID, own.Session, secret, newWords)
	must(t, err)
	if !w.valid(own) || w.valid(other) || !w.signsIn(email, newWords) {
		t.Errorf("%s, repeated: own session valid %v, other %v", where, w.valid(own), w.valid(other))
	}
	w.unmarked(account.ID, where)
}
