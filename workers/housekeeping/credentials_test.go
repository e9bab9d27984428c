package housekeeping_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"daybook/commands"
	"daybook/domain"
	"daybook/internal/eventstore"
	"daybook/internal/vault"
	"daybook/workers/housekeeping"
)

func (w *world) credentials(s commands.Store) housekeeping.Task {
	return housekeeping.Credentials{Vault: w.pool, Store: s, Age: now}.Task(time.Hour)
}

// staged writes a credential whose event never comes.
func (w *world) staged(account domain.Account, expected int64) uuid.UUID {
	w.t.Helper()
	id := uuid.New()
	must(w.t, w.Credentials.Stage(w.t.Context(), domain.Credential{ID: id, AccountID: account.ID, ExpectedRevision: expected, PHC: "x"}))
	return id
}

func (w *world) kept(id uuid.UUID) bool {
	w.t.Helper()
	return scalar[bool](w, `SELECT EXISTS (SELECT FROM vault.credentials WHERE credential_id = $1)`, id)
}

// TestUnnamedCredentialsAreDeleted and nothing that an event names or may yet name.
func TestUnnamedCredentialsAreDeleted(t *testing.T) {
	w := newWorld(t)
	account, pending := w.active(ada), w.pending(bob)
	dead, coming := w.staged(account, account.Revision-1), w.staged(account, account.Revision)
	fenced := domain.NewAccount(uuid.New())
	lost := w.staged(fenced, domain.NoStream)
	none := w.staged(domain.NewAccount(uuid.New()), domain.NoStream)
	w.append(domain.AccountStream(fenced.ID), domain.NoStream, domain.RegistrationAbandoned{Reason: "test"})
	w.run(housekeeping.Credentials{Vault: w.pool, Store: w.repo}.Task(time.Hour), 0) // all are young
	w.run(w.credentials(w.repo), 2)
	w.run(w.credentials(w.repo), 0)
	for id, want := range map[uuid.UUID]bool{
		account.Credential: true, pending.Activations[0].CredentialID: true, coming: true, none: true, dead: false, lost: false,
	} {
		if w.kept(id) != want {
			t.Errorf("kept %v, want %v", !want, want)
		}
	}
	// The change that was staged comes after all; then the old one is over.
	w.append(domain.AccountStream(account.ID), account.Revision, domain.PasswordChanged{CredentialID: coming, Cause: domain.CauseChange})
	w.run(w.credentials(w.repo), 1)
	if w.kept(account.Credential) || !w.kept(coming) {
		t.Error("the wrong one is kept")
	}
	w.activate(pending, 0)
	w.run(w.credentials(w.repo), 0)
	if !w.signsIn(bob, secret) {
		t.Error("the attempt's credential is gone")
	}
	if n := scalar[int](w, `SELECT count(*) FROM vault.credentials WHERE named_at IS NULL`); n != 1 { // none
		t.Errorf("%d credentials are looked at again and again", n)
	}
}

// TestSweepingWhilePasswordsChange never takes a credential that counts or is about
// to, although rows of any age are swept and others move the stream on.
func TestSweepingWhilePasswordsChange(t *testing.T) {
	w := newWorld(t)
	account := w.active(ada)
	sweeping, stop := context.WithCancel(t.Context())
	var beside sync.WaitGroup
	deleted := 0
	beside.Go(func() {
		for sweeping.Err() == nil {
			n, err := w.credentials(w.repo).Run(sweeping)
			if deleted += n; err != nil && sweeping.Err() == nil {
				t.Errorf("sweep: %v", err)
			}
		}
	})
	beside.Go(func() {
		for n := 0; sweeping.Err() == nil; n++ {
			_, err := w.UpdateProfile(sweeping, caller(), account.ID, commands.UpdateProfile{FirstName: new(fmt.Sprint("Ada", n))})
			if err != nil && sweeping.Err() == nil && !domain.IsKind(err, domain.KindUnavailable) { // busy
				t.Errorf("update: %v", err)
			}
		}
	})
	current := secret
	for round := range 10 {
		current = w.contend(account.ID, current, round)
	}
	stop()
	beside.Wait()
	n, err := w.credentials(w.repo).Run(t.Context())
	must(t, err)
	if deleted+n == 0 || !w.kept(w.account(account.ID).Credential) {
		t.Errorf("%d sweeps deleted something", deleted+n)
	}
}

// contend has several change the same password at once. It returns the one that
// works, which must be that of whoever was told so.
func (w *world) contend(account uuid.UUID, current string, round int) string {
	w.t.Helper()
	const contenders = 3
	var errs [contenders]error
	word := func(i int) string { return fmt.Sprintf("Quite-Other-Words-%d-%d", round, i) }
	var all sync.WaitGroup
	for i := range contenders {
		all.Go(func() {
			_, errs[i] = w.ChangePassword(w.t.Context(), caller(), account, uuid.New(), current, word(i))
		})
	}
	all.Wait()
	for i, err := range errs {
		if err == nil {
			current = word(i)
		}
	}
	if !w.signsIn(ada, current) {
		w.t.Fatalf("round %d: the password does not work; %v", round, errs)
	}
	return current
}

func TestSweepingCredentialsIsKilled(t *testing.T) {
	w := newWorld(t)
	var dead []uuid.UUID
	var accounts []domain.Account
	w.killed(func(s commands.Store, _ *commands.Handler) housekeeping.Task { return w.credentials(s) }, func() {
		dead, accounts = dead[:0], accounts[:0]
		for range 3 {
			account := w.active(uuid.NewString() + "@example.com")
			accounts = append(accounts, account)
			dead = append(dead, w.staged(account, 0))
		}
	}, func() {
		for i, account := range accounts {
			if w.kept(dead[i]) || !w.kept(account.Credential) {
				t.Fatal("the wrong one is kept")
			}
		}
	})
}

func TestGuardsAreSettled(t *testing.T) {
	w := newWorld(t)
	reached, waiting := w.active(ada), w.active(bob)
	guards := func(s commands.Store) housekeeping.Task {
		return housekeeping.Guards{Pool: w.pool, Store: s, Sessions: w.sessions}.Task(time.Hour)
	}
	must(t, w.Suspect(reached.ID, reached.Revision-1))
	must(t, w.Suspect(waiting.ID, waiting.Revision))
	w.run(guards(w.repo), 1)
	w.run(guards(w.repo), 0)
	pending := w.names(`SELECT account_id::text FROM app.account_guards WHERE pending_revision IS NOT NULL`)
	if len(pending) != 1 || pending[0] != waiting.ID.String() {
		t.Fatalf("pending: %v", pending)
	}
	// The change arrives: the mark goes, and with it what the change ended.
	in, err := w.SignIn(t.Context(), caller(), bob, secret)
	must(t, err)
	w.append(domain.AccountStream(waiting.ID), waiting.Revision, domain.AccountDeactivated{Reason: "test"})
	w.run(guards(w.repo), 1)
	if _, err := w.sessions.Check(t.Context(), in.Token); !errors.Is(err, domain.ErrNotSignedIn) {
		t.Errorf("a session of a shut account: %v", err)
	}
	var made []domain.Account
	w.killed(func(s commands.Store, _ *commands.Handler) housekeeping.Task { return guards(s) }, func() {
		made = made[:0]
		for range 2 {
			account := w.active(uuid.NewString() + "@example.com")
			made = append(made, account)
			must(t, w.Suspect(account.ID, account.Revision-1))
		}
	}, func() {
		if n := scalar[int](w, `SELECT count(*) FROM app.account_guards WHERE pending_revision IS NOT NULL`); n > 0 {
			t.Fatalf("%d marks are left", n)
		}
	})
}

// Suspect marks the account as a change would.
func (w *world) Suspect(id uuid.UUID, expected int64) error {
	return w.sessions.Suspect(w.t.Context(), id, expected)
}

// TestOneThatFailsKeepsNobodyWaiting, and whoever was passed is looked at again.
func TestOneThatFailsKeepsNobodyWaiting(t *testing.T) {
	w := newWorld(t)
	broken, others := w.active(ada), []domain.Account{w.active(bob), w.active("eve@example.com")}
	w.exec(`DELETE FROM vault.data_keys WHERE subject = $1`, broken.ID)
	store := *w.repo
	store.Vault = vault.New(w.pool, testKeys)
	task := housekeeping.Guards{Pool: w.pool, Store: onlyBroken{&store, w.repo, broken.ID}, Sessions: w.sessions}.Task(time.Hour)
	for range 2 {
		for _, account := range append(others, broken) {
			must(t, w.Suspect(account.ID, account.Revision-1))
		}
		done, err := task.Run(t.Context())
		if done != len(others) || !errors.Is(err, vault.ErrKeyLost) {
			t.Fatalf("settled %d, %v", done, err)
		}
	}
}

// onlyBroken reads one account with a vault that has lost its key, and not the cache
// of the other.
type onlyBroken struct {
	*eventstore.Repository
	healthy *eventstore.Repository
	id      uuid.UUID
}

func (o onlyBroken) Account(ctx context.Context, id uuid.UUID) (domain.Account, error) {
	if id == o.id {
		return o.Repository.Account(ctx, id)
	}
	return o.healthy.Account(ctx, id)
}
