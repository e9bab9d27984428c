package housekeeping_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"daybook/commands"
	"daybook/domain"
	"daybook/internal/vault"
	"daybook/workers/housekeeping"
)

// vaultAfresh has nothing in its cache.
func vaultAfresh(w *world) *vault.Vault { return vault.New(w.pool, testKeys) }

var testKeys = vault.KeySet{{ID: "other", Secret: []byte("0123456789abcdef0123456789abcdef")}}

func (w *world) refused(h *commands.Handler) housekeeping.Task {
	return housekeeping.Refused{Pool: w.pool, Repository: w.repo, Commands: h, Window: window}.Task(time.Hour)
}

// tried fails to sign in so often, some time ago.
func (w *world) tried(email string, times int, ago time.Duration) {
	w.t.Helper()
	for range times {
		if w.signsIn(email, "wrong"+secret) {
			w.t.Fatal("signed in")
		}
	}
	w.exec(`UPDATE app.throttles SET window_start = now() - $2::interval WHERE key = $1`, "sign-in:"+w.claim(email).Stream, ago)
}

func (w *world) notes(account uuid.UUID) []domain.SignInRefused {
	w.t.Helper()
	var notes []domain.SignInRefused
	for _, stored := range w.ofType(domain.AccessStream(account), "SignInRefused") {
		recorded, err := domain.Decode(stored, nil)
		must(w.t, err)
		notes = append(notes, recorded.Event.(domain.SignInRefused))
		if recorded.Metadata.Actor != "system:housekeeping" {
			w.t.Errorf("actor %s", recorded.Metadata.Actor)
		}
	}
	return notes
}

// TestRefusedSignInsAreNoted once for each window, for owners of the address only.
func TestRefusedSignInsAreNoted(t *testing.T) {
	w := newWorld(t)
	account, calm := w.active(ada), w.active(bob)
	const unknown = "unknown@example.com"
	w.tried(ada, 3, window+time.Second)
	w.tried(unknown, 12, window+time.Second)
	w.tried(bob, 2, window-time.Minute) // not over
	lost := w.lost("lost@example.com")
	w.tried("lost@example.com", 1, window+time.Second)
	before := scalar[int64](w, `SELECT count(*) FROM app.throttles`)
	w.run(w.refused(w.Handler), 1)
	w.run(w.refused(w.Handler), 0)
	notes := w.notes(account.ID)
	if len(notes) != 1 || notes[0].Count != 3 || notes[0].To.Sub(notes[0].From) != window || time.Since(notes[0].To) > time.Minute {
		t.Fatalf("%+v", notes)
	}
	keys := w.names(`SELECT key FROM app.throttles`)
	if before != 4 || len(keys) != 1 || !strings.HasSuffix(keys[0], w.claim(bob).Stream) {
		t.Errorf("of %d rows are left: %v", before, keys)
	}
	if len(w.notes(calm.ID))+len(w.notes(lost)) > 0 || w.claim(unknown).Held || w.account(lost).Status != domain.StatusNone {
		t.Error("noted for others")
	}
	if stream := w.claim(unknown).Stream; len(w.ofType(stream, "SignInRefused")) > 0 {
		t.Error("an unknown address has a stream")
	}
	w.project() // the person's history takes it
	if n := scalar[int](w, `SELECT tries FROM readmodel.activity WHERE type = 'SignInRefused' AND account_id = $1`, account.ID); n != 3 {
		t.Errorf("history says %d tries", n)
	}
}

// TestTryingOnHidesNothing: the next window begins before housekeeping comes.
func TestTryingOnHidesNothing(t *testing.T) {
	w := newWorld(t)
	account := w.active(ada)
	w.tried(ada, 12, window+time.Second) // one over the limit is as far as it counts
	w.tried(ada, 2, time.Minute)
	w.run(w.refused(w.Handler), 1)
	if notes := w.notes(account.ID); len(notes) != 1 || notes[0].Count != 11 {
		t.Fatalf("%+v", notes)
	}
	if tries := scalar[int](w, `SELECT tries FROM app.throttles`); tries != 2 {
		t.Errorf("the present window has %d tries", tries)
	}
	w.run(w.refused(w.Handler), 0)
	w.exec(`UPDATE app.throttles SET window_start = now() - $1::interval`, 2*window)
	w.run(w.refused(w.Handler), 1)
	if notes := w.notes(account.ID); len(notes) != 2 || notes[1].Count != 2 {
		t.Fatalf("%+v", notes)
	}
}

// TestAtMostOneNoteInAQuarter however short the windows are.
func TestAtMostOneNoteInAQuarter(t *testing.T) {
	w := newWorld(t)
	account := w.active(ada)
	task := housekeeping.Refused{Pool: w.pool, Repository: w.repo, Commands: w.Handler, Window: time.Second}.Task(time.Hour)
	done, quarter := 0, time.Now().Truncate(15*time.Minute).Add(-time.Hour)
	for i := range 5 {
		w.tried(ada, 1, time.Hour)
		w.exec(`UPDATE app.throttles SET window_start = $1`, quarter.Add(time.Duration(i)*time.Minute))
		n, err := task.Run(t.Context())
		must(t, err)
		done += n
	}
	if n := len(w.notes(account.ID)); n != 1 || done != 1 {
		t.Errorf("%d notes, %d appended", n, done)
	}
}

func TestNotingIsKilled(t *testing.T) {
	w := newWorld(t)
	var made []domain.Account
	w.killed(func(_ commands.Store, h *commands.Handler) housekeeping.Task { return w.refused(h) }, func() {
		made = made[:0]
		for range 2 {
			account := w.active(uuid.NewString() + "@example.com")
			w.tried(account.Email, 2, window+time.Second)
			made = append(made, account)
		}
	}, func() {
		for _, account := range made {
			if notes := w.notes(account.ID); len(notes) != 1 || notes[0].Count != 2 {
				t.Fatalf("%+v", notes)
			}
		}
		if n := scalar[int](w, `SELECT count(*) FROM app.throttles`); n > 0 {
			t.Fatalf("%d rows are left", n)
		}
	})
}
