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

// storeID reads the identity of the store, uuid.Nil if it has none.
func (c *Client) storeID(ctx context.Context, client *esdb.Client) (id uuid.UUID, err error) {
	read, err := client.ReadStream(ctx, c.fullName(domain.StoreStream), esdb.ReadStreamOptions{From: esdb.Start{}}, math.MaxInt64)
	if err != nil {
		return uuid.Nil, err
	}
	defer read.Close()
	for {
		event, err := read.Recv()
		if errors.Is(err, io.EOF) || hasCode(err, esdb.ErrorCodeResourceNotFound) {
			return id, nil
		}
		if err != nil {
			return uuid.Nil, err
		}
		stored, own := c.toStored(event.OriginalEvent())
		if !own || stored.Type != domain.NameOf(domain.StoreOpened{}) {
			continue
		}
		recorded, err := domain.Decode(stored, nothingSealed)
		if err != nil {
			return uuid.Nil, err
		}
		if opened, ok := recorded.Event.(domain.StoreOpened); ok {
			id = opened.StoreID
		}
	}
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
