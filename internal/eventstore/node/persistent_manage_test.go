package node_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/persistent"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"daybook/internal/eventstore/node/nodetest"
)

// TestGroupMadeAnewBeginsAnew: a checkpoint dies with its group.
func TestGroupMadeAnewBeginsAnew(t *testing.T) {
	c := nodetest.Start(t).Client(t)
	mustAppend(t, c, "s", esdb.NoStream{}, newEvent())
	for range 2 {
		createGroup(t, c, "s", defaults)
		w := connectGroup(t, c, "s", 1)
		w.ack(w.want(0, 0))
		awaitInfo(t, c, "s", "a checkpoint", func(i *esdb.PersistentSubscriptionInfo) bool {
			return i.Stats.LastCheckpointedEventRevision != nil
		})
		if err := c.DeletePersistentSubscription(t.Context(), "s", workers, esdb.DeletePersistentSubscriptionOptions{}); err != nil {
			t.Fatal(err)
		}
	}
}

func TestGroupRefusesSettings(t *testing.T) {
	c := nodetest.Start(t).Client(t)
	for name, change := range map[string]func(*esdb.PersistentSubscriptionSettings){
		"batch as large as the buffer": func(s *esdb.PersistentSubscriptionSettings) { s.ReadBatchSize = s.HistoryBufferSize },
		"negative retries":             func(s *esdb.PersistentSubscriptionSettings) { s.MaxRetryCount = -1 },
		"negative timeout":             func(s *esdb.PersistentSubscriptionSettings) { s.MessageTimeout = -1 },
	} {
		err := c.CreatePersistentSubscription(t.Context(), "s", workers, esdb.PersistentStreamSubscriptionOptions{
			Settings: settings(change), StartFrom: esdb.Start{},
		})
		if err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	err := c.CreatePersistentSubscriptionToAll(t.Context(), workers, esdb.PersistentAllSubscriptionOptions{
		Settings: settings(defaults), StartFrom: esdb.Position{Commit: 99, Prepare: 99},
	})
	if err == nil {
		t.Error("a start beyond the log was accepted")
	}
}

// TestGroupStrategies looks who gets what of two streams' events.
func TestGroupStrategies(t *testing.T) {
	for strategy, check := range map[esdb.ConsumerStrategy]func(a, b []string) bool{
		esdb.ConsumerStrategyRoundRobin:       func(a, b []string) bool { return len(a) == 10 && len(b) == 10 },
		esdb.ConsumerStrategyDispatchToSingle: func(a, b []string) bool { return len(a) == 20 && len(b) == 0 },
		esdb.ConsumerStrategyPinned: func(a, b []string) bool {
			both := slices.ContainsFunc(a, func(s string) bool { return slices.Contains(b, s) })
			return !both && len(a)+len(b) == 20 && len(a) > 0 && len(b) > 0
		},
	} {
		t.Run(string(strategy), func(t *testing.T) {
			c := nodetest.Start(t).Client(t)
			err := c.CreatePersistentSubscriptionToAll(t.Context(), workers, esdb.PersistentAllSubscriptionOptions{
				Settings:  settings(func(s *esdb.PersistentSubscriptionSettings) { s.ConsumerStrategyName = strategy }),
				StartFrom: esdb.Start{},
				Filter:    &esdb.SubscriptionFilter{Type: esdb.StreamFilterType, Prefixes: []string{"s"}},
			})
			if err != nil {
				t.Fatal(err)
			}
			var consumers [2]*worker
			for i := range consumers {
				sub, err := c.SubscribeToPersistentSubscriptionToAll(t.Context(), workers, esdb.SubscribeToPersistentSubscriptionOptions{BufferSize: 50})
				consumers[i] = startWorker(t, sub, err)
			}
			for i := range 20 {
				mustAppend(t, c, fmt.Sprintf("s%d", i%10), esdb.Any{}, newEvent())
			}
			var got [2][]string
			for range 20 {
				select {
				case e := <-consumers[0].events:
					got[0] = append(got[0], e.Event.OriginalEvent().StreamID)
				case e := <-consumers[1].events:
					got[1] = append(got[1], e.Event.OriginalEvent().StreamID)
				case <-time.After(10 * time.Second):
					t.Fatalf("only %d and %d events came", len(got[0]), len(got[1]))
				}
			}
			if !check(got[0], got[1]) {
				t.Errorf("one consumer got %v, the other %v", got[0], got[1])
			}
		})
	}
}

// TestGroupByFormerFields creates a group as the Node client does.
func TestGroupByFormerFields(t *testing.T) {
	r := nodetest.Start(t)
	c := r.Client(t)
	mustAppend(t, c, "s", esdb.NoStream{}, newEvent(), newEvent())
	conn, err := grpc.NewClient(r.Address(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	request := &persistent.CreateReq{Options: &persistent.CreateReq_Options{
		StreamIdentifier: identifier("s"), //nolint:staticcheck // deprecated is what it is about
		GroupName:        workers,
		Settings: &persistent.CreateReq_Settings{
			Revision:      1, //nolint:staticcheck // deprecated is what it is about
			ReadBatchSize: 10, HistoryBufferSize: 20, MaxCheckpointCount: 1,
			MessageTimeout: &persistent.CreateReq_Settings_MessageTimeoutTicks{MessageTimeoutTicks: 600_000_000},
		},
	}}
	if _, err := persistent.NewPersistentSubscriptionsClient(conn).Create(t.Context(), request); err != nil {
		t.Fatal(err)
	}
	info, err := c.GetPersistentSubscriptionInfo(t.Context(), "s", workers, esdb.GetPersistentSubscriptionOptions{})
	if err != nil || info.Settings.MessageTimeout != 60_000 {
		t.Errorf("group is %+v (%v), want a timeout of a minute", info, err)
	}
	connectGroup(t, c, "s", 1).want(1, 0)
}
