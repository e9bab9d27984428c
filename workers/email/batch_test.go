package email

import (
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"
	"pgregory.net/rapid"

	"daybook/domain"
	"daybook/internal/postgres"
)

// lived is a history with events of every kind that matters to the reactor.
func (w *world) lived(t *testing.T) []domain.Stored {
	t.Helper()
	asked := w.activation(time.Hour)
	w.append(t, time.Hour, w.registered(), asked)
	w.append(t, time.Hour, domain.AccountActivated{ActivationID: asked.ActivationID, CredentialID: asked.CredentialID})
	for _, agent := range []string{firefox, edge, firefox, newer} {
		w.signedIn(t, 50*time.Minute, agent, "203.0.113.7")
		w.append(t, 40*time.Minute, reset(time.Hour), reset(time.Hour))
		w.append(t, 30*time.Minute, domain.PasswordChanged{CredentialID: asked.CredentialID, Cause: domain.CauseChange})
	}
	w.signedIn(t, time.Minute, edge, "198.51.100.4")
	var events []domain.Stored
	for event, err := range w.repo.Client.ReadAll(t.Context(), 0) {
		if err != nil {
			t.Fatal(err)
		}
		events = append(events, event)
	}
	return events
}

// outcome is what a reactor has left behind, in its order, and empties it.
func (w *world) outcome(t *testing.T) (events []string, devices int) {
	t.Helper()
	rows, err := w.pool.Query(t.Context(), `SELECT args->>'event_id' FROM app.river_job ORDER BY id`)
	if err != nil {
		t.Fatal(err)
	}
	if events, err = pgx.CollectRows(rows, pgx.RowTo[string]); err != nil {
		t.Fatal(err)
	}
	devices = w.count(t, `SELECT count(*) FROM app.devices`)
	w.exec(t, `TRUNCATE app.river_job, app.devices`)
	w.exec(t, `UPDATE app.checkpoints SET position = 0`)
	return events, devices
}

// TestBatchesReactLikeEvents: however events are put together, whatever comes again
// and wherever a reactor is replaced, the jobs are those of one event at a time.
func TestBatchesReactLikeEvents(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	events := w.lived(t)
	w.watch(t)
	want, wantDevices := w.outcome(t)
	if len(want) < 13 || wantDevices < 2 {
		t.Fatalf("%d jobs, %d devices", len(want), wantDevices)
	}
	rapid.Check(t, func(rt *rapid.T) {
		r := w.watcher(t)
		for done := 0; done < len(events); {
			size := rapid.IntRange(1, len(events)-done).Draw(rt, "batch")
			from := rapid.IntRange(0, done).Draw(rt, "from")
			if err := r.React(t.Context(), events[from:done+size]...); err != nil {
				rt.Fatal(err)
			}
			done += size
			switch rapid.IntRange(0, 3).Draw(rt, "then") {
			case 0: // as if a commit's answer was lost
				r.checkpoint.Position = events[rapid.IntRange(0, done-1).Draw(rt, "known")].Position
			case 1:
				r = w.watcher(t)
			}
		}
		if last := events[len(events)-1].Position; w.position(t) != last {
			rt.Errorf("the checkpoint is at %d, want %d", w.position(t), last)
		}
		got, devices := w.outcome(t)
		if diff := cmp.Diff(want, got); diff != "" || devices != wantDevices {
			rt.Errorf("%d devices, want %d; jobs (-one by one +batches):\n%s", devices, wantDevices, diff)
		}
	})
}

// TestBatchStopsAtWhatIsUnreadable: what comes before is done, and nothing behind.
func TestBatchStopsAtWhatIsUnreadable(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.append(t, 0, w.registered(), w.activation(time.Hour), reset(time.Hour), reset(time.Hour))
	events := w.stored(t)
	events[2].Data = []byte(`{"new":"shape"}`)
	r := w.reactor(t)
	for range 2 {
		if err := r.React(t.Context(), events...); !errors.Is(err, domain.ErrUnreadable) {
			t.Errorf("%v, want ErrUnreadable", err)
		}
		if w.position(t) != events[1].Position || len(w.jobs(t)) != 1 {
			t.Errorf("checkpoint at %d, want %d; %s", w.position(t), events[1].Position, describe(w.jobs(t)))
		}
	}
	w.reactor(t)
	if err := r.React(t.Context(), w.stored(t)...); !errors.Is(err, postgres.ErrNotOwner) {
		t.Errorf("%v, want ErrNotOwner", err)
	}
	if jobs := w.jobs(t); len(jobs) != 1 {
		t.Errorf("a reactor that was replaced made %s", describe(jobs))
	}
}
