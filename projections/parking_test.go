package projections

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"daybook/domain"
	"daybook/internal/postgres"
)

// parked returns the accounts that the view has parked.
func (w *world) parked(t failer, view View) []Parked {
	t.Helper()
	all, err := ParkedAccounts(w.ctx, w.pool)
	if err != nil {
		t.Fatal(err)
	}
	return slices.DeleteFunc(all, func(p Parked) bool { return p.Projection != (&Projector{View: view}).CheckpointName() })
}

// checkParked compares the reasons for which the view has parked accounts.
func (w *world) checkParked(t failer, view View, want ...string) {
	t.Helper()
	var got []string
	for _, p := range w.parked(t, view) {
		got = append(got, p.Reason)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%s has parked accounts for (-want +got):\n%s", view.Name(), diff)
	}
}

// shut decodes events without their personal parts.
func (w *world) shut(t failer, events []domain.Stored) []domain.Recorded {
	t.Helper()
	recorded := make([]domain.Recorded, len(events))
	for i, event := range events {
		var err error
		if recorded[i], err = domain.Decode(event, shut); err != nil {
			t.Fatal(err)
		}
	}
	return recorded
}

// damaged returns the events with one that cannot be read, as an older or a
// broken program may have written it.
func damaged(events []domain.Stored, at int) []domain.Stored {
	events = slices.Clone(events)
	events[at].Data = []byte(`{"shoe_size":44}`)
	return events
}

// log yields events as the store would.
func logOf(events []domain.Stored) Log {
	return func(_ context.Context, after uint64) iter.Seq2[domain.Stored, error] {
		return func(yield func(domain.Stored, error) bool) {
			for _, event := range events {
				if event.Position > after && !yield(event, nil) {
					return
				}
			}
		}
	}
}

// crowd writes persons whose events lie between those of each other.
func (w *world) crowd(t failer, people int) (events []domain.Stored) {
	t.Helper()
	ids := make([]uuid.UUID, people)
	for i := range ids {
		ids[i] = uuid.New()
	}
	for step, count := range []int64{0, 2, 3, 4} { // events of each so far
		for _, id := range ids {
			next := [][]domain.Event{
				{registered(), attempt(1, "Ada")},
				{domain.AccountActivated{ActivationID: numbered(1), CredentialID: numbered(2)}},
				{renamed(domain.FieldLastName, "Lovelace")},
				{domain.ResetRequested{ResetID: uuid.New(), ExpiresAt: domain.Micro(future())}},
			}[step]
			w.append(t, domain.AccountStream(id), count-1, domain.Metadata{Actor: domain.AccountActor(id)}, next...)
		}
	}
	return w.stored(t)
}

func subject(event domain.Stored) uuid.UUID {
	id, _ := domain.StreamSubject(event.Stream)
	return id
}

// before returns the events without those of the one's account from it on.
func before(events []domain.Stored, at int) []domain.Stored {
	return slices.DeleteFunc(slices.Clone(events), func(e domain.Stored) bool {
		return subject(e) == subject(events[at]) && e.Position >= events[at].Position
	})
}

// rowsAfter returns the rows that an empty view gets from the events.
func (w *world) rowsAfter(t failer, view View, events []domain.Stored) []string {
	t.Helper()
	w.reset(t, view, 0)
	apply(t, w, w.projector(t, view), events)
	return w.rows(t, view)
}

// TestOneAccountIsParkedAndTheOthersGoOn, in whichever event of a batch it is;
// and a retry with a program that reads it makes it whole.
func TestOneAccountIsParkedAndTheOthersGoOn(t *testing.T) {
	w := newWorld(t)
	events := w.crowd(t, 7)
	for _, view := range []View{Accounts{}, Registrations{}, Activity{}} {
		for at := 0; at < len(events); at += 3 {
			t.Run(fmt.Sprintf("%s/%d", view.Name(), at), func(t *testing.T) {
				poisoned := damaged(events, at)
				want := w.rowsAfter(t, view, before(events, at))
				w.reset(t, view, 0)
				p := w.projector(t, view)
				for batch := range slices.Chunk(poisoned, 1+at) {
					apply(t, w, p, batch)
				}
				w.checkParkedOnly(t, view, events, at)
				if diff := cmp.Diff(want, w.rows(t, view)); diff != "" {
					t.Errorf("rows are not those without what is passed over (-want +got):\n%s", diff)
				}
				p = w.projector(t, view) // another owner knows it too
				w.freshVault()
				if err := p.Retry(t.Context(), subject(events[at]), logOf(poisoned)); !errors.Is(err, domain.ErrUnreadable) {
					t.Errorf("retry of what still cannot be read: %v", err)
				}
				if parked := w.parked(t, view); len(parked) != 1 || parked[0].Attempts != 2 {
					t.Errorf("after a failed retry %+v", parked)
				}
				if err := p.Retry(t.Context(), subject(events[at]), logOf(events)); err != nil {
					t.Error(err)
				}
				w.checkParked(t, view)
				w.checkView(t, view, events)
			})
		}
	}
}

func (w *world) checkParkedOnly(t *testing.T, view View, events []domain.Stored, at int) {
	t.Helper()
	want := events[at]
	parked := w.parked(t, view)
	if len(parked) != 1 || parked[0].AccountID != subject(want) || parked[0].Position != want.Position ||
		parked[0].Revision != want.Revision || parked[0].Reason != reasonUnreadable {
		t.Fatalf("parked %+v, want %s at %d", parked, want.Stream, want.Position)
	}
	var last uint64 // of the account
	for _, event := range events {
		if subject(event) == subject(want) {
			last = event.Position
		}
	}
	if parked[0].LastSeen != last {
		t.Errorf("events up to %d were passed over, want %d", parked[0].LastSeen, last)
	}
	if got := w.position(t, view); got != events[len(events)-1].Position {
		t.Errorf("the checkpoint is at %d, not at the end", got)
	}
}

// checkView compares all rows with the log.
func (w *world) checkView(t failer, view View, events []domain.Stored) {
	t.Helper()
	for _, v := range viewChecks {
		if v.view == view {
			v.check(t, w, w.recorded(t, events))
		}
	}
}

// TestARetryKeepsUpWithTheOwner: events come while it reads, and one of them has
// been seen by the owner only.
func TestARetryKeepsUpWithTheOwner(t *testing.T) {
	w := newWorld(t)
	events := w.crowd(t, 3)
	poisoned := damaged(events, 3)
	id := subject(events[3])
	p := w.projector(t, Accounts{})
	apply(t, w, p, poisoned[:7])
	retrier := &Projector{Pool: w.pool, Vault: w.repo.Vault, View: Accounts{}, Logger: p.Logger}
	reads := 0
	log := func(ctx context.Context, after uint64) iter.Seq2[domain.Stored, error] {
		if reads++; reads == 1 {
			apply(t, w, p, events[7:11])
		}
		return logOf(events)(ctx, after)
	}
	if err := retrier.Retry(t.Context(), id, log); err != nil || reads != 2 {
		t.Fatalf("retry: %v after %d reads", err, reads)
	}
	if err := retrier.Retry(t.Context(), id, log); !errors.Is(err, postgres.ErrNotParked) {
		t.Errorf("retry of what is not parked: %v", err)
	}
	apply(t, w, p, events[11:]) // the owner believes that it is parked
	w.checkView(t, Accounts{}, events)
}

// TestAnEventThatIsNotKnownBehindAPoisonedOneStops: the program is too old, which
// is no fault of an account.
func TestAnEventThatIsNotKnownBehindAPoisonedOneStops(t *testing.T) {
	w := newWorld(t)
	events := damaged(w.crowd(t, 3), 1)
	events[5].Type = "ProfileBurnt"
	p := w.projector(t, Accounts{})
	for range 2 {
		if err := p.Apply(t.Context(), events); !errors.Is(err, domain.ErrUnknownEvent) {
			t.Errorf("Apply: %v, want ErrUnknownEvent", err)
		}
		w.checkParked(t, Accounts{}, reasonUnreadable)
	}
	if got := w.position(t, Accounts{}); got >= events[5].Position {
		t.Errorf("the checkpoint is at %d, beyond the event", got)
	}
}

// TestAnOutageParksNobody: nor does a view whose table is not there.
func TestAnOutageParksNobody(t *testing.T) {
	w := newWorld(t)
	events := w.crowd(t, 3)
	w.freshVault()
	p := w.projector(t, Accounts{})
	lock, err := w.pool.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := lock.Exec(t.Context(), `LOCK TABLE vault.data_keys IN ACCESS EXCLUSIVE MODE`); err != nil {
		t.Fatal(err)
	}
	hurried, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if err := p.Apply(hurried, events); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("with a key store that does not answer: %v", err)
	}
	if err := lock.Rollback(t.Context()); err != nil {
		t.Fatal(err)
	}
	w.exec(t, `ALTER TABLE readmodel.accounts RENAME TO hidden`)
	if err := p.Apply(t.Context(), events); err == nil {
		t.Error("it needs no table")
	}
	w.exec(t, `ALTER TABLE readmodel.hidden RENAME TO accounts`)
	w.checkParked(t, Accounts{})
	apply(t, w, p, events)
	w.checkView(t, Accounts{}, events)
}

// TestTooManyParkedAccountsStopTheProjector: then the events are not what is
// wrong. Those that were given up do not count.
func TestTooManyParkedAccountsStopTheProjector(t *testing.T) {
	w := newWorld(t)
	var events []domain.Stored
	for range maxParked + 1 {
		w.append(t, domain.AccountStream(uuid.New()), domain.NoStream, domain.Metadata{}, domain.ResetLinkOpened{ResetID: uuid.New()})
	}
	events = w.stored(t)
	p := w.projector(t, Resets{})
	if err := p.Apply(t.Context(), events); !errors.Is(err, ErrTooManyParked) {
		t.Errorf("Apply: %v, want ErrTooManyParked", err)
	}
	if parked := w.parked(t, Resets{}); len(parked) != maxParked {
		t.Errorf("%d accounts are parked", len(parked))
	}
	if err := p.Discard(t.Context(), subject(events[0]), "a test"); err != nil {
		t.Error(err)
	}
	apply(t, w, w.projector(t, Resets{}), events)
	if parked := w.parked(t, Resets{}); len(parked) != maxParked+1 || parked[0].DiscardedAt == nil || *parked[0].DiscardReason != "a test" {
		t.Errorf("%d accounts are parked, the first: %+v", len(parked), parked[0])
	}
	if err := p.Discard(t.Context(), uuid.New(), "a test"); !errors.Is(err, postgres.ErrNotParked) {
		t.Errorf("discard of what is not parked: %v", err)
	}
}

// TestAParkedAccountIsNotServedFromItsRow, and nobody waits for it.
func TestAParkedAccountIsNotServedFromItsRow(t *testing.T) {
	w := newWorld(t)
	events := damaged(w.crowd(t, 2), 5)
	q, p := w.queries(t), w.projector(t, Accounts{})
	apply(t, w, p, events)
	began := time.Now()
	if row, found, err := q.AwaitAccount(t.Context(), subject(events[5]), 0); err != nil || found {
		t.Errorf("found %s, %t, %v", readable(row), found, err)
	}
	if took := time.Since(began); took >= awaitFor {
		t.Errorf("it waited for %v", took)
	}
	if _, found, err := q.AwaitAccount(t.Context(), subject(events[4]), 3); err != nil || !found {
		t.Errorf("the other is not found: %v", err)
	}
}
