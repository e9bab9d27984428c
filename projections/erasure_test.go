package projections

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"pgregory.net/rapid"

	"daybook/domain"
)

// TestRebuiltAfterErasure: views that were filled while keys were there are the same as
// views built anew after they were destroyed, and hold nothing of the erased.
func TestRebuiltAfterErasure(t *testing.T) {
	w := newWorld(t)
	seen := 0
	property := func(r *rapid.T) {
		w.freshVault()
		events := w.tell(r, 60)
		if len(events) == 0 {
			return
		}
		log := w.recorded(r, events)
		before := map[string][]string{}
		for _, v := range viewChecks {
			w.reset(r, v.view, 0)
			w.deliver(r, v.view, events)
			before[v.view.Name()] = w.rows(r, v.view)
		}
		gone := erasedIn(log)
		for _, id := range gone {
			if err := w.repo.Vault.Erase(w.ctx, id, domain.Farewell{}); err != nil {
				r.Fatal(err)
			}
			w.checkNothingOf(r, id)
		}
		seen += len(gone)
		w.freshVault()
		for _, v := range viewChecks {
			w.reset(r, v.view, 0)
			w.deliver(r, v.view, events)
			if diff := cmp.Diff(before[v.view.Name()], w.rows(r, v.view)); diff != "" {
				r.Errorf("%s, filled with keys (-) and without (+):\n%s", v.view.Name(), diff)
			}
			v.check(r, w, w.recorded(r, events))
		}
	}
	for range 10 { // how many erasures a history has is left to chance
		if rapid.Check(t, property); seen >= 5 {
			return
		}
	}
	t.Fatalf("only %d accounts were erased: the test shows nothing", seen)
}

func erasedIn(log []domain.Recorded) []uuid.UUID {
	var gone []uuid.UUID
	for _, r := range log {
		if _, erased := r.Event.(domain.AccountErased); erased {
			id, _ := domain.StreamSubject(r.Stream)
			gone = append(gone, id)
		}
	}
	return gone
}

func (w *world) checkNothingOf(t failer, id uuid.UUID) {
	t.Helper()
	for _, v := range viewChecks {
		for _, row := range w.rows(t, v.view) {
			if strings.Contains(row, id.String()) && strings.Contains(row, canary) {
				t.Errorf("%s shows %s", v.view.Name(), row)
			}
		}
	}
}

// TestLateAccessOfTheErased: an access event that was under way when the account was
// erased comes to nothing in the history, whether or not its key was there.
func TestLateAccessOfTheErased(t *testing.T) {
	w := newWorld(t)
	events := w.person(t)
	id, _ := domain.StreamSubject(events[0].Stream)
	account := domain.Fold(domain.NewAccount(id), accountEvents(w.recorded(t, events))...)
	w.append(t, domain.AccountStream(id), account.Revision, domain.Metadata{}, domain.AccountErased{Reason: domain.ReasonOwner})
	w.append(t, domain.AccessStream(id), domain.AnyRevision, domain.Metadata{}, domain.SignedIn{
		SessionID: uuid.New(), Cause: "password", Personal: domain.Seal(domain.Origin{ClientAddress: canary, UserAgent: canary})})
	events = append(events, w.stored(t)...)
	for _, size := range []int{1, 2, len(events)} {
		w.reset(t, Activity{}, 0)
		p := w.projector(t, Activity{})
		for batch := range slices.Chunk(events, size) {
			apply(t, w, p, batch)
		}
		rows := w.rows(t, Activity{})
		if len(rows) != 1 || !strings.Contains(rows[0], "AccountErased") {
			t.Errorf("in batches of %d:\n%s", size, strings.Join(rows, "\n"))
		}
	}
}

func accountEvents(log []domain.Recorded) []domain.Recorded {
	return slices.DeleteFunc(slices.Clone(log), func(r domain.Recorded) bool { return !domain.IsAccountStream(r.Stream) })
}
