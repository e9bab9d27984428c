package eventstore_test

import (
	"context"
	"errors"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"daybook/domain"
	"daybook/internal/eventstore"
	"daybook/internal/eventstore/node"
	"daybook/internal/eventstore/node/nodetest"
)

// settled is a client that keeps to a store, which has one event of account-1, behind a
// proxy.
type settled struct {
	*eventstore.Client
	proxy    *proxy
	store    *nodetest.Running
	identity eventstore.Identity
	last     eventstore.Appended

	mu    sync.Mutex
	count map[eventstore.Operation]int
}

func settle(t *testing.T) *settled {
	t.Helper()
	s := &settled{store: nodetest.Start(t), count: map[eventstore.Operation]int{}}
	s.proxy = startProxy(t, socket(s.store))
	s.Client = newClient(t, eventstore.Config{
		Socket: s.proxy.socket, Backoff: time.Millisecond,
		Observe: func(_ context.Context, o eventstore.Operation, _ time.Duration, _ error) {
			s.mu.Lock()
			defer s.mu.Unlock()
			s.count[o]++
		},
	})
	s.identity = identify(t, s.Client)
	s.Expect(s.identity.StoreID)
	s.last = mustAppend(t, s.Client, "account-1", domain.NoStream, proposed(1)...)
	return s
}

func identify(t *testing.T, c *eventstore.Client) eventstore.Identity {
	t.Helper()
	r := eventstore.Repository{Client: c}
	identity, err := r.Identify(within(t, patience), "", prints(), "test")
	if err != nil {
		t.Fatal(err)
	}
	return identity
}

func (s *settled) verifications() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.count[eventstore.OpVerify]
}

// calls are one of each kind, which all must be refused.
func (s *settled) calls() map[string]func(context.Context) error {
	return map[string]func(context.Context) error{
		"append": func(ctx context.Context) error {
			_, err := s.Append(ctx, "account-2", domain.NoStream, proposed(1)...)
			return err
		},
		"read": func(ctx context.Context) error {
			for _, err := range s.ReadStream(ctx, "account-1", 0) {
				return err
			}
			return nil
		},
		"read all": func(ctx context.Context) error {
			for _, err := range s.ReadAll(ctx, 0) {
				return err
			}
			return nil
		},
		"subscribe": func(ctx context.Context) error {
			_, err := s.Subscribe(ctx, s.last.Position)
			return err
		},
		"subscribe to a stream": func(ctx context.Context) error {
			_, err := s.SubscribeStream(ctx, "account-1", 0)
			return err
		},
		"ping": s.Ping,
	}
}

// refused repeats a call, which must never succeed, until it fails for the reason: one
// that is tried once may hit upon the connection just as that breaks.
func refused(t *testing.T, name string, call func(context.Context) error, reason func(error) bool) {
	t.Helper()
	await(t, name+" to be refused for its reason", func() bool {
		err := call(within(t, 300*time.Millisecond))
		if err == nil {
			t.Fatalf("%s: no error", name)
		}
		return reason(err)
	})
}

// TestExchangedStore: behind the address there is suddenly another store. Whatever a
// consumer or a command does, it is refused, until the right one is back.
func TestExchangedStore(t *testing.T) {
	other := nodetest.Start(t)
	theirs := newClient(t, eventstore.Config{Socket: socket(other)})
	identify(t, theirs)
	mustAppend(t, theirs, "account-1", domain.NoStream, proposed(10)...)
	wiped := nodetest.Start(t)
	for name, instead := range map[string]*nodetest.Running{"another": other, "an empty one": wiped} {
		t.Run(name, func(t *testing.T) {
			s := settle(t)
			follower, err := s.Subscribe(t.Context(), 0)
			if err != nil {
				t.Fatal(err)
			}
			take(t, follower, 2) // all that its own store has
			s.proxy.lead(socket(instead))
			for err = nil; err == nil; { // it ends with the connection, and has nothing of the other's
				var item eventstore.Item
				if item, err = follower.Next(within(t, patience)); item.Event != nil {
					t.Errorf("the other store's %+v came", item.Event)
				}
			}
			for name, call := range s.calls() {
				refused(t, name, call, func(err error) bool {
					return errors.Is(err, eventstore.ErrOtherStore) && strings.Contains(err.Error(), "docs/runbook.md")
				})
			}
			s.proxy.lead(socket(s.store))
			if got := collect(t, s.ReadStream(within(t, patience), "account-1", 0)); len(got) != 1 {
				t.Errorf("back at the store there are %d events", len(got))
			}
		})
	}
	if got := collect(t, theirs.ReadStream(within(t, patience), "account-2", 0)); len(got) != 0 {
		t.Errorf("%d events were written to the other store", len(got))
	}
}

// TestOlderStore: the store is restored from a copy that lacks what was seen already.
func TestOlderStore(t *testing.T) {
	s := settle(t)
	path := filepath.Join(t.TempDir(), "backup.db")
	if err := s.store.Node().Backup(path); err != nil {
		t.Fatal(err)
	}
	mustAppend(t, s.Client, "account-1", 0, proposed(1)...)
	older := nodetest.Start(t, nodetest.With(func(c *node.Config) { c.Path = path }))
	s.proxy.lead(socket(older))
	if err := s.Ping(within(t, 300*time.Millisecond)); !errors.Is(err, eventstore.ErrUnavailable) {
		t.Errorf("ping: %v", err) // before it nobody knows that the connection broke
	}
	for name, call := range s.calls() {
		refused(t, name, call, func(err error) bool { return strings.Contains(err.Error(), "older copy") })
	}
	s.proxy.lead(socket(s.store))
	mustAppend(t, s.Client, "account-1", 1, proposed(1)...)
}

// TestCopyIsAnotherStore: a copy has the same events at the same revisions, and says at
// its end that it is one.
func TestCopyIsAnotherStore(t *testing.T) {
	s := settle(t)
	for range 2 { // the second time, where the identity stands is known
		if err := s.Ping(within(t, patience)); err != nil {
			t.Fatal(err)
		}
	}
	target := nodetest.Start(t)
	if _, err := copyStores(within(t, patience), s.Client, newClient(t, eventstore.Config{Socket: socket(target)})); err != nil {
		t.Fatal(err)
	}
	s.proxy.lead(socket(target))
	refused(t, "ping", s.Ping, func(err error) bool { return errors.Is(err, eventstore.ErrOtherStore) })
	s.proxy.lead(socket(s.store))
	await(t, "the store itself", func() bool { return s.Ping(within(t, patience)) == nil })
}

// TestVerifiedOnce: the store is asked once for each connection, whoever waits, and not
// at all for the one over which it was identified.
func TestVerifiedOnce(t *testing.T) {
	checkGoroutines(t)
	s := settle(t)
	if got := s.verifications(); got != 0 {
		t.Errorf("asked %d times over the connection of before", got)
	}
	s.proxy.cut()
	if err := s.Ping(within(t, patience)); err != nil {
		t.Fatal(err)
	}
	var work sync.WaitGroup
	for range 20 {
		work.Go(func() {
			mustAppend(t, s.Client, "account-"+uuid.NewString(), domain.NoStream, proposed(1)...)
		})
	}
	work.Wait()
	if got := s.verifications(); got == 0 || got > 5 {
		t.Errorf("asked %d times over one new connection", got)
	}
	before := s.verifications()
	ctx, cancel := context.WithCancel(t.Context())
	if _, err := s.Subscribe(ctx, 0); err != nil {
		t.Fatal(err)
	}
	cancel()
	collect(t, s.ReadStream(within(t, patience), "account-1", 0))
	if got := s.verifications(); got != before {
		t.Errorf("asked %d times more after a call was cancelled", got-before)
	}
}
