package projections

import (
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/uuid"

	"daybook/domain"
)

// planted are changes of one row of each view that no event made.
var planted = map[string]string{
	"accounts":      `github_link = 'https://github.com/planted'`,
	"activity":      `actor = 'operator'`,
	"resets":        `mail_requests = mail_requests + 1`,
	"registrations": `mail_requests = mail_requests + 1`,
	"presence":      `at = at + interval '1 microsecond'`,
}

// TestADifferenceIsFound in every view, be it a row that is not what the fold says,
// one that is missing or one too many; ids are named and nothing else.
func TestADifferenceIsFound(t *testing.T) {
	for _, v := range viewChecks {
		t.Run(v.view.Name(), func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			apply(t, w, w.projector(t, v.view), w.crowd(t, 5))
			r := w.rebuild(v.view)
			table, first := Next.table(v.view), ` WHERE ctid = (SELECT min(ctid) FROM `+Next.table(v.view)+`)`
			plant := map[string]string{
				"changed":  `UPDATE ` + table + ` SET ` + planted[v.view.Name()] + first,
				"missing":  `DELETE FROM ` + table + first,
				"too many": `UPDATE ` + table + ` SET ` + v.view.whose() + ` = gen_random_uuid()` + first,
			}
			for name, change := range plant {
				try(t, r.Build(t.Context(), true))
				if compared, err := r.Compare(t.Context(), 0); err != nil || compared == 0 {
					t.Fatalf("compared %d accounts: %v", compared, err)
				}
				var id uuid.UUID
				if err := w.pool.QueryRow(w.ctx, `SELECT `+v.view.whose()+` FROM `+table+first).Scan(&id); err != nil {
					t.Fatal(err)
				}
				w.exec(t, change)
				for _, sample := range []int{0, 1000} {
					_, err := r.Compare(t.Context(), sample)
					if !errors.Is(err, ErrNotCompared) || !strings.Contains(err.Error(), id.String()) || strings.Contains(err.Error(), canary) {
						t.Errorf("%s, sample %d: %v", name, sample, err)
					}
				}
			}
		})
	}
}

// TestASampleIsDrawn: as many accounts as asked for, each once, from anywhere.
func TestASampleIsDrawn(t *testing.T) {
	w := newWorld(t)
	apply(t, w, w.projector(t, Accounts{}), w.crowd(t, 7))
	r := w.rebuild(Accounts{})
	try(t, r.Build(t.Context(), false))
	drawn := map[uuid.UUID]bool{}
	for range 50 {
		seen := map[uuid.UUID]bool{}
		count, err := r.eachPage(t.Context(), 2, func(page []uuid.UUID) error {
			for _, id := range page {
				seen[id], drawn[id] = true, true
			}
			return nil
		})
		if err != nil || count != 2 || len(seen) != 2 {
			t.Fatalf("drew %d, %v: %v", count, seen, err)
		}
	}
	if len(drawn) < 4 {
		t.Errorf("only %d accounts are ever drawn", len(drawn))
	}
	for sample, want := range map[int]int{0: 7, 7: 7, 100: 7} {
		if compared, err := r.Compare(t.Context(), sample); err != nil || compared != want {
			t.Errorf("compared %d of a sample of %d: %v", compared, sample, err)
		}
	}
}

// checkFolds compares rows with fresh folds of the streams, as a rebuild does.
func (w *world) checkFolds(t failer, view View, events []domain.Stored) {
	t.Helper()
	p := &Projector{Pool: w.pool, Vault: w.repo.Vault, View: view}
	p.checkpoint.Position = lastOf(events)
	ids := map[uuid.UUID]bool{}
	for _, event := range events {
		ids[subject(event)] = true
	}
	delete(ids, uuid.UUID{})
	differ, err := w.rebuild(view).differing(w.ctx, p, slices.Collect(maps.Keys(ids)))
	if err != nil || len(differ) > 0 {
		t.Fatalf("%s is not what folds say of %v: %v", view.Name(), differ, err)
	}
}
