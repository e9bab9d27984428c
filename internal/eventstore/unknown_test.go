package eventstore_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"

	"daybook/domain"
	"daybook/internal/eventstore"
	"daybook/internal/eventstore/node/nodetest"
)

// long tells whether long tests were asked for.
func long() bool { return os.Getenv("DAYBOOK_TEST_LONG") == "1" }

func cuts() int {
	if long() {
		return 1000
	}
	return 100
}

// TestCutBeforeCommit breaks the connection somewhere within the request.
func TestCutBeforeCommit(t *testing.T) {
	for name, expected := range expectations {
		t.Run(name, func(t *testing.T) {
			checkGoroutines(t)
			p := listenProxy(t, "tcp", "127.0.0.1:0", socket(nodetest.Start(t)))
			client := newClient(t, eventstore.Config{URL: p.url(), Backoff: time.Millisecond})
			var want []uuid.UUID
			for i := range cuts() {
				if err := client.Ping(t.Context()); err != nil {
					t.Fatal(err)
				}
				p.requestBytes.Store(rand.Int64N(400))
				events := proposed(1 + i%3)
				mustAppend(t, client, "account-1", expected(len(want)), events...)
				p.requestBytes.Store(-1)
				want = append(want, ids(events)...)
			}
			checkStream(t, client, want)
		})
	}
}

// TestCutAfterCommit lets the node commit, keeps the answer back and then
// breaks the connection.
func TestCutAfterCommit(t *testing.T) {
	for name, expected := range expectations {
		t.Run(name, func(t *testing.T) {
			checkGoroutines(t)
			running := nodetest.Start(t)
			p := listenProxy(t, "tcp", "127.0.0.1:0", socket(running))
			client := newClient(t, eventstore.Config{URL: p.url(), Backoff: time.Millisecond})
			direct := newClient(t, eventstore.Config{Socket: socket(running)})
			var want []uuid.UUID
			for i := range cuts() {
				if err := client.Ping(t.Context()); err != nil {
					t.Fatal(err)
				}
				p.deaf.Store(true)
				events := proposed(1 + i%3)
				done := appendLater(t, client, expected(len(want)), events)
				want = append(want, ids(events)...)
				await(t, "commit", func() bool {
					return len(collect(t, direct.ReadStream(t.Context(), "account-1", int64(len(want)-1)))) == 1
				})
				p.deaf.Store(false)
				p.cut()
				if got := <-done; got != int64(len(want)-1) {
					t.Fatalf("revision %d, want %d", got, len(want)-1)
				}
			}
			checkStream(t, direct, want)
		})
	}
}

// TestServerForgets: with Any the server knows a repeated append only while it
// remembers its ids. By the time of the repetition ours are forgotten, pushed
// out by those of others.
func TestServerForgets(t *testing.T) {
	running := nodetest.Start(t)
	p := startProxy(t, socket(running))
	client := newClient(t, eventstore.Config{Socket: p.socket, Backoff: time.Millisecond, AttemptTimeout: time.Minute, Timeout: time.Minute})
	direct := newClient(t, eventstore.Config{Socket: socket(running)})
	if err := client.Ping(t.Context()); err != nil {
		t.Fatal(err)
	}
	p.deaf.Store(true)
	events := proposed(3)
	done := appendLater(t, client, eventstore.Any, events)
	await(t, "commit", func() bool {
		return len(collect(t, direct.ReadStream(t.Context(), "account-1", 0))) == 3
	})
	mustAppend(t, direct, "account-1", eventstore.Any, proposed(50)...)
	for range 14 {
		mustAppend(t, direct, "account-2", eventstore.Any, proposed(5000)...)
	}
	p.deaf.Store(false)
	p.cut()
	if got := <-done; got != 2 {
		t.Errorf("revision %d, want 2", got)
	}
	if got := len(collect(t, direct.ReadStream(t.Context(), "account-1", 0))); got != 53 {
		t.Errorf("%d events, want 53", got)
	}
}

// appendLater appends in the background and sends the revision.
func appendLater(t *testing.T, client *eventstore.Client, expected int64, events []eventstore.Proposed) <-chan int64 {
	t.Helper()
	done := make(chan int64, 1)
	go func() {
		appended, err := client.Append(t.Context(), "account-1", expected, events...)
		if err != nil {
			t.Error(err)
		}
		done <- appended.Revision
	}()
	return done
}

// TestConflictAfterCut: the events of another must not pass for ours.
func TestConflictAfterCut(t *testing.T) {
	running := nodetest.Start(t)
	p := startProxy(t, socket(running))
	var looked atomic.Int64
	client := newClient(t, eventstore.Config{
		Socket: p.socket, Backoff: time.Millisecond,
		Observe: func(_ context.Context, o eventstore.Operation, _ time.Duration, _ error) {
			if o == eventstore.OpReadStream {
				looked.Add(1)
			}
		},
	})
	direct := newClient(t, eventstore.Config{Socket: socket(running)})
	for i := range cuts() / 5 {
		if err := client.Ping(t.Context()); err != nil {
			t.Fatal(err)
		}
		stream := fmt.Sprintf("account-%d", i)
		p.requestBytes.Store(100)
		mustAppend(t, direct, stream, domain.NoStream, proposed(2)...)
		_, err := client.Append(t.Context(), stream, domain.NoStream, proposed(1)...)
		want := eventstore.ConflictError{Stream: stream, Expected: domain.NoStream, Actual: 1}
		if got, ok := errors.AsType[*eventstore.ConflictError](err); !ok || *got != want {
			t.Fatalf("got %v, want %v", err, &want)
		}
	}
	if looked.Load() < int64(cuts()/5) {
		t.Errorf("only %d conflicts came after a cut", looked.Load())
	}
}

// expectations give the expected revision of a stream of so many events.
var expectations = map[string]func(count int) int64{
	"revision": func(count int) int64 { return int64(count) - 1 },
	"any":      func(int) int64 { return eventstore.Any },
}

func ids(events []eventstore.Proposed) []uuid.UUID {
	all := make([]uuid.UUID, len(events))
	for i, e := range events {
		all[i] = e.ID
	}
	return all
}

func checkStream(t *testing.T, client *eventstore.Client, want []uuid.UUID) {
	t.Helper()
	got := collect(t, client.ReadStream(t.Context(), "account-1", 0))
	if len(got) != len(want) {
		t.Fatalf("%d events in the stream, appended %d", len(got), len(want))
	}
	for i, e := range got {
		if e.ID != want[i] {
			t.Fatalf("event %d is another", i)
		}
	}
}
