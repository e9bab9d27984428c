package relay

import (
	"errors"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"

	"daybook/domain"
	"daybook/internal/messaging"
	"daybook/internal/postgres"
	"daybook/internal/testkit"
)

// TestBrokers runs against each kind of broker that there is.
func TestBrokers(t *testing.T) {
	t.Parallel()
	t.Run("embedded", func(t *testing.T) {
		records := publishes(t, startBroker(t).kafka(t))
		if records != 8*3*(3+3*3) {
			t.Errorf("%d records although nothing went wrong", records)
		}
	})
	t.Run("real", func(t *testing.T) {
		brokers := os.Getenv("DAYBOOK_TEST_KAFKA_BROKERS")
		if brokers == "" {
			t.Skip("DAYBOOK_TEST_KAFKA_BROKERS names no brokers such as h1:9092,h2:9092")
		}
		// Not each event once: a partition of the new topic may have no leader yet, and
		// then the whole batch is published again.
		publishes(t, messaging.Kafka{Brokers: strings.Split(brokers, ",")})
	})
}

// publishes has two relays one after the other publish all events, and returns how many
// records that made.
func publishes(t *testing.T, k messaging.Kafka) (records int) {
	w := newWorld(t, 8)
	w.live(t, 3)
	stop := w.run(t, w.relay(t, k))
	w.live(t, 3)
	w.awaitPublished(t)
	stop()
	w.run(t, w.relay(t, k)) // goes on where the other was
	w.live(t, 3)
	w.awaitPublished(t)
	return w.check(t, k).records
}

// TestBrokerAway: the broker is closed and opened again while accounts live on.
func TestBrokerAway(t *testing.T) {
	t.Parallel()
	w, b := newWorld(t, 8), startBroker(t)
	k := b.kafka(t)
	w.run(t, w.relay(t, k))
	w.live(t, 5)
	w.awaitPublished(t)
	for range 2 {
		lived := make(chan struct{})
		go func() {
			defer close(lived)
			w.live(t, 10)
		}()
		before := w.position(t)
		await(t, "some of it is published", func() bool { return w.position(t) > before })
		b.stop(t)
		<-lived // the event store took everything, whatever the relay does
		if events := w.stored(t); w.position(t) == events[len(events)-1].Position {
			t.Error("no event waits: the broker was not away")
		}
		b.start(t)
		w.awaitPublished(t)
	}
	w.check(t, k)
}

func await(t *testing.T, what string, condition func() bool) {
	t.Helper()
	testkit.Await(t, patience, what, condition)
}

// TestStartWithoutBroker: the first broker comes after the first event.
func TestStartWithoutBroker(t *testing.T) {
	t.Parallel()
	w, b := newWorld(t, 2), startBroker(t)
	k := b.kafka(t)
	b.stop(t)
	r := w.relay(t, k)
	w.run(t, r)
	w.live(t, 2)
	if err := w.relay(t, k).Publish(t.Context(), w.stored(t)); err == nil {
		t.Error("published without a broker")
	}
	if got := w.position(t); got != 0 {
		t.Errorf("the checkpoint moved to %d", got)
	}
	b.start(t)
	w.awaitPublished(t)
	w.check(t, k)
}

// TestFailingBroker: a broker that refuses some writes, and others after it has
// made them, while a long history is published.
func TestFailingBroker(t *testing.T) {
	t.Parallel()
	cluster, err := kfake.NewCluster(kfake.NumBrokers(1))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cluster.Close)
	w := newWorld(t, 8)
	w.live(t, 15)
	refused := 0
	produced := []kmsg.Key{kmsg.Produce}
	cluster.Fault(
		kfake.Fault{Keys: produced, Err: kerr.NotEnoughReplicas, Count: 12, When: func(kmsg.Request) bool { refused++; return refused%3 == 0 }},
		kfake.Fault{Keys: produced, Err: kerr.NotEnoughReplicasAfterAppend, Count: 5, When: func(kmsg.Request) bool { return refused%4 == 0 }},
		kfake.Fault{Keys: produced, Err: kerr.TopicAuthorizationFailed, Count: 5, When: func(kmsg.Request) bool { return refused%5 == 0 }},
	)
	k := messaging.Kafka{Brokers: cluster.ListenAddrs()}
	w.run(t, w.relay(t, k))
	w.awaitPublished(t)
	if content := w.check(t, k); content.records == 8*(3+15*3) {
		t.Error("nothing was published twice: no write failed half-way")
	}
}

// TestReplaced: processes take over from each other while accounts live on, and the
// old ones do not know yet.
func TestReplaced(t *testing.T) {
	t.Parallel()
	w, b := newWorld(t, 8), startBroker(t)
	k := b.kafka(t)
	lived := make(chan struct{})
	go func() {
		defer close(lived)
		w.live(t, 15)
	}()
	for range 6 {
		w.run(t, w.relay(t, k))
		from := w.position(t)
		await(t, "progress of the new one", func() bool { return w.position(t) > from || over(lived) })
	}
	<-lived
	w.awaitPublished(t)
	w.check(t, k)
}

func over(done <-chan struct{}) bool {
	select {
	case <-done:
		return true
	default:
		return false
	}
}

func TestCheckpoint(t *testing.T) {
	t.Parallel()
	pool, k := testkit.Database(t), startBroker(t).kafka(t)
	started := func(t *testing.T, w *world) *Relay {
		r := w.relay(t, k)
		if _, err := r.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		return r
	}

	t.Run("one that was replaced moves nothing", func(t *testing.T) {
		w := worldOver(t, pool, 1)
		w.live(t, 1)
		old := started(t, w)
		started(t, w)
		if err := old.Publish(t.Context(), w.stored(t)); !errors.Is(err, postgres.ErrNotOwner) {
			t.Errorf("%v, want ErrNotOwner", err)
		}
		if got := w.position(t); got != 0 {
			t.Errorf("the checkpoint moved to %d", got)
		}
	})

	t.Run("a move whose answer was lost is found again", func(t *testing.T) {
		w := worldOver(t, pool, 1)
		w.live(t, 1)
		r, events := started(t, w), w.stored(t)
		before := r.checkpoint
		if err := r.Publish(t.Context(), events[:3]); err != nil {
			t.Fatal(err)
		}
		r.checkpoint = before // as if it had never heard of the move
		if err := r.Publish(t.Context(), events); err != nil {
			t.Fatal(err)
		}
		if got, want := w.position(t), events[len(events)-1].Position; got != want {
			t.Errorf("the checkpoint is at %d, want %d", got, want)
		}
		w.check(t, k)
	})

	t.Run("what comes before an unreadable event is published", func(t *testing.T) {
		w := worldOver(t, pool, 1)
		w.live(t, 1)
		r, events := started(t, w), w.stored(t)
		broken := append([]domain.Stored{}, events...)
		broken[2].Data = []byte(`{"new":"shape"}`)
		for range 3 {
			if err := r.Publish(t.Context(), broken); !errors.Is(err, domain.ErrUnreadable) {
				t.Errorf("%v, want ErrUnreadable", err)
			}
		}
		if got, want := w.position(t), events[1].Position; got != want {
			t.Errorf("the checkpoint is at %d, want %d", got, want)
		}
		if err := r.Publish(t.Context(), events); err != nil {
			t.Fatal(err)
		}
		if content := w.check(t, k); content.records != 3+3 {
			t.Errorf("%d records", content.records)
		}
	})

	t.Run("there must be one", func(t *testing.T) {
		w := worldOver(t, pool, 0)
		if _, err := w.pool.Exec(t.Context(), `DELETE FROM app.checkpoints`); err != nil {
			t.Fatal(err)
		}
		if _, err := w.relay(t, k).Start(t.Context()); !errors.Is(err, postgres.ErrNoCheckpoint) {
			t.Errorf("%v, want ErrNoCheckpoint", err)
		}
	})
}

// TestClose: no broker that does not answer holds up the end of a process.
func TestClose(t *testing.T) {
	t.Parallel()
	w, b := newWorld(t, 1), startBroker(t)
	r := w.relay(t, b.kafka(t))
	stop := w.run(t, r)
	w.live(t, 1)
	w.awaitPublished(t)
	b.stop(t)
	w.live(t, 1)
	began := time.Now()
	stop()
	_ = r.Close()
	if took := time.Since(began); took > 3*time.Second {
		t.Errorf("it took %v", took)
	}
}

func TestConfig(t *testing.T) {
	good := Config{Kafka: messaging.Kafka{Brokers: []string{"h:1"}}, Topic: Topic("ns"), Source: Source(uuid.New())}
	if good.Topic != "ns.daybook.accounts.v1" || Topic("") != "daybook.accounts.v1" {
		t.Errorf("topics %s, %s", good.Topic, Topic(""))
	}
	if _, err := New(good, nil); err != nil {
		t.Error(err)
	}
	for name, spoil := range map[string]func(*Config){
		"no brokers":                      func(c *Config) { c.Kafka.Brokers = nil },
		"no topic":                        func(c *Config) { c.Topic = "" },
		"no source":                       func(c *Config) { c.Source = "" },
		"a topic that Kafka would refuse": func(c *Config) { c.Topic = Topic("a/b") },
	} {
		bad := good
		spoil(&bad)
		if _, err := New(bad, nil); err == nil {
			t.Errorf("%s was taken", name)
		}
	}
}
