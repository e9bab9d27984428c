package eventstore_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"daybook/domain"
	"daybook/internal/eventstore"
	"daybook/internal/eventstore/node/nodetest"
)

// cluster is two addresses of one store. At one of them is the leader; the other
// answers every call as a follower does, with the leader's address.
type cluster struct {
	store     string
	members   [2]*proxy
	followers [2]string
	// referred counts the calls that a follower answered.
	referred atomic.Int64
}

func startCluster(t *testing.T, store string) *cluster {
	t.Helper()
	c := &cluster{store: store}
	for i := range c.members {
		c.members[i] = listenProxy(t, "tcp", "127.0.0.1:0", store)
	}
	for i := range c.followers {
		c.followers[i] = c.startFollower(t, c.members[1-i].listener.Addr().(*net.TCPAddr))
	}
	c.elect(0)
	return c
}

// elect makes a member the leader. The other's connections break.
func (c *cluster) elect(leader int) {
	c.members[leader].lead(c.store)
	c.members[1-leader].lead(c.followers[1-leader])
}

func (c *cluster) url(member int) string { return c.members[member].url() }

// startFollower serves what a follower says. Where EventStoreDB's clients ask for the
// server's features they take "unimplemented" for an old server.
func (c *cluster) startFollower(t *testing.T, leader *net.TCPAddr) string {
	t.Helper()
	server := grpc.NewServer(grpc.UnknownServiceHandler(func(_ any, stream grpc.ServerStream) error {
		if method, _ := grpc.MethodFromServerStream(stream); method == "/event_store.client.server_features.ServerFeatures/GetSupportedMethods" {
			return status.Error(codes.Unimplemented, "an old server")
		}
		c.referred.Add(1)
		stream.SetTrailer(metadata.Pairs("exception", "not-leader",
			"leader-endpoint-host", leader.IP.String(), "leader-endpoint-port", fmt.Sprint(leader.Port)))
		return status.Error(codes.NotFound, "Leader info available")
	}))
	socket := filepath.Join(filepath.Dir(startProxy(t, "").socket), "f.sock")
	listener, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	t.Cleanup(func() { server.Stop(); <-served })
	return socket
}

// TestNotLeader has a client that knows only the follower.
func TestNotLeader(t *testing.T) {
	checkGoroutines(t)
	c := startCluster(t, socket(nodetest.Start(t)))
	mustAppend(t, newClient(t, eventstore.Config{URL: c.url(0)}), "account-1", eventstore.Any, proposed(1)...)
	for name, call := range map[string]func(context.Context, *eventstore.Client) error{
		"append": func(ctx context.Context, client *eventstore.Client) error {
			_, err := client.Append(ctx, "account-new", domain.NoStream, proposed(2)...)
			return err
		},
		"read": func(ctx context.Context, client *eventstore.Client) error {
			for _, err := range client.ReadStream(ctx, "account-1", 0) {
				return err
			}
			return fmt.Errorf("no events")
		},
		"tail": func(ctx context.Context, client *eventstore.Client) error { _, err := client.Tail(ctx); return err },
		"metadata": func(ctx context.Context, client *eventstore.Client) error {
			return client.SetMaxAge(ctx, "access-1", time.Hour)
		},
	} {
		before := c.referred.Load()
		client := newClient(t, eventstore.Config{URL: c.url(1), Backoff: time.Millisecond})
		if err := call(within(t, patience), client); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if c.referred.Load() == before {
			t.Errorf("%s: the follower was not asked", name)
		}
	}
}

// elections is how often the leader changes.
func elections() int {
	if long() {
		return 200
	}
	return 30
}

// TestElections changes the leader under load: nothing is lost, doubled or refused, and
// subscribers go on behind what they had.
func TestElections(t *testing.T) {
	checkGoroutines(t)
	c := startCluster(t, socket(nodetest.Start(t)))
	client := newClient(t, eventstore.Config{URL: c.url(0), Backoff: time.Millisecond})
	load := startLoad(t, client, 8)
	for i := range elections() {
		load.await(t, 20)
		c.elect(1 - i%2)
	}
	load.await(t, 20)
	load.stop()
	load.check(t, client)
	if c.referred.Load() == 0 {
		t.Error("no follower was ever asked")
	}
}

// load is writers that append one event after another to streams of their own, and a
// subscriber who follows them all.
type load struct {
	stopped  atomic.Bool
	appended atomic.Int64
	work     sync.WaitGroup
	written  [][]uuid.UUID
	seen     chan uuid.UUID
}

// startLoad starts them on a client that keeps to its store.
func startLoad(t *testing.T, client *eventstore.Client, writers int) *load {
	t.Helper()
	client.Expect(identify(t, client).StoreID)
	l := &load{written: make([][]uuid.UUID, writers), seen: make(chan uuid.UUID, 1<<20)}
	for w := range writers {
		l.work.Go(func() {
			stream := fmt.Sprintf("account-%d", w)
			for !l.stopped.Load() && !t.Failed() {
				event := proposed(1)
				if _, err := client.Append(within(t, patience), stream, int64(len(l.written[w]))-1, event...); err != nil {
					t.Error(err)
					return
				}
				l.written[w] = append(l.written[w], event[0].ID)
				l.appended.Add(1)
				for _, err := range client.ReadStreamBackwards(within(t, patience), stream, 1) {
					if err != nil {
						t.Error(err)
					}
				}
			}
		})
	}
	ctx, cancel := context.WithCancel(t.Context())
	var following sync.WaitGroup
	following.Go(func() { l.follow(ctx, client) })
	t.Cleanup(func() { l.stop(); cancel(); following.Wait() })
	return l
}

// follow subscribes again, behind the last position, as often as it takes.
func (l *load) follow(ctx context.Context, client *eventstore.Client) {
	var last uint64
	for ctx.Err() == nil {
		s, err := client.Subscribe(ctx, last, "account-")
		for err == nil {
			var item eventstore.Item
			if item, err = s.Next(ctx); err == nil && item.Event != nil {
				last = item.Event.Position
				l.seen <- item.Event.ID
			}
		}
	}
}

// await waits for some appends.
func (l *load) await(t *testing.T, count int64) {
	t.Helper()
	goal := l.appended.Load() + count
	await(t, "appends", func() bool { return l.appended.Load() >= goal || t.Failed() })
}

func (l *load) stop() {
	l.stopped.Store(true)
	l.work.Wait()
}

// check compares what is in the store, and what the subscriber saw, with what was
// appended.
func (l *load) check(t *testing.T, client *eventstore.Client) {
	t.Helper()
	total := 0
	for w, want := range l.written {
		total += len(want)
		got := collect(t, client.ReadStream(t.Context(), fmt.Sprintf("account-%d", w), 0))
		for i := range max(len(got), len(want)) {
			if i >= len(got) || i >= len(want) || got[i].ID != want[i] {
				t.Fatalf("stream %d: %d events, appended %d, differing from %d on", w, len(got), len(want), i)
			}
		}
	}
	seen := map[uuid.UUID]bool{}
	await(t, "the subscriber to see all", func() bool {
		for len(l.seen) > 0 {
			id := <-l.seen
			if seen[id] {
				t.Fatalf("event %s came twice", id)
			}
			seen[id] = true
		}
		return len(seen) == total
	})
	t.Logf("%d events", total)
}

// TestLeaderAway: the follower names a leader that is away, until it becomes the leader.
// Goroutines are not counted: see connection.
func TestLeaderAway(t *testing.T) {
	c := startCluster(t, socket(nodetest.Start(t)))
	c.members[0].lead(c.store + ".none")
	client := newClient(t, eventstore.Config{URL: c.url(1), Backoff: time.Millisecond})
	var work sync.WaitGroup
	for i := range 5 {
		work.Go(func() { mustAppend(t, client, fmt.Sprintf("account-%d", i), domain.NoStream, proposed(1)...) })
	}
	await(t, "references to the leader", func() bool { return c.referred.Load() > 10 })
	if err := client.Ping(within(t, 50*time.Millisecond)); !errors.Is(err, eventstore.ErrUnavailable) {
		t.Errorf("without a leader: %v", err)
	}
	c.elect(1)
	work.Wait()
}
