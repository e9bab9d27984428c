package projections

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"daybook/domain"
	"daybook/internal/messaging"
)

// population writes accounts whose events lie between those of the others, as
// in a store that was lived in.
func (w *world) population(b testing.TB, accounts, rounds int) []domain.Stored {
	b.Helper()
	ids := make([]uuid.UUID, accounts)
	for i := range ids {
		ids[i] = uuid.New()
		w.append(b, domain.AccountStream(ids[i]), domain.NoStream, domain.Metadata{Actor: domain.AccountActor(ids[i])},
			registered(), attempt(1, "Ada"), domain.AccountActivated{ActivationID: numbered(1), CredentialID: numbered(2)})
	}
	for round := range rounds {
		for _, id := range ids {
			w.append(b, domain.AccountStream(id), int64(2+2*round), domain.Metadata{Actor: domain.AccountActor(id)},
				renamed(domain.FieldLastName, fmt.Sprint("Quux ", round)),
				domain.ResetRequested{ResetID: uuid.New(), ExpiresAt: domain.Micro(future())})
		}
	}
	return w.stored(b)
}

func renamed(field, value string) domain.Event {
	return domain.ProfileUpdated{Changed: []string{field}, Personal: domain.Seal(domain.ProfileDetails{LastName: &value})}
}

// BenchmarkCatchUp measures events per second from a history, beside a loop
// written by hand against pgx that makes the same rows of accounts: a statement
// per event, all of a batch in one transaction and one round trip.
func BenchmarkCatchUp(b *testing.B) {
	w := newWorld(b)
	events := w.population(b, 500, 8)
	for _, size := range []int{1, 100, 1000} {
		b.Run(fmt.Sprintf("accounts/batch=%d", size), func(b *testing.B) { w.catchUp(b, Accounts{}, events, size) })
		b.Run(fmt.Sprintf("control/batch=%d", size), func(b *testing.B) { w.catchUpByHand(b, events, size) })
	}
	for _, v := range viewChecks[1:] {
		b.Run(v.view.Name()+"/batch=1000", func(b *testing.B) { w.catchUp(b, v.view, events, 1000) })
	}
}

func (w *world) catchUp(b *testing.B, view View, events []domain.Stored, size int) {
	for b.Loop() {
		b.StopTimer()
		w.empty(b, view)
		p := w.projector(b, view)
		b.StartTimer()
		for batch := range slices.Chunk(events, size) {
			apply(b, w, p, batch)
		}
	}
	b.ReportMetric(float64(len(events)*b.N)/b.Elapsed().Seconds(), "events/s")
}

// empty leaves no dead rows behind that a real history would not have.
func (w *world) empty(b *testing.B, view View) {
	w.exec(b, `TRUNCATE `+table(view))
	w.exec(b, `VACUUM ANALYZE app.checkpoints`)
	w.moveCheckpoint(b, view, 0)
}

func (w *world) catchUpByHand(b *testing.B, events []domain.Stored, size int) {
	for b.Loop() {
		b.StopTimer()
		w.empty(b, Accounts{})
		b.StartTimer()
		for stored := range slices.Chunk(events, size) {
			batch := &pgx.Batch{}
			batch.Queue(`SELECT set_config('synchronous_commit', 'off', true)`)
			for _, r := range w.recorded(b, stored) {
				queueByHand(batch, r)
			}
			batch.Queue(`UPDATE app.checkpoints SET position = $1 WHERE name = 'projection:accounts'`, int64(stored[len(stored)-1].Position))
			if err := w.pool.SendBatch(b.Context(), batch).Close(); err != nil {
				b.Fatal(err)
			}
		}
	}
	b.ReportMetric(float64(len(events)*b.N)/b.Elapsed().Seconds(), "events/s")
}

func queueByHand(batch *pgx.Batch, r domain.Recorded) {
	id, _ := domain.StreamSubject(r.Stream)
	switch e := r.Event.(type) {
	case domain.AccountRegistered:
		batch.Queue(`INSERT INTO readmodel.accounts (id, revision, version, status, staff, email, first_name, last_name, phone_number,
			github_link, birth_date, thumbnail, joined_at, attempts) VALUES ($1, $2, $2, 'pending', false, $3, $4, $5, '', '', '', '', $6, '{}')
			ON CONFLICT (id) DO NOTHING`, id, r.Revision, e.Personal.Value.Email, e.Personal.Value.FirstName, e.Personal.Value.LastName, r.Metadata.OccurredAt)
	case domain.AccountActivated:
		batch.Queue(`UPDATE readmodel.accounts SET status = 'active', revision = $2, version = $2 WHERE id = $1 AND revision < $2`, id, r.Revision)
	case domain.ProfileUpdated:
		batch.Queue(`UPDATE readmodel.accounts SET last_name = $3, revision = $2, version = $2 WHERE id = $1 AND revision < $2`,
			id, r.Revision, e.Personal.Value.LastName)
	default:
		batch.Queue(`UPDATE readmodel.accounts SET revision = $2 WHERE id = $1 AND revision < $2`, id, r.Revision)
	}
}

// BenchmarkLive measures how long one new event takes: to be applied, beside a
// transaction written by hand; and from its append until a query that waits for
// it has its answer.
func BenchmarkLive(b *testing.B) {
	w := newWorld(b)
	b.Run("apply", func(b *testing.B) { w.live(b, w.projector(b, Accounts{})) })
	b.Run("control", w.liveByHand)
	b.Run("append to query", w.appendToQuery)
}

func (w *world) live(b *testing.B, p *Projector) {
	events := w.population(b, 1, b.N/2+1)
	apply(b, w, p, events[:3])
	b.ResetTimer()
	for _, event := range events[3 : 3+b.N] {
		apply(b, w, p, []domain.Stored{event})
	}
}

func (w *world) liveByHand(b *testing.B) {
	events := w.population(b, 1, b.N/2+1)
	id, _ := domain.StreamSubject(events[0].Stream)
	apply(b, w, w.projector(b, Accounts{}), events[:3])
	b.ResetTimer()
	for _, r := range w.recorded(b, events[3:3+b.N]) {
		err := pgx.BeginFunc(b.Context(), w.pool, func(tx pgx.Tx) error {
			if _, err := tx.Exec(b.Context(), `UPDATE readmodel.accounts SET last_name = $3, revision = $2 WHERE id = $1 AND revision < $2`, id, r.Revision, "Quux"); err != nil {
				return err
			}
			_, err := tx.Exec(b.Context(), `UPDATE app.checkpoints SET position = $1 WHERE name = 'projection:accounts'`, int64(r.Position))
			return err
		})
		if err != nil {
			b.Fatal(err)
		}
	}
}

func (w *world) appendToQuery(b *testing.B) {
	p := w.projector(b, Accounts{})
	w.moveCheckpoint(b, Accounts{}, tail(b, w))
	id := uuid.New()
	w.append(b, domain.AccountStream(id), domain.NoStream, domain.Metadata{}, registered())
	q := w.queries(b)
	defer w.follow(b, p)()
	var took []time.Duration
	for revision := int64(1); b.Loop(); revision++ {
		began := time.Now()
		w.append(b, domain.AccountStream(id), revision-1, domain.Metadata{}, renamed(domain.FieldLastName, "Quux"))
		for found := false; !found; {
			var err error
			if _, found, err = q.AwaitAccount(b.Context(), id, revision); err != nil {
				b.Fatal(err)
			}
		}
		took = append(took, time.Since(began))
	}
	slices.Sort(took)
	b.ReportMetric(float64(took[len(took)/2].Microseconds()), "p50-µs")
	b.ReportMetric(float64(took[len(took)*99/100].Microseconds()), "p99-µs")
}

// follow feeds the projector from the store until the returned function is
// called.
func (w *world) follow(b testing.TB, p *Projector) (stop func()) {
	b.Helper()
	subscriber, err := messaging.NewSubscriber(w.repo.Client, messaging.SubscriberConfig{
		Batch: true, Prepare: p.Prepare, Start: func(ctx context.Context, _ string) (uint64, bool, error) {
			after, err := p.Start(ctx)
			return after, after > 0, err
		},
	})
	if err != nil {
		b.Fatal(err)
	}
	messages, err := subscriber.Subscribe(b.Context(), messaging.All)
	if err != nil {
		b.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for m := range messages {
			if err := p.Handle(m); err != nil {
				b.Error(err)
			}
			m.Ack()
		}
	}()
	return func() {
		_ = subscriber.Close() // always nil
		<-done
	}
}
