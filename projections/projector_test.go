package projections

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"daybook/domain"
	"daybook/internal/postgres"
)

func future() time.Time { return time.Now().Add(24 * time.Hour) }

// person writes an account of some events and returns what was stored.
func (w *world) person(t failer) []domain.Stored {
	t.Helper()
	stream := domain.AccountStream(uuid.New())
	w.append(t, stream, domain.NoStream, domain.Metadata{}, registered(), attempt(1, "Ada"))
	w.append(t, stream, 1, domain.Metadata{}, domain.AccountActivated{ActivationID: numbered(1), CredentialID: numbered(2)})
	w.append(t, stream, 2, domain.Metadata{}, domain.ProfileUpdated{
		Changed: []string{domain.FieldLastName}, Personal: domain.Seal(domain.ProfileDetails{LastName: pointer(canary)}),
	})
	w.append(t, stream, 3, domain.Metadata{}, domain.StaffGranted{Reason: "hired"})
	return w.stored(t)
}

func TestAHoleParksTheAccount(t *testing.T) {
	w := newWorld(t)
	events := w.person(t)
	tests := map[string]struct {
		batches [][]domain.Stored
		applied int // what lies before the hole
	}{
		"between batches":          {[][]domain.Stored{events[:1], events[2:]}, 1},
		"within a batch":           {[][]domain.Stored{{events[0], events[1], events[3]}}, 2},
		"within a later batch":     {[][]domain.Stored{events[:2], {events[2], events[4]}}, 3},
		"at the start of a stream": {[][]domain.Stored{events[1:]}, 0},
	}
	for name, test := range tests {
		for _, view := range []View{Accounts{}, Activity{}, Registrations{}} {
			t.Run(name+"/"+view.Name(), func(t *testing.T) {
				w.reset(t, view, 0)
				apply(t, w, w.projector(t, view), events[:test.applied])
				rows := w.rows(t, view)
				w.reset(t, view, 0)
				p := w.projector(t, view)
				for _, batch := range test.batches {
					apply(t, w, p, batch)
				}
				if diff := cmp.Diff(rows, w.rows(t, view)); diff != "" {
					t.Errorf("rows are not those from before the hole:\n%s", diff)
				}
				w.checkParked(t, view, reasonHole)
			})
		}
	}
}

// TestAResetWithoutItsRequestParksTheAccount: it cannot be shown.
func TestAResetWithoutItsRequestParksTheAccount(t *testing.T) {
	w := newWorld(t)
	w.append(t, domain.AccountStream(uuid.New()), domain.NoStream, domain.Metadata{}, domain.ResetLinkOpened{ResetID: uuid.New()})
	apply(t, w, w.projector(t, Resets{}), w.stored(t))
	w.checkParked(t, Resets{}, reasonRefused+"23502") // not_null_violation
}

func TestAnotherOwnerStopsTheProjector(t *testing.T) {
	w := newWorld(t)
	events := w.person(t)
	old := w.projector(t, Accounts{})
	apply(t, w, old, events[:2])
	current := w.projector(t, Accounts{})
	if err := old.Apply(t.Context(), events[2:3]); !errors.Is(err, postgres.ErrNotOwner) {
		t.Errorf("the old owner: %v, want ErrNotOwner", err)
	}
	apply(t, w, current, events[2:])
	if err := old.Apply(t.Context(), events[2:]); !errors.Is(err, postgres.ErrNotOwner) {
		t.Errorf("the old owner, with the new one ahead: %v, want ErrNotOwner", err)
	}
	checkAccounts(t, w, w.recorded(t, events))
}

// TestACommitWithoutAnswerIsFoundAgain: the projector never heard of commits of
// its own and gets the same events again.
func TestACommitWithoutAnswerIsFoundAgain(t *testing.T) {
	w := newWorld(t)
	events := w.person(t)
	for again := range events {
		w.reset(t, Accounts{}, 0)
		p := w.projector(t, Accounts{})
		before := p.checkpoint
		apply(t, w, p, events[:3])
		p.checkpoint = before
		for _, event := range events[:again+1] {
			apply(t, w, p, []domain.Stored{event})
			if got := w.position(t, Accounts{}); got < events[2].Position {
				t.Fatalf("the checkpoint went back to %d", got)
			}
		}
		apply(t, w, p, events[again:])
		checkAccounts(t, w, w.recorded(t, events))
	}
}

func TestEventsFromBeforeTheCheckpointDoNotMoveItBack(t *testing.T) {
	w := newWorld(t)
	events := w.person(t)
	p := w.projector(t, Accounts{})
	apply(t, w, p, events)
	apply(t, w, p, events[:2])
	if got, want := w.position(t, Accounts{}), events[len(events)-1].Position; got != want {
		t.Errorf("the checkpoint is at %d, want %d", got, want)
	}
}

func TestAnEventThatIsNotKnownStopsTheProjector(t *testing.T) {
	w := newWorld(t)
	events := w.person(t)
	events[3].Type = "ProfileBurnt"
	for _, v := range viewChecks {
		w.checkStops(t, v.view, events, domain.ErrUnknownEvent)
	}
}

// TestALostKeyParksTheAccount: it is no erasure. Views without personal data do
// not need it.
func TestALostKeyParksTheAccount(t *testing.T) {
	w := newWorld(t)
	events := w.person(t)
	w.exec(t, `DELETE FROM vault.data_keys`)
	w.freshVault()
	for _, v := range viewChecks {
		apply(t, w, w.projector(t, v.view), events)
		if !v.view.Personal() {
			v.check(t, w, w.shut(t, events))
			w.checkParked(t, v.view)
			continue
		}
		if rows := w.rows(t, v.view); len(rows) != 0 {
			t.Errorf("%s has rows %v", v.view.Name(), rows)
		}
		w.checkParked(t, v.view, reasonKeyLost)
	}
}

func (w *world) checkStops(t *testing.T, view View, events []domain.Stored, want error) {
	t.Helper()
	err := w.projector(t, view).Apply(t.Context(), events)
	if !errors.Is(err, want) || !strings.Contains(err.Error(), view.Name()) || !strings.Contains(err.Error(), events[0].Stream) {
		t.Errorf("Apply: %v, want %v, the view and the stream", err, want)
	}
	if rows, position := w.rows(t, view), w.position(t, view); len(rows) != 0 || position != 0 {
		t.Errorf("%s went on to %d with rows %v", view.Name(), position, rows)
	}
}

// TestErasedIsEmptyAndSaysSo, also when the rows are older than the erasure.
func TestErasedIsEmptyAndSaysSo(t *testing.T) {
	w := newWorld(t)
	events := w.person(t)
	early := map[View][]domain.Stored{Accounts{}: events[:3], Activity{}: events[:3]}
	late := map[View]*Projector{}
	for view, batch := range early {
		late[view] = w.projector(t, view)
		apply(t, w, late[view], batch)
	}
	w.exec(t, `INSERT INTO vault.erased_subjects (subject) SELECT subject FROM vault.data_keys`)
	w.exec(t, `DELETE FROM vault.data_keys`)
	w.freshVault()
	for view, p := range late {
		t.Run(view.Name(), func(t *testing.T) {
			p.Vault = w.repo.Vault
			apply(t, w, p, events[3:])
			w.checkErased(t, view, events)
			for _, size := range []int{1, 2, len(events)} {
				w.reset(t, view, 0)
				p := w.projector(t, view)
				for batch := range slices.Chunk(events, size) {
					apply(t, w, p, batch)
				}
				w.checkErased(t, view, events)
			}
		})
	}
}

func (w *world) checkErased(t *testing.T, view View, events []domain.Stored) {
	t.Helper()
	rows := strings.Join(w.rows(t, view), "\n")
	if strings.Contains(rows, canary) || strings.Contains(rows, "Ada") || !strings.Contains(rows, `"erased": true`) {
		t.Errorf("%s shows\n%s", view.Name(), rows)
	}
	if view == (Accounts{}) {
		checkAccounts(t, w, w.recorded(t, events))
	}
}
