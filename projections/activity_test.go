package projections

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/google/uuid"

	"daybook/domain"
)

// fieldsOf are an account's fields by name.
func fieldsOf(a domain.Account) map[string]string {
	p := a.Profile
	return map[string]string{
		"email":      a.Email,
		"first_name": p.FirstName, "last_name": p.LastName, "phone_number": p.PhoneNumber,
		"github_link": p.GithubLink, "birth_date": p.BirthDate, "thumbnail": p.Thumbnail,
	}
}

// tellHistory reads a person's history off the log: changes are the difference
// between the folds before and after an event.
func tellHistory(log []domain.Recorded, id uuid.UUID) []Entry {
	account, origins, entries := domain.NewAccount(id), map[string]domain.Origin{}, []Entry{}
	for _, r := range log {
		if subject, _ := domain.StreamSubject(r.Stream); subject != id {
			continue
		}
		old := time.Since(r.Metadata.OccurredAt) > 180*24*time.Hour
		entry := Entry{ID: r.ID, At: r.Metadata.OccurredAt, What: domain.NameOf(r.Event), Session: r.Metadata.Session}
		entry.Actor = map[string]string{"account:" + id.String(): "self", "anonymous": "anonymous", "operator:t1": "operator", "system:housekeeping": "system"}[r.Metadata.Actor]
		var origin domain.Origin
		switch e := r.Event.(type) {
		case domain.SignedIn:
			origin, entry.Cause = e.Personal.Value, e.Cause
			if !old {
				origins[r.Metadata.Session] = origin
			}
		case domain.SignedOut:
			origin, entry.Cause = e.Personal.Value, e.Cause
		case domain.SessionEnded:
			origin, entry.Cause = e.Personal.Value, e.Cause
		case domain.SignInRefused:
			entry.Tries = e.Count
		case domain.PasswordChanged:
			entry.Cause = e.Cause
		}
		if domain.IsAccountStream(r.Stream) {
			origin, old = origins[r.Metadata.Session], false
			before := account
			account = domain.Evolve(account, r)
			if asked, ok := r.Event.(domain.AddressChangeRequested); ok {
				after := before
				after.Email = asked.Personal.Value.Email
				entry.Changes = changesBetween(before, after)
			} else if entry.What != "AccountRegistered" {
				entry.Changes = changesBetween(before, account)
			}
		}
		entry.ClientAddress, entry.UserAgent = origin.ClientAddress, origin.UserAgent
		if !old {
			entries = append(entries, entry)
		}
	}
	slices.Reverse(entries)
	if account.Status == domain.StatusErased { // nothing else is left
		at := slices.IndexFunc(entries, func(e Entry) bool { return e.What == "AccountErased" })
		last := entries[at]
		return []Entry{{ID: last.ID, At: last.At, What: last.What, Actor: last.Actor, Session: last.Session, Erased: true}}
	}
	return entries
}

func changesBetween(before, after domain.Account) []Change {
	var changes []Change
	old := fieldsOf(before)
	for field, value := range fieldsOf(after) {
		if old[field] != value {
			changes = append(changes, Change{field, old[field], value})
		}
	}
	slices.SortFunc(changes, func(a, b Change) int { return strings.Compare(a.Field, b.Field) })
	return changes
}

// checkActivity pages through everybody's history.
func checkActivity(t failer, w *world, log []domain.Recorded) {
	t.Helper()
	q, of, accounts := &Queries{Pool: w.pool}, 0, folds(log)
	for _, r := range log {
		if id, ok := domain.StreamSubject(r.Stream); ok && (accounts[id].Status != domain.StatusErased || domain.NameOf(r.Event) == "AccountErased") {
			of++
		}
	}
	if rows := len(w.rows(t, Activity{})); rows != of {
		t.Errorf("%d rows of %d events", rows, of)
	}
	for id := range accounts {
		var got []Entry
		for before := uuid.Nil; ; before = got[len(got)-1].ID {
			page, err := q.Activity(w.ctx, id, before, 7)
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, page...)
			if len(page) < 7 {
				break
			}
		}
		if diff := cmp.Diff(tellHistory(log, id), got, cmpopts.EquateEmpty()); diff != "" {
			t.Errorf("history (-log +query):\n%s", diff)
		}
	}
}

func TestActivityBeforeWhatIsNotThereIsEmpty(t *testing.T) {
	w := newWorld(t)
	events := w.person(t)
	apply(t, w, w.projector(t, Activity{}), events)
	id, _ := domain.StreamSubject(events[0].Stream)
	q := &Queries{Pool: w.pool}
	stranger := uuid.New()
	for account, before := range map[uuid.UUID]uuid.UUID{id: uuid.New(), stranger: uuid.Nil, uuid.New(): events[4].ID} {
		entries, err := q.Activity(t.Context(), account, before, 10)
		if err != nil || len(entries) != 0 {
			t.Errorf("%v, %v", entries, err)
		}
	}
}

func TestNamesOfAttemptsAreDroppedWhenTheyAreSettled(t *testing.T) {
	w := newWorld(t)
	events := w.person(t)
	p := w.projector(t, Activity{})
	named := func() (rows int) {
		if err := w.pool.QueryRow(t.Context(), `SELECT count(*) FROM readmodel.activity WHERE names IS NOT NULL`).Scan(&rows); err != nil {
			t.Fatal(err)
		}
		return rows
	}
	apply(t, w, p, events[:2])
	if rows := named(); rows != 1 {
		t.Errorf("%d attempts have names before activation, want 1", rows)
	}
	apply(t, w, p, events[2:])
	if rows := named(); rows != 0 {
		t.Errorf("%d attempts have names after activation", rows)
	}
}

// TestASignInStoredTwiceIsSeenOnce: an append without an expected revision may
// be repeated by a client that never heard of the first.
func TestASignInStoredTwiceIsSeenOnce(t *testing.T) {
	w := newWorld(t)
	id := uuid.New()
	w.append(t, domain.AccessStream(id), domain.AnyRevision, domain.Metadata{Actor: domain.AccountActor(id)},
		domain.SignedIn{SessionID: uuid.New(), Cause: "password", Personal: domain.Seal(domain.Origin{ClientAddress: "192.0.2.1"})})
	events := w.stored(t)
	again := events[0]
	again.Revision, again.Position = 1, again.Position+1
	for _, view := range []View{Activity{}, Presence{}} {
		p := w.projector(t, view)
		apply(t, w, p, events)
		apply(t, w, p, []domain.Stored{again})
		if rows := w.rows(t, view); len(rows) != 1 {
			t.Errorf("%s has %v", view.Name(), rows)
		}
	}
}

// TestAccessStreamsLoseTheirOldEvents: they are cut by age, which is no hole.
func TestAccessStreamsLoseTheirOldEvents(t *testing.T) {
	w := newWorld(t)
	id := uuid.New()
	for range 3 {
		w.append(t, domain.AccessStream(id), domain.AnyRevision, domain.Metadata{},
			domain.SignedIn{SessionID: uuid.New(), Cause: "password", Personal: domain.Seal(domain.Origin{})})
	}
	events := w.stored(t)[1:]
	for _, view := range []View{Activity{}, Presence{}} {
		apply(t, w, w.projector(t, view), events)
		if rows := w.rows(t, view); len(rows) != 2 {
			t.Errorf("%s has %v", view.Name(), rows)
		}
	}
}

func TestAccountAt(t *testing.T) {
	w := newWorld(t)
	stream := domain.AccountStream(uuid.New())
	noon := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	renamed := func(name string) domain.Event {
		return domain.ProfileUpdated{Changed: []string{domain.FieldFirstName}, Personal: domain.Seal(domain.ProfileDetails{FirstName: &name})}
	}
	w.append(t, stream, domain.NoStream, domain.Metadata{OccurredAt: noon}, registered())
	w.append(t, stream, 0, domain.Metadata{OccurredAt: noon.Add(time.Hour)}, renamed("Ada"))
	// Written by a process whose clock is behind.
	w.append(t, stream, 1, domain.Metadata{OccurredAt: noon.Add(time.Minute)}, renamed("Eve"))
	history := w.recorded(t, w.stored(t))
	for at, want := range map[time.Duration]string{
		-time.Second: "", 0: canary, 30 * time.Minute: canary, time.Hour: "Eve", 48 * time.Hour: "Eve",
	} {
		got := AccountAt(history, noon.Add(at))
		if got.FirstName != want || got.ID.String() != stream[len("account-"):] {
			t.Errorf("at noon%+v: %s", at, readable(got))
		}
		if (got.Status == domain.StatusNone) != (want == "") {
			t.Errorf("at noon%+v the status is %q", at, got.Status)
		}
	}
	if got := AccountAt(nil, noon); got.Status != domain.StatusNone {
		t.Errorf("without history: %s", readable(got))
	}
}
