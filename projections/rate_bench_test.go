package projections

import (
	"context"
	"fmt"
	"os"
	"runtime"
	"runtime/metrics"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"daybook/domain"
	"daybook/internal/messaging"
	"daybook/internal/pause"
	"daybook/internal/testkit"
)

// historySizes are how long the histories are that are built from.
func historySizes() []int {
	if os.Getenv(longVariable) != "" {
		return []int{100_000, 1_000_000}
	}
	return []int{20_000}
}

// lived writes a history of accounts with fifty events each, ten to an append.
func (w *world) lived(b *testing.B, events int) {
	b.Helper()
	const each, together = 50, 10
	var writing sync.WaitGroup
	for worker := range 8 {
		writing.Go(func() {
			for range events / each / 8 {
				id := uuid.New()
				for revision := domain.NoStream; revision < each-1; revision += together {
					changes := make([]domain.Event, together)
					for i := range changes {
						changes[i] = renamed(domain.FieldLastName, fmt.Sprint("Quux ", worker, revision))
					}
					if revision == domain.NoStream {
						changes[0] = registered()
					}
					w.append(b, domain.AccountStream(id), revision, domain.Metadata{Actor: domain.AccountActor(id)}, changes...)
				}
			}
		})
	}
	writing.Wait()
}

// BenchmarkRebuild measures a build of accounts from the store, alone and while the
// view is written, followed and read; beside a loop written by hand that reads the
// same and makes the same rows, and beside reading alone. DAYBOOK_TEST_LONG makes it
// 100,000 and a million events: what the heap grows by must not depend on them.
func BenchmarkRebuild(b *testing.B) {
	w := newWorld(b)
	w.projector(b, Accounts{})
	there := 0
	for _, events := range historySizes() {
		events = events / 400 * 400
		w.lived(b, events-there)
		there = events
		b.Run(fmt.Sprintf("events=%d", events), func(b *testing.B) { w.rebuilds(b, events) })
	}
}

func (w *world) rebuilds(b *testing.B, events int) {
	rate := func(run func(b *testing.B)) func(b *testing.B) {
		return func(b *testing.B) {
			most := liveHeap(b)
			for b.Loop() {
				run(b)
			}
			b.ReportMetric(float64(events*b.N)/b.Elapsed().Seconds(), "events/s")
			b.ReportMetric(most(), "MiB-grown")
		}
	}
	build := func(b *testing.B) {
		if err := w.rebuild(Accounts{}).Build(b.Context(), true); err != nil {
			b.Fatal(err)
		}
	}
	b.Run("build", rate(build))
	b.Run("control", rate(func(b *testing.B) {
		w.exec(b, `TRUNCATE readmodel.accounts`)
		w.readLog(b, 1000, w.writeByHand)
	}))
	b.Run("reading alone", rate(func(b *testing.B) { w.readLog(b, 1000, func(testing.TB, []domain.Stored) {}) }))
	b.Run("build while serving", func(b *testing.B) {
		w.moveCheckpoint(b, Accounts{}, tail(b, w))
		defer w.follow(b, w.projector(b, Accounts{}))()
		ctx, stop := context.WithCancel(b.Context())
		var serving sync.WaitGroup
		id := uuid.New()
		w.append(b, domain.AccountStream(id), domain.NoStream, domain.Metadata{}, registered())
		serving.Go(func() { w.write(ctx, b, id) })
		serving.Go(func() { w.read(ctx, b, id) })
		rate(build)(b)
		stop()
		serving.Wait()
	})
}

// liveHeap watches the heap that garbage collections leave, and returns what tells by
// how much it has grown at most, in MiB. The event store's memory is in it before.
func liveHeap(b *testing.B) (most func() float64) {
	sample := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
	runtime.GC()
	metrics.Read(sample)
	before := sample[0].Value.Uint64()
	ctx, stop := context.WithCancel(b.Context())
	var watching sync.WaitGroup
	largest := before
	watching.Go(func() {
		for ; ctx.Err() == nil; pause.For(ctx, 10*time.Millisecond) {
			metrics.Read(sample)
			largest = max(largest, sample[0].Value.Uint64())
		}
	})
	return func() float64 {
		stop()
		watching.Wait()
		return float64(largest-before) / (1 << 20)
	}
}

// readLog hands the whole log out in batches.
func (w *world) readLog(b testing.TB, size int, handle func(testing.TB, []domain.Stored)) {
	batch := make([]domain.Stored, 0, size)
	for event, err := range w.repo.Client.ReadAll(w.ctx, 0) {
		if err != nil {
			b.Fatal(err)
		}
		if batch = append(batch, event); len(batch) == size {
			handle(b, batch)
			batch = batch[:0]
		}
	}
	if len(batch) > 0 {
		handle(b, batch)
	}
}

// writeByHand is a transaction with a statement per event, in one round trip.
func (w *world) writeByHand(b testing.TB, events []domain.Stored) {
	batch := &pgx.Batch{}
	batch.Queue(`SELECT set_config('synchronous_commit', 'off', true)`)
	for _, r := range w.recorded(b, events) {
		queueByHand(batch, r)
	}
	batch.Queue(`UPDATE app.checkpoints SET position = $1 WHERE name = 'projection:accounts'`, int64(events[len(events)-1].Position))
	batch.Queue(`SELECT pg_notify($1, 'accounts')`, channel)
	if err := w.pool.SendBatch(w.ctx, batch).Close(); err != nil && w.ctx.Err() == nil { // stopped while writing
		b.Error(err)
	}
}

// BenchmarkTail measures a subscription that feeds a view from a history, beside a
// loop written by hand that subscribes to the same and makes the same rows, and
// beside a subscription that does nothing with what it gets.
func BenchmarkTail(b *testing.B) {
	w := newWorld(b)
	const events = 20_000
	w.lived(b, events)
	last := w.stored(b)[events-1].Position
	rate := func(b *testing.B) { b.ReportMetric(float64(events*b.N)/b.Elapsed().Seconds(), "events/s") }
	b.Run("accounts", func(b *testing.B) {
		for b.Loop() {
			b.StopTimer()
			w.empty(b, Accounts{})
			p := w.projector(b, Accounts{})
			b.StartTimer()
			stop := w.follow(b, p)
			testkit.Await(b, time.Minute, "the end", func() bool { return w.position(b, Accounts{}) >= last })
			stop()
		}
		rate(b)
	})
	b.Run("control", func(b *testing.B) {
		for b.Loop() {
			b.StopTimer()
			w.empty(b, Accounts{})
			b.StartTimer()
			w.followByHand(b, last)
		}
		rate(b)
	})
	b.Run("reading alone", func(b *testing.B) {
		for b.Loop() {
			w.consume(b, 0, last, func(testing.TB, []domain.Stored) {})
		}
		rate(b)
	})
}

// followByHand is the loop that one writes first: what has come is decoded and
// written, then what has come meanwhile.
func (w *world) followByHand(b *testing.B, last uint64) {
	subscription, err := w.repo.Client.Subscribe(w.ctx, 0)
	if err != nil {
		b.Fatal(err)
	}
	defer subscription.Close()
	for done := uint64(0); done < last; {
		items, err := subscription.NextBatch(w.ctx, 1000)
		if err != nil {
			b.Fatal(err)
		}
		var events []domain.Stored
		for _, item := range items {
			if item.Event != nil {
				events = append(events, *item.Event)
			}
		}
		if len(events) > 0 {
			w.writeByHand(b, events)
			done = events[len(events)-1].Position
		}
	}
}

// consume hands out what comes behind a position until one is reached, or, with 0,
// until the world ends.
func (w *world) consume(b testing.TB, after, last uint64, handle func(testing.TB, []domain.Stored)) {
	subscriber, err := messaging.NewSubscriber(w.repo.Client, messaging.SubscriberConfig{
		Batch: true, Start: func(context.Context, string) (uint64, bool, error) { return after, after > 0, nil },
	})
	if err != nil {
		b.Error(err)
		return
	}
	defer func() { _ = subscriber.Close() }() // always nil
	messages, err := subscriber.Subscribe(w.ctx, messaging.All)
	if err != nil {
		b.Error(err)
		return
	}
	for m := range messages {
		events := messaging.BatchFromContext(m.Context()).Events
		handle(b, events)
		m.Ack()
		if last > 0 && events[len(events)-1].Position >= last {
			return
		}
	}
}

// pace is how many events a second are appended.
const pace = 500

// BenchmarkSteady measures how long after its append an event is visible to a
// query that waits for it, at a steady pace; beside a consumer by hand.
func BenchmarkSteady(b *testing.B) {
	b.Run("accounts", func(b *testing.B) {
		w := newWorld(b)
		p := w.projector(b, Accounts{})
		defer w.follow(b, p)()
		w.steady(b)
	})
	b.Run("control", func(b *testing.B) {
		w := newWorld(b)
		w.projector(b, Accounts{})
		ctx, cancel := context.WithCancel(w.ctx)
		hand := &world{ctx: ctx, pool: w.pool, repo: w.repo}
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			hand.consume(b, 0, 0, hand.writeByHand)
		}()
		w.steady(b)
		cancel()
		<-ended
	})
}

// steady has fifty accounts written in turn.
func (w *world) steady(b *testing.B) {
	q := w.queries(b)
	ids := make([]uuid.UUID, 50)
	for i := range ids {
		ids[i] = uuid.New()
		w.append(b, domain.AccountStream(ids[i]), domain.NoStream, domain.Metadata{}, registered())
	}
	took := make([]time.Duration, b.N)
	b.ResetTimer()
	ticker := time.NewTicker(time.Second / pace)
	defer ticker.Stop()
	var writing sync.WaitGroup
	queue := make([]chan int, len(ids))
	for i, id := range ids {
		queue[i] = make(chan int, b.N/len(ids)+1)
		writing.Go(func() {
			revision := int64(0)
			for n := range queue[i] {
				w.append(b, domain.AccountStream(id), revision, domain.Metadata{}, renamed(domain.FieldLastName, "Quux"))
				began := time.Now()
				revision++
				for found := false; !found; {
					var err error
					if _, found, err = q.AwaitAccount(b.Context(), id, revision); err != nil {
						b.Error(err)
						return
					}
				}
				took[n] = time.Since(began)
			}
		})
	}
	for n := range b.N {
		<-ticker.C
		queue[n%len(ids)] <- n
	}
	for _, q := range queue {
		close(q)
	}
	writing.Wait()
	slices.Sort(took)
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "events/s")
	b.ReportMetric(float64(took[len(took)/2].Microseconds()), "p50-µs")
	b.ReportMetric(float64(took[len(took)*99/100].Microseconds()), "p99-µs")
}
