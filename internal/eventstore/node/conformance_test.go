package node_test

import (
	"os"
	"testing"
	"time"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"

	"daybook/internal/eventstore/conformance"
	"daybook/internal/eventstore/node"
	"daybook/internal/eventstore/node/nodetest"
)

func TestConformanceInMemory(t *testing.T) {
	t.Parallel()
	conformance.Test(t, nodetest.Start(t).Client)
}

func TestConformanceOnDisk(t *testing.T) {
	t.Parallel()
	conformance.Test(t, nodetest.Start(t, nodetest.OnDisk(t)).Client)
}

// TestConformanceWhileMoving has so small a log that events are always on their way from
// it into the file.
func TestConformanceWhileMoving(t *testing.T) {
	moving := nodetest.With(func(c *node.Config) { *c = c.WithLog(8<<10, time.Millisecond) })
	conformance.Test(t, nodetest.Start(t, nodetest.OnDisk(t), moving).Client)
}

// TestConformanceOfServer holds a real EventStoreDB to the same suite.
func TestConformanceOfServer(t *testing.T) {
	url := os.Getenv("DAYBOOK_TEST_EVENTSTORE_URL")
	if url == "" {
		t.Skip("DAYBOOK_TEST_EVENTSTORE_URL names no EventStoreDB to test against")
	}
	conformance.Test(t, func(tb testing.TB) *esdb.Client {
		config, err := esdb.ParseConnectionString(url)
		if err != nil {
			tb.Fatal(err)
		}
		config.Logger = func(esdb.LogLevel, string, ...any) {}
		client, err := esdb.NewClient(config)
		if err != nil {
			tb.Fatal(err)
		}
		tb.Cleanup(func() { _ = client.Close() })
		return client
	})
}
