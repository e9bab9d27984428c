package projections

import (
	"encoding/json"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"daybook/domain"
)

// viewChecks are all views, each with what its rows must be by a log.
var viewChecks = []struct {
	view  View
	check func(t failer, w *world, log []domain.Recorded)
}{
	{Accounts{}, checkAccounts},
	{Activity{}, checkActivity},
	{Resets{}, checkResets},
	{Registrations{}, checkRegistrations},
	{Presence{}, checkPresence},
}

// TestViewsAreTheLog: whatever happened and however it is delivered, the rows
// are what the log says: events doubled, in batches of any size, and from any
// place before the one where the projector stood. They are what fresh folds of the
// streams say, and what comes out when all is applied at once.
func TestViewsAreTheLog(t *testing.T) {
	for _, v := range viewChecks {
		t.Run(v.view.Name(), func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			rapid.Check(t, func(r *rapid.T) {
				events := w.tell(r, 60)
				if len(events) == 0 {
					return
				}
				w.reset(r, v.view, 0)
				w.deliver(r, v.view, events)
				v.check(r, w, w.recorded(r, events))
				w.checkFolds(r, v.view, events)
				rows := w.rows(r, v.view)
				w.reset(r, v.view, 0)
				apply(r, w, w.projector(r, v.view), events)
				if diff := cmp.Diff(rows, w.rows(r, v.view)); diff != "" {
					r.Errorf("applied at once it is something else (-bit by bit +at once):\n%s", diff)
				}
				for range 2 {
					from := rapid.IntRange(0, len(events)-1).Draw(r, "from")
					w.rewind(r, v.view, events[:rapid.IntRange(from+1, len(events)).Draw(r, "to")], from)
				}
				if diff := cmp.Diff(rows, w.rows(r, v.view)); diff != "" {
					r.Errorf("applied again it changes (-once +again):\n%s", diff)
				}
			})
		})
	}
}

// TestViewsResumeFromEveryPrefix: wherever a checkpoint is set back to, with the
// rows as they are, the same comes out; and so it does with rows of any prefix.
func TestViewsResumeFromEveryPrefix(t *testing.T) {
	w := newWorld(t)
	events := rapid.Custom(func(r *rapid.T) []domain.Stored { return w.tell(r, 60) }).Example(7)
	for _, v := range viewChecks {
		t.Run(v.view.Name(), func(t *testing.T) {
			w.reset(t, v.view, 0)
			apply(t, w, w.projector(t, v.view), events)
			v.check(t, w, w.recorded(t, events))
			rows := w.rows(t, v.view)
			if len(rows) == 0 {
				t.Fatal("the history shows nothing in this view")
			}
			for prefix := range events {
				w.rewind(t, v.view, events[:prefix+1], prefix)
				w.rewind(t, v.view, events, prefix)
				if diff := cmp.Diff(rows, w.rows(t, v.view)); diff != "" {
					t.Fatalf("set back to %d of %d events (-before +after):\n%s", prefix, len(events), diff)
				}
				w.reset(t, v.view, 0)
				apply(t, w, w.projector(t, v.view), events[:prefix])
				apply(t, w, w.projector(t, v.view), events[prefix:])
				if diff := cmp.Diff(rows, w.rows(t, v.view)); diff != "" {
					t.Fatalf("resumed after %d of %d events (-whole +resumed):\n%s", prefix, len(events), diff)
				}
			}
		})
	}
}

// rewind sets the checkpoint back to a prefix and applies what follows as one
// batch: the rows may be further than its end.
func (w *world) rewind(t failer, view View, events []domain.Stored, prefix int) {
	t.Helper()
	var position uint64
	if prefix > 0 {
		position = events[prefix-1].Position
	}
	apply(t, w, w.projectorAt(t, view, position), events[prefix:])
}

// deliver applies events in random batches, some of them more than once, some
// decoded beforehand, with others that come later or never.
func (w *world) deliver(r *rapid.T, view View, events []domain.Stored) {
	p := w.projector(r, view)
	for at := 0; at < len(events); {
		size := rapid.IntRange(1, min(20, len(events)-at)).Draw(r, "batch")
		batch := slices.Clone(events[at : at+size])
		back := rapid.IntRange(0, at).Draw(r, "back")
		if rapid.Bool().Draw(r, "prepare") {
			p.Prepare(w.ctx, events[rapid.IntRange(back, at).Draw(r, "prepared from"):at+rapid.IntRange(0, len(events)-at).Draw(r, "to")])
		}
		switch rapid.IntRange(0, 4).Draw(r, "delivery") {
		case 0: // each twice
			batch = batch[:0]
			for _, event := range events[at : at+size] {
				batch = append(batch, event, event)
			}
		case 1: // with older ones between
			batch = append(batch, events[back:at+size]...)
		case 2: // from further back, the rows being ahead of a lost checkpoint
			batch = slices.Clone(events[back : at+size])
			p = w.projectorAt(r, view, 0)
		case 3: // the whole batch again, by another projector
			apply(r, w, p, batch)
			p = w.projectorAt(r, view, 0)
		}
		apply(r, w, p, batch)
		at += size
	}
}

// rowsAs reads the rows of a view.
func rowsAs[R any](t failer, w *world, view View) []R {
	t.Helper()
	var found []R
	for _, row := range w.rows(t, view) {
		var decoded R
		if err := json.Unmarshal([]byte(row), &decoded); err != nil {
			t.Fatal(err)
		}
		found = append(found, decoded)
	}
	return found
}
