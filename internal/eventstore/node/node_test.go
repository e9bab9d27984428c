package node_test

import (
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"
	"github.com/google/uuid"

	"daybook/internal/eventstore/node"
	"daybook/internal/eventstore/node/nodetest"
)

func newEvent() esdb.EventData {
	return esdb.EventData{EventID: uuid.New(), EventType: "happened", Data: []byte("{}")}
}

func mustAppend(t *testing.T, c *esdb.Client, stream string, expected esdb.ExpectedRevision, events ...esdb.EventData) *esdb.WriteResult {
	t.Helper()
	r, err := c.AppendToStream(t.Context(), stream, esdb.AppendToStreamOptions{ExpectedRevision: expected}, events...)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// TestRepeatedAppendOverRestart: the promise on which repeating an append of unknown
// outcome rests.
func TestRepeatedAppendOverRestart(t *testing.T) {
	r := nodetest.Start(t, nodetest.OnDisk(t))
	before := r.Client(t)
	first, second := newEvent(), newEvent()
	wrote := mustAppend(t, before, "account-1", esdb.NoStream{}, first)
	after := mustAppend(t, before, "account-1", esdb.Revision(0), second)
	id := r.Node().StoreID()
	r.Restart(t)
	c := r.Client(t)
	if again := mustAppend(t, c, "account-1", esdb.NoStream{}, first); *again != *wrote {
		t.Errorf("first append repeated is answered %+v, was %+v", again, wrote)
	}
	if again := mustAppend(t, c, "account-1", esdb.Revision(0), second); *again != *after {
		t.Errorf("second append repeated is answered %+v, was %+v", again, after)
	}
	if again := mustAppend(t, c, "account-1", esdb.Any{}, second); *again != *after {
		t.Errorf("append repeated with Any is answered %+v, was %+v", again, after)
	}
	if next := mustAppend(t, c, "account-2", esdb.NoStream{}, newEvent()); next.CommitPosition != after.CommitPosition+1 {
		t.Errorf("first position after the restart is %d, want %d", next.CommitPosition, after.CommitPosition+1)
	}
	if r.Node().StoreID() != id {
		t.Errorf("store id changed from %v to %v", id, r.Node().StoreID())
	}
}

func TestSecondNodeOnTheSameFileIsRefused(t *testing.T) {
	path := filepath.Join(t.TempDir(), "events.db")
	first, err := node.Open(node.Config{Path: path})
	if err != nil {
		t.Fatal(err)
	}
	begun := time.Now()
	if _, err := node.Open(node.Config{Path: path}); !errors.Is(err, node.ErrInUse) {
		t.Errorf("second open: %v, want ErrInUse", err)
	}
	if took := time.Since(begun); took > 5*time.Second {
		t.Errorf("the refusal took %v", took)
	}
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	second, err := node.Open(node.Config{Path: path})
	if err != nil {
		t.Fatalf("open after close: %v", err)
	}
	if err := second.Close(); err != nil {
		t.Error(err)
	}
}

func TestOpenRefusesWrongConfiguration(t *testing.T) {
	for name, config := range map[string]node.Config{
		"append size too big":   {MaxAppendSize: 17 << 20},
		"append size negative":  {MaxAppendSize: -1},
		"address without port":  {AdvertisedAddress: "localhost"},
		"address without host":  {AdvertisedAddress: ":2113"},
		"port out of range":     {AdvertisedAddress: "localhost:70000"},
		"directory not there":   {Path: filepath.Join(t.TempDir(), "absent", "events.db")},
		"path is a directory":   {Path: t.TempDir()},
		"file is not a store":   {Path: textFile(t)},
		"file in a file's path": {Path: filepath.Join(textFile(t), "events.db")},
	} {
		n, err := node.Open(config)
		if err == nil {
			t.Errorf("%s: accepted", name)
			_ = n.Close()
		}
	}
}

func textFile(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "text")
	if err := os.WriteFile(path, []byte("not a store"), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// TestCloseEndsSubscriptions: a subscription that would go on for ever doesn't hold up a
// stop, nor does a client that sends no more.
func TestCloseEndsSubscriptions(t *testing.T) {
	r := nodetest.Start(t)
	sub, err := r.Client(t).SubscribeToAll(t.Context(), esdb.SubscribeToAllOptions{From: esdb.Start{}})
	if err != nil {
		t.Fatal(err)
	}
	for message := sub.Recv(); message.CaughtUp == nil; message = sub.Recv() {
		if message.SubscriptionDropped != nil {
			t.Fatal(message.SubscriptionDropped.Error)
		}
	}
	dropped := make(chan *esdb.SubscriptionEvent, 1)
	go func() { dropped <- sub.Recv() }()
	begun := time.Now()
	n := r.Node()
	r.Stop(t)
	// After 2 s the node would cut the call off.
	if took := time.Since(begun); took >= 2*time.Second {
		t.Errorf("stopping took %v", took)
	}
	if message := <-dropped; message.SubscriptionDropped == nil {
		t.Errorf("subscription went on with %+v", message)
	}
	if err := n.Close(); err != nil {
		t.Errorf("second Close: %v", err)
	}
}

func TestServeAfterClose(t *testing.T) {
	n, err := node.Open(node.Config{})
	if err != nil {
		t.Fatal(err)
	}
	if err := n.Close(); err != nil {
		t.Fatal(err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	if err := n.Serve(listener); err != nil {
		t.Errorf("Serve after Close: %v, want nil", err)
	}
	if c, err := net.Dial("tcp", listener.Addr().String()); err == nil {
		_ = c.Close()
		t.Error("the listener was left open")
	}
}

// TestDiscovery connects as to a cluster, by gossip.
func TestDiscovery(t *testing.T) {
	n, err := node.Open(node.Config{})
	if err != nil {
		t.Fatal(err)
	}
	defer n.Close()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- n.Serve(listener) }()
	config, err := esdb.ParseConnectionString("esdb+discover://" + listener.Addr().String() + "?tls=false")
	if err != nil {
		t.Fatal(err)
	}
	config.Logger = func(esdb.LogLevel, string, ...any) {}
	c, err := esdb.NewClient(config)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	mustAppend(t, c, "account-1", esdb.NoStream{}, newEvent())
	version, err := c.GetServerVersion()
	if err != nil || version.Major < 23 {
		t.Errorf("server version is %+v (%v), want 23 or later", version, err)
	}
	if err := errors.Join(n.Close(), <-served); err != nil {
		t.Error(err)
	}
}

// TestUsersAreThere: clients take an event of $users for the sign that a server is ready.
func TestUsersAreThere(t *testing.T) {
	r := nodetest.Start(t, nodetest.OnDisk(t))
	for range 2 {
		reading, err := r.Client(t).ReadStream(t.Context(), "$users", esdb.ReadStreamOptions{}, 10)
		if err != nil {
			t.Fatal(err)
		}
		first, err := reading.Recv()
		_, end := reading.Recv()
		reading.Close()
		if err != nil || first.Event.EventType != "$User" || first.Event.Position.Commit != 1 || !errors.Is(end, io.EOF) {
			t.Errorf("$users begins with %+v (%v) and goes on with %v, want one event", first, err, end)
		}
		r.Restart(t) // which adds none
	}
}

// TestMaxAgeFollowsTheClock: expiry needs no event, only time.
func TestMaxAgeFollowsTheClock(t *testing.T) {
	now := make(chan time.Time, 1)
	now <- time.Date(2024, 5, 1, 12, 0, 0, 0, time.UTC)
	clock := func() time.Time {
		current := <-now
		now <- current
		return current
	}
	r := nodetest.Start(t, nodetest.With(func(c *node.Config) { c.Now = clock }))
	c := r.Client(t)
	mustAppend(t, c, "s", esdb.NoStream{}, newEvent())
	var meta esdb.StreamMetadata
	meta.SetMaxAge(time.Hour)
	if _, err := c.SetStreamMetadata(t.Context(), "s", esdb.AppendToStreamOptions{}, meta); err != nil {
		t.Fatal(err)
	}
	for minutes, want := range map[int]bool{59: true, 60: true, 61: false} {
		<-now
		now <- time.Date(2024, 5, 1, 12, minutes, 0, 0, time.UTC)
		reading, err := c.ReadStream(t.Context(), "s", esdb.ReadStreamOptions{}, 1)
		if err != nil {
			t.Fatal(err)
		}
		_, err = reading.Recv()
		reading.Close()
		if shown := err == nil; shown != want {
			t.Errorf("after %d minutes the event is shown: %v, want %v", minutes, shown, want)
		}
	}
}
