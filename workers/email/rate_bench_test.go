package email

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgxpool"

	"daybook/domain"
	"daybook/internal/eventstore"
	"daybook/internal/messaging"
	"daybook/internal/postgres"
	"daybook/internal/testkit"
)

// BenchmarkReactor measures how fast a history of which every second event asks for
// a mail becomes jobs: by the reactor, in batches; beside one event and transaction
// after the other, and beside lanes, whose transactions cannot hold the checkpoint.
func BenchmarkReactor(b *testing.B) {
	pool := testkit.Database(b)
	repo := testkit.Repository(b, pool)
	if err := postgres.CreateCheckpoint(b.Context(), pool, CheckpointName, uuid.New(), 0); err != nil {
		b.Fatal(err)
	}
	const accounts, rounds = 40, 25
	last := history(b, repo, accounts, rounds)
	rate := func(config func(r *Reactor) (messaging.SubscriberConfig, message.NoPublishHandlerFunc)) func(b *testing.B) {
		return func(b *testing.B) {
			for b.Loop() {
				b.StopTimer()
				r := emptied(b, pool)
				b.StartTimer()
				c, handle := config(r)
				consume(b, repo, last, c, handle)
			}
			b.ReportMetric(accounts*rounds*2*float64(b.N)/b.Elapsed().Seconds(), "events/s")
		}
	}
	b.Run("reactor", rate(func(r *Reactor) (messaging.SubscriberConfig, message.NoPublishHandlerFunc) {
		return messaging.SubscriberConfig{Batch: true}, r.Handle
	}))
	b.Run("one by one", rate(func(r *Reactor) (messaging.SubscriberConfig, message.NoPublishHandlerFunc) {
		return messaging.SubscriberConfig{}, r.Handle
	}))
	for _, lanes := range []int{4, 8, 16} {
		b.Run(fmt.Sprintf("lanes=%d", lanes), rate(func(r *Reactor) (messaging.SubscriberConfig, message.NoPublishHandlerFunc) {
			return messaging.SubscriberConfig{Lanes: lanes, Checkpoint: r.advanceTo}, r.insertOne
		}))
	}
}

// history writes events and returns the position of the last.
func history(b *testing.B, repo *eventstore.Repository, accounts, rounds int) (last uint64) {
	ids := make([]uuid.UUID, accounts)
	for i := range ids {
		ids[i] = uuid.New()
	}
	for round := range rounds {
		for _, id := range ids {
			_, err := repo.Append(b.Context(), domain.Append{
				Stream: domain.AccountStream(id), Expected: int64(2*round) - 1,
				Events:   []domain.Event{reset(time.Hour), domain.ResetLinkOpened{ResetID: uuid.New()}},
				Metadata: domain.Metadata{Command: "bench", CommandID: uuid.New(), OccurredAt: domain.Micro(time.Now())},
			})
			if err != nil {
				b.Fatal(err)
			}
		}
	}
	for event, err := range repo.Client.ReadAll(b.Context(), 0) {
		if err != nil {
			b.Fatal(err)
		}
		last = event.Position
	}
	return last
}

func emptied(b *testing.B, pool *pgxpool.Pool) *Reactor {
	b.Helper()
	for _, sql := range []string{`TRUNCATE ` + postgres.QueueSchema + `.river_job`, `UPDATE app.checkpoints SET position = 0`} {
		if _, err := pool.Exec(b.Context(), sql); err != nil {
			b.Fatal(err)
		}
	}
	r, err := NewReactor(pool, slog.New(slog.DiscardHandler))
	if err == nil {
		_, err = r.Start(b.Context())
	}
	if err != nil {
		b.Fatal(err)
	}
	return r
}

// consume handles messages as Watermill's router does until the last is acked.
func consume(b *testing.B, repo *eventstore.Repository, last uint64, config messaging.SubscriberConfig, handle message.NoPublishHandlerFunc) {
	s, err := messaging.NewSubscriber(repo.Client, config)
	if err != nil {
		b.Fatal(err)
	}
	messages, err := s.Subscribe(b.Context(), messaging.All)
	if err != nil {
		b.Fatal(err)
	}
	var handlers sync.WaitGroup
	go func() {
		testkit.Await(b, time.Minute, "the end", func() bool { position, _ := s.Position(messaging.All); return position >= last })
		_ = s.Close() // always nil
	}()
	for m := range messages {
		handlers.Go(func() {
			if err := handle(m); err != nil {
				b.Error(err)
			}
			m.Ack()
		})
	}
	handlers.Wait()
}

func (r *Reactor) advanceTo(ctx context.Context, _ string, position uint64) error {
	moved, err := r.checkpoint.AdvanceUnsynchronised(ctx, r.pool, position, 1)
	r.checkpoint = moved
	return err
}

func (r *Reactor) insertOne(m *message.Message) error {
	event, _ := messaging.EventFromContext(m.Context())
	jobs, err := jobsOf(event)
	if err == nil && len(jobs) > 0 {
		_, err = r.queue.InsertMany(m.Context(), jobs)
	}
	return err
}
