package relay

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgxpool"

	"daybook/domain"
	"daybook/internal/embedded/kafka"
	"daybook/internal/eventstore"
	"daybook/internal/messaging"
	"daybook/internal/postgres"
	"daybook/internal/testkit"
)

const patience = 20 * time.Second

func TestMain(m *testing.M) { os.Exit(testkit.Main(m)) }

// world is a database and an event store of the test's own, with accounts that
// brokers are to hear of.
type world struct {
	pool     *pgxpool.Pool
	repo     *eventstore.Repository
	topic    string
	accounts []uuid.UUID
}

func newWorld(t *testing.T, accounts int) *world {
	t.Helper()
	return worldOver(t, testkit.Database(t), accounts)
}

// worldOver is a new one over the database of former ones, which saves time.
func worldOver(t *testing.T, pool *pgxpool.Pool, accounts int) *world {
	t.Helper()
	w := &world{pool: pool, repo: testkit.Repository(t, pool), topic: Topic("test-" + uuid.NewString())}
	if _, err := pool.Exec(t.Context(), `DELETE FROM app.checkpoints`); err != nil {
		t.Fatal(err)
	}
	if err := postgres.CreateCheckpoint(t.Context(), pool, CheckpointName, store, 0); err != nil {
		t.Fatal(err)
	}
	for range accounts {
		w.accounts = append(w.accounts, uuid.New())
	}
	return w
}

// broker is an embedded one that can be stopped and started again on its port.
type broker struct {
	dir    string
	server *kafka.Server
}

func startBroker(t *testing.T) *broker {
	t.Helper()
	b := &broker{dir: t.TempDir()}
	b.start(t)
	t.Cleanup(func() { b.stop(t) })
	return b
}

func (b *broker) start(t *testing.T) {
	t.Helper()
	var err error
	if b.server, err = kafka.Start(kafka.Config{Dir: b.dir}); err != nil {
		t.Fatal(err)
	}
}

func (b *broker) stop(t *testing.T) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := b.server.Stop(ctx); err != nil {
		t.Error(err)
	}
}

func (b *broker) kafka(t *testing.T) messaging.Kafka {
	t.Helper()
	k, err := messaging.ParseKafkaURL(b.server.URL())
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func (w *world) append(tb testing.TB, stream string, events ...domain.Event) {
	tb.Helper()
	_, err := w.repo.Append(context.Background(), domain.Append{
		Stream: stream, Expected: domain.AnyRevision, Events: events,
		Metadata: domain.Metadata{Command: "test", CommandID: uuid.New(), OccurredAt: domain.Micro(time.Now())},
	})
	if err != nil {
		tb.Error(err)
	}
}

// live appends some lives of accounts, side by side: registration, then rounds of
// sign-ins, with a mail address that is nowhere to be found in the topic.
func (w *world) live(tb testing.TB, rounds int) {
	var lives sync.WaitGroup
	for _, id := range w.accounts {
		lives.Go(func() {
			account, access := domain.AccountStream(id), domain.AccessStream(id)
			w.append(tb, account, samples["daybook.account.registered.v1"], samples["daybook.account.activation_requested.v1"])
			w.append(tb, account, samples["daybook.account.activated.v1"])
			for range rounds {
				w.append(tb, access, samples["daybook.account.signed_in.v1"])
				w.append(tb, account, samples["daybook.account.password_reset_requested.v1"], samples["daybook.account.profile_updated.v1"])
				w.append(tb, "address-k-"+id.String()[:8], domain.AddressClaimed{AccountID: id})
			}
		})
	}
	lives.Wait()
}

func (w *world) relay(t *testing.T, k messaging.Kafka) *Relay {
	t.Helper()
	r, err := New(Config{Kafka: k, Topic: w.topic, Source: Source(store)}, w.pool)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = r.Close() }) // what was not written is not passed by the checkpoint
	return r
}

// run runs a relay as a process would, until stop or until another has started.
func (w *world) run(t *testing.T, r *Relay) (stop func()) {
	t.Helper()
	subscriber, err := messaging.NewSubscriber(w.repo.Client, messaging.SubscriberConfig{
		Batch: true, NackBackoff: 5 * time.Millisecond, MaxNackBackoff: 100 * time.Millisecond, DrainTimeout: 200 * time.Millisecond,
		Start: func(ctx context.Context, _ string) (uint64, bool, error) {
			after, err := r.Start(ctx)
			return after, after > 0, err
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	messages, err := subscriber.Subscribe(ctx, messaging.All)
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for msg := range messages {
			err := r.Handle(msg)
			if err == nil {
				msg.Ack()
				continue
			}
			msg.Nack()
			if errors.Is(err, postgres.ErrNotOwner) {
				cancel()
			}
		}
	}()
	stop = func() {
		cancel()
		<-ended
		_ = subscriber.Close()
	}
	t.Cleanup(stop)
	return stop
}

// stored are all events in commit order.
func (w *world) stored(t *testing.T) []domain.Stored {
	t.Helper()
	var events []domain.Stored
	for event, err := range w.repo.Client.ReadAll(t.Context(), 0) {
		if err != nil {
			t.Fatal(err)
		}
		events = append(events, event)
	}
	return events
}

// expected are the ids of the public events of each account, in order.
func (w *world) expected(t *testing.T) map[string][]string {
	t.Helper()
	ids := map[string][]string{}
	for _, event := range w.stored(t) {
		if m, err := relayWithoutBrokers(t).encode(event); err != nil {
			t.Fatal(err)
		} else if m != nil {
			ids[keyOf("", m)] = append(ids[keyOf("", m)], m.UUID)
		}
	}
	return ids
}

// position is where the checkpoint stands.
func (w *world) position(t *testing.T) uint64 {
	t.Helper()
	var position int64
	if err := w.pool.QueryRow(t.Context(), `SELECT position FROM app.checkpoints WHERE name = $1`, CheckpointName).Scan(&position); err != nil {
		t.Fatal(err)
	}
	return uint64(position)
}

func (w *world) awaitPublished(t *testing.T) {
	t.Helper()
	events := w.stored(t)
	last := events[len(events)-1].Position
	testkit.Await(t, patience, "everything is published", func() bool { return w.position(t) == last })
}

// topicContent is what a topic holds.
type topicContent struct {
	first   map[string][]string // ids of each key, without those that came before
	records int
	text    string // of all records, with their headers
}

// read reads the topic from the start until it has the number of ids, and checks
// each record.
func (w *world) read(t *testing.T, k messaging.Kafka, ids int) topicContent {
	t.Helper()
	subscriber, err := messaging.NewKafkaSubscriber(messaging.KafkaSubscriberConfig{Kafka: k})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = subscriber.Close() }()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	records, err := subscriber.Subscribe(ctx, w.topic)
	if err != nil {
		t.Fatal(err)
	}
	content, text, seen := topicContent{first: map[string][]string{}}, strings.Builder{}, map[string]bool{}
	for len(seen) < ids {
		m, open := <-records
		if !open {
			t.Fatalf("only %d of %d events are in the topic", len(seen), ids)
		}
		record, _ := messaging.KafkaRecordFromContext(m.Context())
		var e struct{ ID, Subject, SpecVersion, Source string }
		if err := json.Unmarshal(m.Payload, &e); err != nil || e.ID != m.UUID || e.ID != m.Metadata["ce_id"] || e.Subject != string(record.Key) ||
			e.SpecVersion != "1.0" || e.Source != Source(store) || m.Metadata["content-type"] != contentType {
			t.Errorf("record %s of %s: %v %s", m.UUID, record.Key, err, m.Payload)
		}
		content.records++
		text.Write(m.Payload)
		for name, value := range m.Metadata {
			text.WriteString(name + value)
		}
		if !seen[e.ID] {
			content.first[e.Subject] = append(content.first[e.Subject], e.ID)
		}
		seen[e.ID] = true
		m.Ack()
	}
	content.text = text.String()
	return content
}

// check checks that the topic holds every public event, those of each account in
// order, and nothing else.
func (w *world) check(t *testing.T, k messaging.Kafka) topicContent {
	t.Helper()
	expected := w.expected(t)
	total := 0
	for _, ids := range expected {
		total += len(ids)
	}
	content := w.read(t, k, total)
	if diff := cmp.Diff(expected, content.first); diff != "" {
		t.Errorf("events by account (-stored +published):\n%s", diff)
	}
	if strings.Contains(content.text, canary) {
		t.Error("what was to stay inside is in the topic")
	}
	t.Logf("%d events in %d records", total, content.records)
	return content
}
