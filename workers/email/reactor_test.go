package email

import (
	"errors"
	"testing"
	"time"

	"daybook/domain"
	"daybook/internal/postgres"
)

func TestReactor(t *testing.T) {
	t.Run("each event that asks for a mail makes one job, however often it comes", func(t *testing.T) {
		w := newWorld(t)
		asked := w.activation(time.Hour)
		w.append(t, 0, w.registered(), asked)
		w.append(t, 0, asked) // the same link again is a mail of its own
		w.append(t, 0, domain.AccountActivated{ActivationID: asked.ActivationID, CredentialID: asked.CredentialID})
		w.append(t, 0, reset(time.Hour))
		w.append(t, 0, domain.PasswordChanged{CredentialID: asked.CredentialID, Cause: domain.CauseChange})

		first, events := w.reactor(t), w.stored(t)
		for _, event := range events {
			for range 2 {
				if err := first.React(t.Context(), event); err != nil {
					t.Fatal(err)
				}
			}
		}
		w.react(t) // a restart that reads everything again

		jobs := w.jobs(t)
		var mails []string
		for _, j := range jobs {
			mails = append(mails, j.Mail)
		}
		if got, want := describe(mails), `["activation","activation","reset","password_changed"]`; got != want {
			t.Errorf("jobs for %s, want %s", got, want)
		}
	})

	t.Run("the checkpoint follows every event", func(t *testing.T) {
		w := newWorld(t)
		w.append(t, 0, w.registered(), w.activation(time.Hour))
		w.append(t, 0, domain.AccountDeactivated{Reason: "test"})
		r := w.reactor(t)
		for _, event := range w.stored(t) {
			if err := r.React(t.Context(), event); err != nil {
				t.Fatal(err)
			}
			if got := w.position(t); got != event.Position {
				t.Errorf("after %s the checkpoint is at %d, want %d", event.Type, got, event.Position)
			}
		}
	})

	t.Run("a reactor that was replaced inserts nothing", func(t *testing.T) {
		w := newWorld(t)
		w.append(t, 0, w.registered(), w.activation(time.Hour))
		old, events := w.reactor(t), w.stored(t)
		w.reactor(t)
		for _, event := range events {
			if err := old.React(t.Context(), event); !errors.Is(err, postgres.ErrNotOwner) {
				t.Errorf("%s: %v, want ErrNotOwner", event.Type, err)
			}
		}
		if jobs := w.jobs(t); len(jobs) != 0 {
			t.Errorf("it inserted %s", describe(jobs))
		}
	})

	t.Run("a commit whose answer was lost is found again", func(t *testing.T) {
		w := newWorld(t)
		w.append(t, 0, w.registered(), w.activation(time.Hour))
		w.append(t, 0, reset(time.Hour))
		r, events := w.reactor(t), w.stored(t)
		before := r.checkpoint
		for _, event := range events[:2] {
			if err := r.React(t.Context(), event); err != nil {
				t.Fatal(err)
			}
		}
		r.checkpoint = before // as if it had never heard of the commits
		for _, event := range events {
			if err := r.React(t.Context(), event); err != nil {
				t.Fatal(err)
			}
		}
		if jobs := w.jobs(t); len(jobs) != 2 {
			t.Errorf("jobs are %s, want two", describe(jobs))
		}
	})

	t.Run("events of a shape that is not known stop it", func(t *testing.T) {
		w := newWorld(t)
		w.append(t, 0, w.registered(), w.activation(time.Hour))
		event := w.stored(t)[1]
		event.Data = []byte(`{"new":"shape"}`)
		if err := w.reactor(t).React(t.Context(), event); err == nil {
			t.Error("an unknown shape was passed over")
		}
		if got := w.position(t); got != 0 {
			t.Errorf("the checkpoint moved to %d", got)
		}
	})
}

func TestReactorWithoutCheckpoint(t *testing.T) {
	w := newWorld(t)
	if _, err := w.pool.Exec(t.Context(), `DELETE FROM app.checkpoints`); err != nil {
		t.Fatal(err)
	}
	r, err := NewReactor(w.pool, w.logger())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.Start(t.Context()); !errors.Is(err, postgres.ErrNoCheckpoint) {
		t.Errorf("Start: %v, want ErrNoCheckpoint", err)
	}
}

func (w *world) position(t *testing.T) uint64 {
	t.Helper()
	var position int64
	if err := w.pool.QueryRow(t.Context(), `SELECT position FROM app.checkpoints WHERE name = $1`, CheckpointName).Scan(&position); err != nil {
		t.Fatal(err)
	}
	return uint64(position)
}
