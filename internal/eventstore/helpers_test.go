package eventstore_test

import (
	"context"
	"fmt"
	"iter"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"daybook/domain"
	"daybook/internal/eventstore"
	"daybook/internal/eventstore/node/nodetest"
)

// patience is how long tests wait for what must happen.
const patience = 20 * time.Second

func socket(n *nodetest.Running) string { return strings.TrimPrefix(n.Address(), "unix:") }

func newClient(t *testing.T, config eventstore.Config) *eventstore.Client {
	t.Helper()
	client, err := eventstore.NewClient(config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	return client
}

func within(t *testing.T, d time.Duration) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), d)
	t.Cleanup(cancel)
	return ctx
}

// proposed returns n events with fresh ids.
func proposed(n int) []eventstore.Proposed {
	events := make([]eventstore.Proposed, n)
	for i := range events {
		events[i] = eventstore.Proposed{
			ID: uuid.New(), Type: "Noted",
			Data: fmt.Appendf(nil, `{"n":%d}`, i), Metadata: []byte(`{"schema":"1"}`),
		}
	}
	return events
}

func collect(t *testing.T, events iter.Seq2[domain.Stored, error]) []domain.Stored {
	t.Helper()
	var all []domain.Stored
	for e, err := range events {
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, e)
	}
	return all
}

func mustAppend(t *testing.T, c *eventstore.Client, stream string, expected int64, events ...eventstore.Proposed) eventstore.Appended {
	t.Helper()
	done, err := c.Append(within(t, patience), stream, expected, events...)
	if err != nil {
		t.Fatal(err)
	}
	return done
}

// await polls a condition until it holds.
func await(t *testing.T, what string, holds func() bool) {
	t.Helper()
	deadline, tick := time.After(patience), time.NewTicker(5*time.Millisecond)
	defer tick.Stop()
	for !holds() {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("never: %s", what)
		}
	}
}

// checkGoroutines fails the test when more goroutines stay than there were when
// it was called. Call it first: cleanups run in reverse.
func checkGoroutines(t *testing.T) {
	t.Helper()
	before := runtime.NumGoroutine()
	t.Cleanup(func() {
		deadline := time.Now().Add(5 * time.Second)
		for tick := time.NewTicker(10 * time.Millisecond); runtime.NumGoroutine() > before; <-tick.C {
			if time.Now().After(deadline) {
				stacks := make([]byte, 1<<20)
				t.Errorf("%d goroutines before, %d after\n%s", before, runtime.NumGoroutine(),
					stacks[:runtime.Stack(stacks, true)])
				return
			}
		}
	})
}
