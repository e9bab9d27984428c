package eventstore

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"sync/atomic"
	"time"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"
	"github.com/google/uuid"

	"daybook/domain"
)

// ErrOtherStore says that the store behind the address is not the one that it was:
// somebody exchanged it while the service runs. Nothing is read from it or written to
// it, and as soon as the right one is back, calls succeed again.
var ErrOtherStore = errors.New("another event store is behind DAYBOOK_EVENTSTORE_URL; point it back, or stop all processes of the service and see \"Moving to another event store\" in docs/runbook.md")

// errOlderStore says that the store ends before what was seen of it. It is tried again:
// a follower of a cluster may only lag.
var errOlderStore = errors.New("the event store was restored from an older copy, or is a follower that lags; restore the matching databases, see docs/runbook.md")

// expected is the store that a Client keeps to.
type expected struct {
	id atomic.Pointer[uuid.UUID]
	// furthest is the greatest position seen in the store.
	furthest atomic.Uint64
	// known is how far the store's account of itself was read.
	known atomic.Pointer[account]
}

// account is what a store's own stream says, up to one of its events. What operators do
// is in it as well and may be much, so that it is not read from the start each time.
type account struct {
	store    uuid.UUID
	revision uint64
	event    uuid.UUID
}

// Expect makes the Client keep to the store with this identity, which it must have
// found in the present one. From then on each new connection is looked at before its
// first call, and so is one over which a call failed, or at a Ping: another store gives
// ErrOtherStore, one that ends before what was seen already ErrUnavailable. That is two
// round trips (OpVerify) each time.
//
// A connection that breaks while no call is on its way is made anew inside of gRPC,
// unnoticed. So ping now and then; a process that subscribes notices at once.
func (c *Client) Expect(id uuid.UUID) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.expected.id.Store(&id)
	if c.current != nil {
		c.current.verified.Store(true)
	}
}

// doubt has the present connection looked at before its next call.
func (c *Client) doubt() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.current != nil {
		c.current.verified.Store(false)
	}
}

func (e *expected) saw(position uint64) {
	for {
		furthest := e.furthest.Load()
		if position <= furthest || e.furthest.CompareAndSwap(furthest, position) {
			return
		}
	}
}

// verify makes sure of the store behind the connection. One call does it for all that
// wait.
func (conn *connection) verify(ctx context.Context) (err error) {
	want := conn.owner.expected.id.Load()
	if want == nil || conn.verified.Load() {
		return nil
	}
	select {
	case conn.verifying <- struct{}{}:
		defer func() { <-conn.verifying }()
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	if conn.verified.Load() {
		return nil
	}
	start := time.Now()
	defer func() { conn.owner.config.Observe(ctx, OpVerify, time.Since(start), err) }()
	err = conn.compare(ctx, *want)
	if err != nil && ctx.Err() == nil && !hasCode(err, esdb.ErrorCodeNotLeader) {
		conn.retire() // one that was referred to the leader leads there by now
	}
	if err == nil {
		conn.verified.Store(true)
	}
	return err
}

// compare asks the store who it is and how far it goes. That is two calls, each of which
// goes through the gate.
func (conn *connection) compare(ctx context.Context, want uuid.UUID) error {
	c := conn.owner
	seen := c.expected.furthest.Load()
	var found uuid.UUID
	var tail uint64
	err := conn.pass(ctx, func(ctx context.Context, client *esdb.Client) (err error) {
		found, err = c.storeID(ctx, client)
		return err
	})
	if err == nil && found != want {
		return fmt.Errorf("%w (it is %s, not %s)", ErrOtherStore, found, want)
	}
	if err == nil {
		err = conn.pass(ctx, func(ctx context.Context, client *esdb.Client) (err error) {
			tail, err = lastPosition(ctx, client)
			return err
		})
	}
	if err == nil && tail < seen {
		return fmt.Errorf("%w (it ends at %d, %d was seen)", errOlderStore, tail, seen)
	}
	return err
}

// storeID reads the identity of the store, uuid.Nil if it has none. It begins at the
// last event known, or at the first if that isn't the one there.
func (c *Client) storeID(ctx context.Context, client *esdb.Client) (uuid.UUID, error) {
	if known := c.expected.known.Load(); known != nil {
		now, err := c.readAccount(ctx, client, *known)
		if err != nil || now.store != uuid.Nil {
			return now.store, err
		}
	}
	now, err := c.readAccount(ctx, client, account{})
	return now.store, err
}

// readAccount reads on behind what is known. The result is empty if that is not there.
func (c *Client) readAccount(ctx context.Context, client *esdb.Client, known account) (account, error) {
	options := esdb.ReadStreamOptions{From: esdb.Revision(known.revision)}
	read, err := client.ReadStream(ctx, c.fullName(domain.StoreStream), options, math.MaxInt64)
	if err != nil {
		return account{}, err
	}
	defer read.Close()
	found := false
	for {
		event, err := read.Recv()
		if errors.Is(err, io.EOF) || hasCode(err, esdb.ErrorCodeResourceNotFound) {
			break
		}
		if err != nil {
			return account{}, err
		}
		e := event.OriginalEvent()
		if !found && known.event != uuid.Nil && e.EventID != known.event {
			return account{}, nil
		}
		found = true
		known.revision, known.event = e.EventNumber, e.EventID
		if known.store, err = c.openedStore(e, known.store); err != nil {
			return account{}, err
		}
	}
	if !found {
		return account{}, nil
	}
	if want := c.expected.id.Load(); want != nil && known.store == *want {
		c.expected.known.Store(&known)
	}
	return known, nil
}

// openedStore is the store that the event says it is, or the one from before.
func (c *Client) openedStore(e *esdb.RecordedEvent, before uuid.UUID) (uuid.UUID, error) {
	stored, own := c.toStored(e)
	if !own || stored.Type != domain.NameOf(domain.StoreOpened{}) {
		return before, nil
	}
	recorded, err := domain.Decode(stored, nothingSealed)
	if err != nil {
		return uuid.Nil, err
	}
	if opened, ok := recorded.Event.(domain.StoreOpened); ok {
		return opened.StoreID, nil
	}
	return before, nil
}

// lastPosition is that of the newest event, 0 of an empty store.
func lastPosition(ctx context.Context, client *esdb.Client) (uint64, error) {
	read, err := client.ReadAll(ctx, esdb.ReadAllOptions{Direction: esdb.Backwards, From: esdb.End{}}, 1)
	if err != nil {
		return 0, err
	}
	defer read.Close()
	last, err := read.Recv()
	if errors.Is(err, io.EOF) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	return last.OriginalEvent().Position.Commit, nil
}
