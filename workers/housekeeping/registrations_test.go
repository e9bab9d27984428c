package housekeeping_test

import (
	"context"
	"testing"
	"time"

	"github.com/google/uuid"

	"daybook/commands"
	"daybook/domain"
	"daybook/workers/housekeeping"
)

const (
	lifetime = 24 * time.Hour
	after    = 7 * lifetime
)

func (w *world) expire() housekeeping.Task {
	return housekeeping.Expire{Pool: w.pool, Commands: w.Handler}.Task(time.Hour)
}

// TestAnAddressIsFreeAgain after nobody activated its account, from one end of the
// house to the other.
func TestAnAddressIsFreeAgain(t *testing.T) {
	w := newWorld(t)
	first, other := w.pending(ada), w.active(bob)
	w.project()
	w.ahead.Store(int64(lifetime + after - time.Minute))
	w.run(w.expire(), 0)
	w.ahead.Store(int64(lifetime + after + time.Minute))
	w.run(w.expire(), 1)
	w.run(w.expire(), 0) // the view does not know it yet
	w.project()
	w.run(w.expire(), 0)
	if got := w.account(first.ID).Status; got != domain.StatusExpired {
		t.Fatalf("status %q", got)
	}
	if !w.account(other.ID).Active() || !w.signsIn(bob, secret) {
		t.Error("an active account was touched")
	}
	second := w.pending(ada)
	if second.ID == first.ID {
		t.Fatal("the same account")
	}
	if w.activate(second, 0); !w.signsIn(ada, secret) {
		t.Error("the new owner cannot sign in")
	}
}

// TestAnOpenLinkKeepsTheAccount whatever the view says.
func TestAnOpenLinkKeepsTheAccount(t *testing.T) {
	w := newWorld(t)
	again, activated := w.pending(ada), w.pending(bob)
	w.project()
	w.ahead.Store(int64(lifetime + after))
	w.activateLate(activated) // after the view's last look
	must(t, w.Register(t.Context(), caller(), registration(ada)))
	w.ahead.Add(int64(time.Hour))
	w.run(w.expire(), 0)
	again = w.account(again.ID)
	if len(again.Activations) != 2 || again.Status != domain.StatusPending {
		t.Fatalf("%+v", again)
	}
	if w.activate(again, 1); !w.signsIn(ada, secret) {
		t.Error("the second link does not work")
	}
}

// activateLate activates with a link that was just asked for.
func (w *world) activateLate(account domain.Account) {
	w.t.Helper()
	must(w.t, w.Register(w.t.Context(), caller(), registration(account.Email)))
	w.activate(w.account(account.ID), 1)
}

func TestExpiryIsKilled(t *testing.T) {
	w := newWorld(t)
	var made []uuid.UUID
	w.killed(func(_ commands.Store, h *commands.Handler) housekeeping.Task {
		return housekeeping.Expire{Pool: w.pool, Commands: h}.Task(time.Hour)
	}, func() {
		made = made[:0]
		for range 2 {
			made = append(made, w.pending(uuid.NewString()+"@example.com").ID)
		}
		w.project()
		w.ahead.Add(int64(lifetime + after + time.Minute))
	}, func() {
		for _, id := range made {
			if n := len(w.ofType(domain.AccountStream(id), "RegistrationExpired")); n != 1 {
				t.Fatalf("expired %d times", n)
			}
		}
	})
}

// claims returns a task that has looked at the store once, so that its next run sees
// what is there now.
func (w *world) claims(h *commands.Handler, age time.Duration) housekeeping.Task {
	task := housekeeping.Claims{Pool: w.pool, Client: w.repo.Client, StoreID: uuid.New(), Commands: h, Age: age}.Task(time.Hour)
	w.run(task, 0)
	return task
}

// lost claims an address for an account that never comes.
func (w *world) lost(email string) uuid.UUID {
	w.t.Helper()
	claim, id := w.claim(email), uuid.New()
	w.append(claim.Stream, claim.Revision, domain.AddressClaimed{AccountID: id})
	return id
}

// TestLostRegistrationsAreFenced and no others: the address goes to the next who
// comes, and the slow first one tries again under another id.
func TestLostRegistrationsAreFenced(t *testing.T) {
	w := newWorld(t)
	active, pending := w.active(bob), w.pending("eve@example.com")
	slow := caller()
	ctx, cancel := context.WithCancel(t.Context())
	m := &mortal{Store: w.repo, kill: cancel}
	m.left.Store(2) // one fold; then the claim is written and the process dies
	handler := *w.Handler
	handler.Store = m
	if err := handler.Register(ctx, slow, registration(ada)); err == nil {
		t.Fatal("the registration arrived")
	}
	first := w.claim(ada).Holder
	if first == uuid.Nil || w.account(first).Status != domain.StatusNone {
		t.Fatalf("%+v", w.account(first))
	}
	task := w.claims(w.Handler, now)
	young := w.lost("young@example.com") // behind what the task has seen
	w.run(task, 1)
	if w.account(first).Status != domain.StatusAbandoned || w.account(young).Status != domain.StatusNone {
		t.Fatalf("%q, young %q", w.account(first).Status, w.account(young).Status)
	}
	if w.account(active.ID).Status != domain.StatusActive || w.account(pending.ID).Status != domain.StatusPending {
		t.Error("others were touched")
	}
	must(t, w.Register(t.Context(), slow, registration(ada)))
	if w.activate(w.account(w.claim(ada).Holder), 0); !w.signsIn(ada, secret) {
		t.Error("the slow one did not get in")
	}
	w.run(task, 1) // the young one, which has grown old
	w.run(task, 0)
	w.run(w.claims(w.Handler, now), 0) // another process goes on at the checkpoint
}

func TestYoungClaimsAreLeftAlone(t *testing.T) {
	w := newWorld(t)
	id := w.lost(ada)
	task := w.claims(w.Handler, time.Hour)
	w.run(task, 0)
	if w.account(id).Status != domain.StatusNone {
		t.Error("a young claim was fenced")
	}
}

// TestUnreadableAccountsHaveArrived although nobody can fold them.
func TestUnreadableAccountsHaveArrived(t *testing.T) {
	w := newWorld(t)
	account, lost := w.pending(ada), w.lost(bob)
	claim := w.claim("third@example.com")
	w.append(claim.Stream, claim.Revision, domain.AddressClaimed{AccountID: account.ID}) // behind its events
	w.exec(`DELETE FROM vault.data_keys WHERE subject = $1`, account.ID)
	w.repo.Vault = vaultAfresh(w)
	w.run(w.claims(w.Handler, now), 1)
	if w.account(lost).Status != domain.StatusAbandoned || len(w.ofType(domain.AccountStream(account.ID), "RegistrationAbandoned")) > 0 {
		t.Error("the wrong one was fenced")
	}
}

func TestFencingIsKilled(t *testing.T) {
	w := newWorld(t)
	var made []uuid.UUID
	w.killed(func(_ commands.Store, h *commands.Handler) housekeeping.Task { return w.claims(h, now) }, func() {
		made = made[:0]
		for range 2 {
			made = append(made, w.lost(uuid.NewString()+"@example.com"))
		}
	}, func() {
		for _, id := range made {
			if n := len(w.ofType(domain.AccountStream(id), "RegistrationAbandoned")); n != 1 {
				t.Fatalf("fenced %d times", n)
			}
		}
	})
}
