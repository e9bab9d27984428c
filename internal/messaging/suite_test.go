package messaging_test

import (
	"context"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/ThreeDotsLabs/watermill/pubsub/tests"
	"github.com/google/uuid"

	"daybook/domain"
	"daybook/internal/eventstore"
	"daybook/internal/eventstore/node/nodetest"
	"daybook/internal/messaging"
)

// long runs Watermill's suite with all its messages.
func long() bool { return os.Getenv("DAYBOOK_TEST_LONG") != "" }

func newClient(t *testing.T, config eventstore.Config) *eventstore.Client {
	t.Helper()
	if config.Socket == "" && config.URL == "" {
		config.Socket = socket(nodetest.Start(t))
	}
	client, err := eventstore.NewClient(config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	return client
}

func socket(n *nodetest.Running) string { return strings.TrimPrefix(n.Address(), "unix:") }

func newSubscriber(t *testing.T, client *eventstore.Client, config messaging.SubscriberConfig) *messaging.Subscriber {
	t.Helper()
	config.NackBackoff, config.MaxNackBackoff = time.Millisecond, 20*time.Millisecond
	config.RetryBackoff = time.Millisecond
	if config.DrainTimeout == 0 {
		config.DrainTimeout = 100 * time.Millisecond
	}
	s, err := messaging.NewSubscriber(client, config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

// eachStore runs a test against the embedded node and, where
// DAYBOOK_TEST_EVENTSTORE_URL names one, against a real server, in a namespace of
// its own.
func eachStore(t *testing.T, test func(t *testing.T, client *eventstore.Client)) {
	t.Run("embedded", func(t *testing.T) { test(t, newClient(t, eventstore.Config{Namespace: "suite"})) })
	t.Run("real", func(t *testing.T) {
		url := os.Getenv("DAYBOOK_TEST_EVENTSTORE_URL")
		if url == "" {
			t.Skip("DAYBOOK_TEST_EVENTSTORE_URL names no EventStoreDB to test against")
		}
		test(t, newClient(t, eventstore.Config{URL: url, Namespace: "suite-" + uuid.NewString()}))
	})
}

// TestSuiteWithoutCheckpoint: every instance reads everything from the start.
func TestSuiteWithoutCheckpoint(t *testing.T) { eachStore(t, suiteWithoutCheckpoint) }

func suiteWithoutCheckpoint(t *testing.T, client *eventstore.Client) {
	features := tests.Features{
		GuaranteedOrder:                  true,
		Persistent:                       true,
		NewSubscriberReceivesOldMessages: true,
		ForceShort:                       !long(),
	}
	tests.TestPubSub(t, features, func(t *testing.T) (message.Publisher, message.Subscriber) {
		return messaging.NewPublisher(client, messaging.PublisherConfig{}),
			newSubscriber(t, client, messaging.SubscriberConfig{})
	}, nil)
}

// TestSuiteWithCheckpoint: instances of one group share a checkpoint, one is
// active and the others stand by.
func TestSuiteWithCheckpoint(t *testing.T) { eachStore(t, suiteWithCheckpoint) }

func suiteWithCheckpoint(t *testing.T, client *eventstore.Client) {
	features := tests.Features{
		ConsumerGroups:  true,
		GuaranteedOrder: true,
		Persistent:      true,
		ForceShort:      !long(),
	}
	checkpoints := &checkpoints{saved: map[string]uint64{}, leases: map[string]chan struct{}{}}
	inGroup := func(t *testing.T, group string) (message.Publisher, message.Subscriber) {
		return messaging.NewPublisher(client, messaging.PublisherConfig{}),
			newSubscriber(t, client, checkpoints.of(group))
	}
	tests.TestPubSub(t, features, func(t *testing.T) (message.Publisher, message.Subscriber) {
		return inGroup(t, t.Name())
	}, inGroup)
}

// TestSuiteInLanes: events of a key are in order, those of different keys side by
// side, with and without a checkpoint. A topic of the suite is one stream, so that
// the key, the payload, is what tells its messages apart.
func TestSuiteInLanes(t *testing.T) {
	t.Run("without checkpoint", func(t *testing.T) { eachStore(t, suiteInLanesWithoutCheckpoint) })
	t.Run("with checkpoint", func(t *testing.T) { eachStore(t, suiteInLanesWithCheckpoint) })
}

func inLanes(config messaging.SubscriberConfig) messaging.SubscriberConfig {
	config.Lanes, config.Window = 4, 64
	config.Key = func(event domain.Stored) string { return string(event.Data) }
	return config
}

func suiteInLanesWithoutCheckpoint(t *testing.T, client *eventstore.Client) {
	features := tests.Features{
		GuaranteedOrder: true, Persistent: true, NewSubscriberReceivesOldMessages: true, ForceShort: !long(),
	}
	tests.TestPubSub(t, features, func(t *testing.T) (message.Publisher, message.Subscriber) {
		return messaging.NewPublisher(client, messaging.PublisherConfig{}),
			newSubscriber(t, client, inLanes(messaging.SubscriberConfig{}))
	}, nil)
}

func suiteInLanesWithCheckpoint(t *testing.T, client *eventstore.Client) {
	features := tests.Features{ConsumerGroups: true, GuaranteedOrder: true, Persistent: true, ForceShort: !long()}
	checkpoints := &checkpoints{saved: map[string]uint64{}, leases: map[string]chan struct{}{}}
	inGroup := func(t *testing.T, group string) (message.Publisher, message.Subscriber) {
		return messaging.NewPublisher(client, messaging.PublisherConfig{}),
			newSubscriber(t, client, inLanes(checkpoints.of(group)))
	}
	tests.TestPubSub(t, features, func(t *testing.T) (message.Publisher, message.Subscriber) {
		return inGroup(t, t.Name())
	}, inGroup)
}

// checkpoints keeps checkpoints in memory, with a lease for each.
type checkpoints struct {
	mu     sync.Mutex
	saved  map[string]uint64
	leases map[string]chan struct{}
}

func (c *checkpoints) of(group string) messaging.SubscriberConfig {
	return messaging.SubscriberConfig{
		Start: func(ctx context.Context, topic string) (uint64, bool, error) {
			lease := c.lease(group + "/" + topic)
			select {
			case lease <- struct{}{}:
				context.AfterFunc(ctx, func() { <-lease })
			case <-ctx.Done():
				return 0, false, ctx.Err()
			}
			c.mu.Lock()
			defer c.mu.Unlock()
			position, found := c.saved[group+"/"+topic]
			return position, found, nil
		},
		Checkpoint: func(_ context.Context, topic string, position uint64) error {
			c.mu.Lock()
			defer c.mu.Unlock()
			c.saved[group+"/"+topic] = position
			return nil
		},
	}
}

func (c *checkpoints) lease(name string) chan struct{} {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.leases[name] == nil {
		c.leases[name] = make(chan struct{}, 1)
	}
	return c.leases[name]
}
