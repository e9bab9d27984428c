package node_test

import (
	"net/url"
	"os"
	"testing"

	"daybook/internal/eventstore/conformance"
	"daybook/internal/eventstore/node"
	"daybook/internal/eventstore/node/nodetest"
)

// TestNodeJSClient holds the node to EventStoreDB's client for Node.js, which reads the
// wire in another way than the Go client.
func TestNodeJSClient(t *testing.T) {
	t.Parallel()
	config := node.Config{}
	nodetest.OnDisk(t)(&config)
	address, _ := serveTCP(t, config, "127.0.0.1:0")
	conformance.TestNodeClient(t, "esdb://"+address+"?tls=false")
}

// TestNodeJSClientPassword has it log in over TLS.
func TestNodeJSClientPassword(t *testing.T) {
	tlsConfig, _ := certificate(t)
	address, _ := serveTCP(t, node.Config{TLS: tlsConfig, Username: "daybook", Password: "secret"}, "127.0.0.1:0")
	target := url.URL{
		Scheme: "esdb", User: url.UserPassword("daybook", "secret"), Host: address,
		RawQuery: url.Values{"tls": {"true"}, "tlsCAFile": {certificateFile(t, tlsConfig)}}.Encode(),
	}
	conformance.TestNodeClientPassword(t, target.String())
}

// TestNodeJSClientOfServer holds a real EventStoreDB to the same.
func TestNodeJSClientOfServer(t *testing.T) {
	target := os.Getenv("DAYBOOK_TEST_EVENTSTORE_URL")
	if target == "" {
		t.Skip("DAYBOOK_TEST_EVENTSTORE_URL names no EventStoreDB to test against")
	}
	conformance.TestNodeClient(t, target)
}
