package email

import (
	"strings"
	"testing"
	"time"

	"daybook/domain"
	"daybook/internal/testkit"
)

// leave erases the account as the command does: the event, then the key with the
// farewell.
func (w *world) leave(t *testing.T, ago time.Duration) {
	t.Helper()
	w.append(t, ago, domain.AccountErased{Reason: domain.ReasonOwner})
	w.react(t)
	w.destroy(t)
}

func (w *world) destroy(t *testing.T) {
	t.Helper()
	remains, err := w.repo.Remains(t.Context(), w.account)
	if err != nil {
		t.Fatal(err)
	}
	if err := w.repo.Vault.Erase(t.Context(), w.account, remains.Farewell); err != nil {
		t.Fatal(err)
	}
	w.tokens.Vault = w.repo.Vault
}

func (w *world) farewells(t *testing.T) (n int) {
	t.Helper()
	if err := w.pool.QueryRow(t.Context(), `SELECT count(*) FROM vault.farewells`).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

// TestFarewell: mails that wait are dropped, and one goes out that says why; then the
// address is nowhere any more.
func TestFarewell(t *testing.T) {
	w := newWorld(t)
	w.activate(t)
	w.append(t, 0, reset(time.Hour))
	w.leave(t, 0)
	jobs, mails := w.send(t, w.config())
	if outcomes := outcomesOf(jobs); describe(outcomes) != describe([]string{"skipped erased", "sent"}) {
		t.Errorf("%v", outcomes)
	}
	if len(mails) != 1 || mails[0].To[0] != w.address || mails[0].Subject != "Your account was erased" ||
		!strings.Contains(mails[0].Text, "Hello Zerlina") || !strings.Contains(mails[0].Text, "was erased on") {
		t.Errorf("%d mails: %+v", len(mails), mails)
	}
	if n := w.farewells(t); n != 0 {
		t.Errorf("%d farewells are kept", n)
	}
}

// TestFarewellWaitsForTheKey: the event is there, its command was killed or is slow.
func TestFarewellWaitsForTheKey(t *testing.T) {
	w := newWorld(t)
	w.activate(t)
	w.append(t, 0, domain.AccountErased{Reason: domain.ReasonOwner})
	w.react(t)
	w.run(t, w.config(), w.repo.Account)
	testkit.Await(t, patience, "the mail waits", func() bool { return w.jobs(t)[0].Snooze > 0 })
	w.destroy(t)
	if outcomes := outcomesOf(w.finished(t)); describe(outcomes) != describe([]string{"sent"}) || len(w.mails(t)) != 1 {
		t.Errorf("%v", outcomes)
	}
}

func outcomesOf(jobs []job) []string {
	var outcomes []string
	for _, j := range jobs {
		outcomes = append(outcomes, j.Output)
	}
	return outcomes
}

func TestFarewellsThatAreNotSent(t *testing.T) {
	for name, c := range map[string]struct {
		build    func(t *testing.T, w *world)
		outcomes []string
	}{
		"the mailbox was never proved": {func(t *testing.T, w *world) {
			w.append(t, 0, w.registered())
			w.leave(t, 0)
		}, []string{"skipped erased"}},
		"too long ago": {func(t *testing.T, w *world) {
			w.activate(t)
			w.leave(t, domain.FarewellLife)
		}, []string{"skipped expired"}},
		"told already": {func(t *testing.T, w *world) {
			w.activate(t)
			w.leave(t, 0)
			if err := w.repo.Vault.Told(t.Context(), w.account); err != nil {
				t.Fatal(err)
			}
		}, []string{"skipped erased"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			c.build(t, w)
			jobs, mails := w.send(t, w.config())
			if outcomes := outcomesOf(jobs); describe(outcomes) != describe(c.outcomes) || len(mails) != 0 {
				t.Errorf("%d mails, %v", len(mails), outcomes)
			}
		})
	}
}
