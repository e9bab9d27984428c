package nodetest

import (
	"net"
	"os"
	"path/filepath"
	"testing"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"

	"daybook/internal/eventstore/node"
)

// Running is a node that serves on a socket.
type Running struct {
	config node.Config
	socket string
	node   *node.Node
	served chan error
}

// Option changes how a node is started.
type Option func(*node.Config)

// OnDisk has the node keep its events in a file in the test's directory, so that they
// survive Restart. Without it they are in memory and a Restart begins with none.
func OnDisk(tb testing.TB) Option {
	path := filepath.Join(tb.TempDir(), "events.db")
	return func(c *node.Config) { c.Path = path }
}

// With sets anything else of the configuration.
func With(change func(*node.Config)) Option { return change }

// Start starts a node, in memory unless told otherwise, and closes it when the test ends.
func Start(tb testing.TB, options ...Option) *Running {
	tb.Helper()
	r := &Running{socket: socketPath(tb)}
	for _, o := range options {
		o(&r.config)
	}
	r.start(tb)
	tb.Cleanup(func() { r.Stop(tb) })
	return r
}

// socketPath is not in tb.TempDir: that has the test's name in it, and a socket's path
// can have 107 bytes only.
func socketPath(tb testing.TB) string {
	tb.Helper()
	dir, err := os.MkdirTemp("", "node")
	if err != nil {
		tb.Fatalf("make a directory for the socket: %v", err)
	}
	tb.Cleanup(func() { _ = os.RemoveAll(dir) })
	return filepath.Join(dir, "es.sock")
}

func (r *Running) start(tb testing.TB) {
	tb.Helper()
	n, err := node.Open(r.config)
	if err != nil {
		tb.Fatalf("open node: %v", err)
	}
	var network net.ListenConfig
	listener, err := network.Listen(tb.Context(), "unix", r.socket)
	if err != nil {
		tb.Fatalf("listen: %v", err)
	}
	r.node, r.served = n, make(chan error, 1)
	go func() { r.served <- n.Serve(listener) }()
}

// Stop closes the node. A node that is stopped already is left alone.
func (r *Running) Stop(tb testing.TB) {
	tb.Helper()
	if r.node == nil {
		return
	}
	if err := r.node.Close(); err != nil {
		tb.Errorf("close node: %v", err)
	}
	if err := <-r.served; err != nil {
		tb.Errorf("serve: %v", err)
	}
	r.node = nil
}

// Restart closes the node, if it is running, and starts it anew on the same socket.
func (r *Running) Restart(tb testing.TB) {
	tb.Helper()
	r.Stop(tb)
	r.start(tb)
}

// Node returns the node that runs now.
func (r *Running) Node() *node.Node { return r.node }

// Address is the socket as gRPC takes it, "unix:" and its path.
func (r *Running) Address() string { return "unix:" + r.socket }

// ConnectionString returns what esdb.ParseConnectionString takes. The client knows no
// syntax for sockets: its Address must be set to Address afterwards, as Config does.
func (r *Running) ConnectionString() string {
	return "esdb://localhost:2113?tls=false&maxDiscoverAttempts=50&discoveryInterval=20"
}

// Config returns a client's configuration for the node, with logging off.
func (r *Running) Config(tb testing.TB) *esdb.Configuration {
	tb.Helper()
	config, err := esdb.ParseConnectionString(r.ConnectionString())
	if err != nil {
		tb.Fatalf("parse connection string: %v", err)
	}
	config.Address = r.Address()
	config.Logger = func(esdb.LogLevel, string, ...any) {}
	return config
}

// Client connects a client, which is closed when the test ends.
func (r *Running) Client(tb testing.TB) *esdb.Client {
	tb.Helper()
	client, err := esdb.NewClient(r.Config(tb))
	if err != nil {
		tb.Fatalf("connect: %v", err)
	}
	tb.Cleanup(func() { _ = client.Close() })
	return client
}
