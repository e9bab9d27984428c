package projections

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"daybook/domain"
	"daybook/internal/pause"
	"daybook/internal/postgres"
	"daybook/internal/testkit"
)

func (w *world) rebuild(view View) *Rebuild {
	return &Rebuild{
		Pool: w.pool, Vault: w.repo.Vault, View: view, Logger: slog.New(slog.DiscardHandler),
		Log: w.repo.Client.ReadAll, Tail: w.repo.Client.Tail, Stream: w.repo.Client.ReadStream,
	}
}

// try runs the steps of a rebuild in order.
func try(t failer, steps ...error) {
	t.Helper()
	for i, err := range steps {
		if err != nil {
			t.Fatalf("step %d: %v", i, err)
		}
	}
}

// TestARebuiltViewIsTheLog, for every view; going back keeps what came since, and
// SQL views over it follow.
func TestARebuiltViewIsTheLog(t *testing.T) {
	for _, v := range viewChecks {
		t.Run(v.view.Name(), func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			events := w.crowd(t, 5)
			p := w.projector(t, v.view)
			apply(t, w, p, events)
			w.exec(t, `CREATE VIEW analytics.rows AS SELECT count(*) AS n FROM `+table(v.view))
			w.exec(t, `DELETE FROM `+table(v.view)) // what a rebuild is for
			r := w.rebuild(v.view)
			try(t, r.Build(t.Context(), false), r.Switch(t.Context()))
			v.check(t, w, w.recorded(t, events))
			w.checkDependent(t, v.view)

			more := w.crowd(t, 3)
			apply(t, w, p, more) // the owner is still the owner
			events = append(events, more...)
			v.check(t, w, w.recorded(t, events))
			w.exec(t, `DELETE FROM `+Previous.table(v.view)) // it was empty at the switch
			w.exec(t, `UPDATE app.checkpoints SET position = 0 WHERE name = $1`, Previous.checkpoint(v.view))
			try(t, r.Rollback(t.Context()))
			v.check(t, w, w.recorded(t, events))
			w.checkDependent(t, v.view)
			more = w.crowd(t, 1)
			apply(t, w, p, more)
			v.check(t, w, w.recorded(t, append(events, more...)))
			try(t, r.Rollback(t.Context()), r.Drop(t.Context()))
			if err := r.Rollback(t.Context()); !errors.Is(err, ErrNoPrevious) {
				t.Errorf("rollback without a previous version: %v", err)
			}
			if err := r.Switch(t.Context()); err == nil {
				t.Error("it switched to nothing")
			}
			v.check(t, w, w.recorded(t, append(events, more...)))
		})
	}
}

func (w *world) checkDependent(t failer, view View) {
	t.Helper()
	var got int
	if err := w.pool.QueryRow(w.ctx, `SELECT n FROM analytics.rows`).Scan(&got); err != nil {
		t.Fatal(err)
	}
	if want := len(w.rows(t, view)); got != want {
		t.Errorf("the SQL view counts %d rows, not %d", got, want)
	}
}

// TestABuildIsResumed where it was cancelled, and not started over.
func TestABuildIsResumed(t *testing.T) {
	w := newWorld(t)
	events := w.population(t, 60, 20) // several batches
	apply(t, w, w.projector(t, Accounts{}), events)
	r := w.rebuild(Accounts{})
	cancelled, cancel := context.WithCancel(t.Context())
	r.Progress = func(Progress) { cancel() }
	if err := r.Build(cancelled, false); !errors.Is(err, context.Canceled) {
		t.Fatalf("a cancelled build: %v", err)
	}
	var last Progress
	r.Progress = func(p Progress) { last = p }
	try(t, r.Build(t.Context(), false))
	if want := len(events) - rebuildBatch; last.Events != want || last.Done != 1 || last.Rate <= 0 {
		t.Errorf("it went on with %+v, want %d events", last, want)
	}
	compared, err := r.Compare(t.Context(), 0)
	if err != nil || compared != 60 {
		t.Errorf("compared %d: %v", compared, err)
	}
	w.exec(t, `UPDATE readmodel_next.accounts SET first_name = 'Somebody' WHERE id = $1`, subject(events[0]))
	if _, err := r.Compare(t.Context(), 0); !errors.Is(err, ErrNotCompared) {
		t.Errorf("a row that differs: %v", err)
	}
	if compared, err := r.Compare(t.Context(), 1); err == nil && compared != 1 {
		t.Errorf("compared %d rows, not one", compared)
	}
	try(t, r.Build(t.Context(), true), r.Switch(t.Context()))
	checkAccounts(t, w, w.recorded(t, events))
}

// TestABuildWithoutAnAccountIsNotReady.
func TestABuildWithoutAnAccountIsNotReady(t *testing.T) {
	w := newWorld(t)
	events := w.crowd(t, 3)
	apply(t, w, w.projector(t, Accounts{}), events)
	w.exec(t, `DELETE FROM vault.data_keys WHERE subject = $1`, subject(events[0]))
	w.freshVault()
	rows := w.rows(t, Accounts{})
	if err := w.rebuild(Accounts{}).Build(t.Context(), false); err == nil {
		t.Error("it is ready")
	}
	if diff := cmp.Diff(rows, w.rows(t, Accounts{})); diff != "" {
		t.Errorf("what is shown has changed:\n%s", diff)
	}
}

// keep runs the projector of the previous version while there is one, as a process
// with projectors does.
func (w *world) keep(ctx context.Context, t testing.TB, view View) {
	for ; ctx.Err() == nil; pause.For(ctx, time.Millisecond) {
		p := &Projector{Pool: w.pool, Vault: w.repo.Vault, View: view, Logger: slog.New(slog.DiscardHandler), Version: Previous}
		after, err := p.Start(ctx)
		if err != nil {
			if !errors.Is(err, postgres.ErrNoCheckpoint) && ctx.Err() == nil {
				t.Error(err)
			}
			continue
		}
		owner, leave := context.WithCancel(ctx)
		(&world{ctx: owner, repo: w.repo}).consume(t, after, 0, func(_ testing.TB, events []domain.Stored) {
			switch err := p.Apply(owner, events); {
			case errors.Is(err, postgres.ErrNotOwner):
				leave()
			case err != nil && ctx.Err() == nil:
				t.Error(err)
			}
		})
		leave()
	}
}

// TestThePreviousVersionIsKeptUpToDate: going back is one transaction that reads no
// event, and shows what has come since.
func TestThePreviousVersionIsKeptUpToDate(t *testing.T) {
	for _, v := range viewChecks {
		t.Run(v.view.Name(), func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			events := w.crowd(t, 3)
			p := w.projector(t, v.view)
			apply(t, w, p, events)
			r := w.rebuild(v.view)
			try(t, r.Build(t.Context(), false), r.Switch(t.Context()))
			var keeping sync.WaitGroup
			ctx, stop := context.WithCancel(t.Context())
			keeping.Go(func() { w.keep(ctx, t, v.view) })
			for range 3 {
				more := w.crowd(t, 1)
				apply(t, w, p, more)
				events = append(events, more...)
				immediate := *r
				immediate.Log, immediate.Tail = nil, nil
				w.awaitPrevious(t, v.view, lastOf(events))
				try(t, immediate.Rollback(t.Context()))
				v.check(t, w, w.recorded(t, events))
			}
			stop()
			keeping.Wait()
		})
	}
}

// TestVersionsOfAnotherShapeAreDropped, and only those.
func TestVersionsOfAnotherShapeAreDropped(t *testing.T) {
	w := newWorld(t)
	apply(t, w, w.projector(t, Registrations{}), w.crowd(t, 2))
	r := w.rebuild(Registrations{})
	try(t, r.Build(t.Context(), false), r.Switch(t.Context()), r.Build(t.Context(), false))
	if dropped, err := r.DropUnlike(t.Context()); err != nil || len(dropped) > 0 {
		t.Errorf("dropped %v: %v", dropped, err)
	}
	w.exec(t, `ALTER TABLE readmodel.registrations ADD COLUMN shoe_size integer`)
	if dropped, err := r.DropUnlike(t.Context()); err != nil || !slices.Equal(dropped, []Version{Next, Previous}) {
		t.Errorf("dropped %v: %v", dropped, err)
	}
	if err := r.Rollback(t.Context()); !errors.Is(err, ErrNoPrevious) {
		t.Errorf("rollback: %v", err)
	}
	try(t, r.Build(t.Context(), false), r.Switch(t.Context()), r.Rollback(t.Context()))
}

func (w *world) awaitPrevious(t *testing.T, view View, position uint64) {
	t.Helper()
	testkit.Await(t, 10*time.Second, "the previous version is kept", func() bool {
		var reached bool
		err := w.pool.QueryRow(w.ctx, `SELECT position >= $2 FROM app.checkpoints WHERE name = $1`, Previous.checkpoint(view), int64(position)).Scan(&reached)
		return err == nil && reached
	})
}

// TestSwitchUnderLoad: while events come and are shown, versions are built, switched
// to, gone back from and switched to again. No read fails and none is older than the
// one before; going back reads no event.
func TestSwitchUnderLoad(t *testing.T) {
	w := newWorld(t)
	ids := make([]uuid.UUID, 4)
	for i := range ids {
		ids[i] = uuid.New()
		w.append(t, domain.AccountStream(ids[i]), domain.NoStream, domain.Metadata{}, registered())
	}
	p := w.projector(t, Accounts{})
	defer w.follow(t, p)()
	ctx, stop := context.WithCancel(t.Context())
	var working sync.WaitGroup
	reads := make([]int, len(ids))
	for i, id := range ids {
		working.Go(func() { w.write(ctx, t, id) })
		working.Go(func() { reads[i] = w.read(ctx, t, id) })
	}
	working.Go(func() { w.keep(ctx, t, Accounts{}) })
	r := w.rebuild(Accounts{})
	back := *r
	back.Log, back.Tail = nil, nil
	for range 3 {
		try(t, r.Build(t.Context(), true), r.Switch(t.Context()), back.Rollback(t.Context()), back.Rollback(t.Context()))
	}
	stop()
	working.Wait()
	events := w.stored(t)
	testkit.Await(t, 10*time.Second, "the view has caught up", func() bool {
		return w.position(t, Accounts{}) >= events[len(events)-1].Position
	})
	checkAccounts(t, w, w.recorded(t, events))
	if slices.Min(reads) < 100 || len(events) < 100 {
		t.Errorf("there was no load: %d events, reads %v", len(events), reads)
	}
	t.Logf("9 switches, %d events, reads %v", len(events), reads)
}

func (w *world) write(ctx context.Context, t testing.TB, id uuid.UUID) {
	for revision := int64(0); ctx.Err() == nil; revision++ {
		w.append(t, domain.AccountStream(id), revision, domain.Metadata{}, renamed(domain.FieldLastName, "Quux"))
	}
}

func (w *world) read(ctx context.Context, t testing.TB, id uuid.UUID) (reads int) {
	q := &Queries{Pool: w.pool}
	last := domain.NoStream
	for ; ctx.Err() == nil; reads++ {
		account, found, err := q.Account(t.Context(), id)
		if err != nil || last >= 0 && (!found || account.Revision < last) {
			t.Errorf("read %d after %d: %t, %v", account.Revision, last, found, err)
			return reads
		}
		if found {
			last = account.Revision
		}
	}
	return reads
}
