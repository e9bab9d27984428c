package eventstore_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"daybook/domain"
	"daybook/internal/eventstore"
	"daybook/internal/eventstore/node/nodetest"
)

// TestRestartsUnderLoad restarts the node in order while many append, read and follow.
func TestRestartsUnderLoad(t *testing.T) {
	checkGoroutines(t)
	running := nodetest.Start(t, nodetest.OnDisk(t))
	client := newClient(t, eventstore.Config{Socket: socket(running)})
	load := startLoad(t, client, 8)
	for range 5 {
		load.await(t, 50)
		running.Restart(t)
	}
	load.stop()
	load.check(t, client)
}

// TestKillsUnderLoad kills the process of the node and starts it again, at any moment of
// what 32 writers and a subscriber do.
func TestKillsUnderLoad(t *testing.T) {
	kills := 8
	if long() {
		kills = 50
	}
	checkGoroutines(t)
	process := nodetest.NewProcess(t)
	process.Start(t)
	client := newClient(t, eventstore.Config{Socket: process.Socket})
	load := startLoad(t, client, 32)
	for range kills {
		load.await(t, rand.Int64N(100))
		process.Kill(t)
		process.Start(t)
	}
	load.await(t, 50)
	load.stop()
	load.check(t, client)
}

// TestReadGoesOnAfterCuts cuts the connection in the middle of a long read.
func TestReadGoesOnAfterCuts(t *testing.T) {
	checkGoroutines(t)
	running := nodetest.Start(t)
	p := startProxy(t, socket(running))
	client := newClient(t, eventstore.Config{Socket: p.socket, Backoff: time.Millisecond})
	const count = 3000
	for i := range count / 500 {
		mustAppend(t, client, "account-1", int64(i*500)-1, proposed(500)...)
	}
	next := int64(0)
	for e, err := range client.ReadStream(t.Context(), "account-1", 0) {
		if err != nil {
			t.Fatal(err)
		}
		if e.Revision != next {
			t.Fatalf("revision %d, want %d", e.Revision, next)
		}
		if next++; next%500 == 0 {
			p.cut()
		}
	}
	if next != count {
		t.Errorf("read %d events of %d", next, count)
	}
	all := 0
	for _, err := range client.ReadAll(t.Context(), 0) {
		if err != nil {
			t.Fatal(err)
		}
		if all++; all%500 == 0 {
			p.cut()
		}
	}
	if all != count {
		t.Errorf("read all: %d events of %d", all, count)
	}
}

// TestSubscriptionEndsWithConnection: the subscriber must learn of it and can
// go on behind its last position.
func TestSubscriptionEndsWithConnection(t *testing.T) {
	checkGoroutines(t)
	p := startProxy(t, socket(nodetest.Start(t)))
	client := newClient(t, eventstore.Config{Socket: p.socket})
	first := mustAppend(t, client, "account-1", domain.NoStream, proposed(1)...)
	s, err := client.Subscribe(t.Context(), 0)
	if err != nil {
		t.Fatal(err)
	}
	take(t, s, 1)
	p.cut()
	for err = nil; err == nil; {
		_, err = s.Next(within(t, patience))
	}
	second := mustAppend(t, client, "account-1", first.Revision, proposed(1)...)
	if s, err = client.Subscribe(t.Context(), first.Position); err != nil {
		t.Fatal(err)
	}
	if got := take(t, s, 1); got[0].Position != second.Position {
		t.Errorf("resumed at %d, want %d", got[0].Position, second.Position)
	}
}

// TestNoServer: nobody listens, or someone listens and never answers.
func TestNoServer(t *testing.T) {
	silent := silentSocket(t)
	for name, path := range map[string]string{"absent": silent + ".absent", "silent": silent} {
		t.Run(name, func(t *testing.T) {
			client := newClient(t, eventstore.Config{Socket: path, AttemptTimeout: 100 * time.Millisecond, Timeout: 300 * time.Millisecond})
			calls := map[string]func(context.Context) error{
				"append": func(ctx context.Context) error {
					_, err := client.Append(ctx, "account-1", domain.NoStream, proposed(1)...)
					return err
				},
				"read": func(ctx context.Context) error {
					for _, err := range client.ReadStream(ctx, "account-1", 0) {
						return err
					}
					return nil
				},
				"subscribe": func(ctx context.Context) error {
					_, err := client.Subscribe(ctx, 0)
					return err
				},
				"subscribe to a stream": func(ctx context.Context) error {
					_, err := client.SubscribeStream(ctx, "account-1", 0)
					return err
				},
				"read backwards": func(ctx context.Context) error {
					for _, err := range client.ReadStreamBackwards(ctx, "account-1", 1) {
						return err
					}
					return nil
				},
				"read all": func(ctx context.Context) error {
					for _, err := range client.ReadAll(ctx, 0) {
						return err
					}
					return nil
				},
				"metadata": func(ctx context.Context) error { return client.SetMaxAge(ctx, "access-1", time.Hour) },
				"ping":     client.Ping,
			}
			var work sync.WaitGroup
			for name, call := range calls {
				work.Go(func() {
					ctx := within(t, 200*time.Millisecond)
					once := strings.HasPrefix(name, "subscribe")
					checkUnavailable(t, name+" with a deadline", call(ctx), once)
					checkUnavailable(t, name+" without", call(context.Background()), once)
					ctx, cancel := context.WithCancel(t.Context())
					cancel()
					if err := call(ctx); !errors.Is(err, context.Canceled) {
						t.Errorf("%s cancelled: %v", name, err)
					}
				})
			}
			work.Wait()
		})
	}
}

// TestServerFallsSilent: the connection stands, but nothing comes any more.
func TestServerFallsSilent(t *testing.T) {
	p := startProxy(t, socket(nodetest.Start(t)))
	client := newClient(t, eventstore.Config{Socket: p.socket, AttemptTimeout: 100 * time.Millisecond, Timeout: 300 * time.Millisecond})
	if err := client.Ping(t.Context()); err != nil {
		t.Fatal(err)
	}
	p.deaf.Store(true)
	start := time.Now()
	for _, err := range client.ReadStream(context.Background(), "account-1", 0) {
		checkUnavailable(t, "read", err, false)
	}
	if took := time.Since(start); took > 5*time.Second {
		t.Errorf("gave up after %s", took)
	}
	p.deaf.Store(false)
	p.cut()
	if err := client.Ping(within(t, patience)); err != nil {
		t.Errorf("after the silence: %v", err)
	}
}

func checkUnavailable(t *testing.T, what string, err error, once bool) {
	t.Helper()
	if err == nil || !once && !errors.Is(err, eventstore.ErrUnavailable) {
		t.Errorf("%s: %v", what, err)
	}
}

// silentSocket accepts connections and says nothing.
func silentSocket(t *testing.T) string {
	t.Helper()
	p := startProxy(t, "")
	path := p.socket + ".silent"
	listener, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			defer conn.Close()
		}
	}()
	t.Cleanup(func() { _ = listener.Close(); <-done })
	return path
}

// TestServerThatComesLater: a client that was there first finds it, and
// everybody who waits is served.
func TestServerThatComesLater(t *testing.T) {
	checkGoroutines(t)
	running := nodetest.Start(t, nodetest.OnDisk(t))
	running.Stop(t)
	client := newClient(t, eventstore.Config{Socket: socket(running)})
	var work sync.WaitGroup
	for i := range 20 {
		work.Go(func() {
			if _, err := client.Append(within(t, patience), fmt.Sprintf("account-%d", i), domain.NoStream, proposed(1)...); err != nil {
				t.Error(err)
			}
		})
	}
	if err := client.Ping(within(t, 300*time.Millisecond)); !errors.Is(err, eventstore.ErrUnavailable) {
		t.Errorf("ping without a server: %v", err)
	}
	running.Restart(t)
	work.Wait()
}

// TestCloseDuringCalls closes the client in the middle of calls, over a connection that
// breaks at the same time: that is when the official client panics.
func TestCloseDuringCalls(t *testing.T) {
	if raceDetector {
		// After a failed Send the official client (v4.2.0, esdb/client.go:84) reads the
		// trailers, which gRPC still sets while a call is being cancelled.
		t.Skip("calls that are cancelled while they send are a race in the official client")
	}
	checkGoroutines(t)
	p := startProxy(t, socket(nodetest.Start(t)))
	for i := range cuts() / 2 {
		client := newClient(t, eventstore.Config{Socket: p.socket, Backoff: time.Millisecond})
		var work sync.WaitGroup
		for w := range 8 {
			work.Go(func() {
				for {
					if err := someCall(client, w); errors.Is(err, eventstore.ErrClosed) {
						return
					} else if err != nil && strings.Contains(err.Error(), "panic") {
						t.Error(err)
					}
				}
			})
		}
		p.requestBytes.Store(rand.Int64N(5000))
		if i%2 == 0 {
			await(t, "the cut", func() bool { return p.requestBytes.Load() < 0 })
		} else if err := client.Ping(within(t, patience)); err != nil {
			t.Error(err)
		}
		client.Close()
		work.Wait()
	}
}

// someCall makes one of the kinds of calls.
func someCall(client *eventstore.Client, which int) error {
	ctx := context.Background()
	switch which % 4 {
	case 0:
		_, err := client.Append(ctx, "account-1", eventstore.Any, proposed(1)...)
		return err
	case 1:
		for _, err := range client.ReadStreamBackwards(ctx, "account-1", 5) {
			if err != nil {
				return err
			}
		}
		return nil
	case 2:
		s, err := client.Subscribe(ctx, 0)
		for range 3 {
			if err == nil {
				_, err = s.Next(ctx)
			}
		}
		if s != nil {
			s.Close()
		}
		return err
	}
	return client.Ping(ctx)
}
