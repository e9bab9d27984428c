package node_test

import (
	"context"
	"errors"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/uuid"

	"daybook/internal/eventstore"
	"daybook/internal/eventstore/node"
)

// TestFullDiskIsNoticed: a node that can't write answers reads as before, and our
// client can tell, without writing anything when the node is well.
func TestFullDiskIsNoticed(t *testing.T) {
	t.Parallel()
	dir, err := os.MkdirTemp("", "full") // a socket's path can have 107 bytes only
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	n, err := node.Open(node.Config{Path: filepath.Join(dir, "events.db")})
	if err != nil {
		t.Fatal(err)
	}
	listener, err := net.Listen("unix", filepath.Join(dir, "es.sock"))
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- n.Serve(listener) }()
	t.Cleanup(func() { _ = n.Close(); <-served }) // closing says what the disk said
	client, err := eventstore.NewClient(eventstore.Config{Socket: filepath.Join(dir, "es.sock")})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)

	event := eventstore.Proposed{ID: uuid.New(), Type: "happened", Data: []byte("{}"), Metadata: []byte("{}")}
	before, err := client.Append(t.Context(), "a", eventstore.Any, event)
	if err != nil {
		t.Fatal(err)
	}
	if err := client.Writable(t.Context()); err != nil {
		t.Fatal(err)
	}
	if tail, err := client.Tail(t.Context()); err != nil || tail != before.Position {
		t.Fatalf("the end is at %d, %v; it was at %d before it was asked for", tail, err, before.Position)
	}

	n.FillDisk(t)
	soon, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	event.ID = uuid.New()
	if _, err := client.Append(soon, "a", eventstore.Any, event); !errors.Is(err, eventstore.ErrUnavailable) {
		t.Fatalf("append to a full disk: %v", err)
	}
	soon, cancel = context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	if err := client.Writable(soon); !errors.Is(err, eventstore.ErrUnavailable) {
		t.Errorf("writable: %v", err)
	}
	if err := client.Ping(t.Context()); err != nil {
		t.Errorf("reads: %v", err)
	}
}
