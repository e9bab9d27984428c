package eventstore

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// errReplaced says that the connection was replaced before the call was sent.
var errReplaced = errors.New("connection replaced")

// connection is one official client and the count of calls inside it.
//
// The official client (v4.2.0) closes itself when it cannot find the server,
// and from then on calls that wait for its connection hang for ever. So they
// wait one at a time, at the gate, and the first that fails there retires the
// connection. A retired connection is closed after its last call, because
// closing during a call panics.
//
// A follower refers the official client to the leader. If that can't be reached, the
// official client forgets the connection it tried without closing it. Nothing outside of
// it can: such a connection stays, at rest after half an hour. There is one for each try
// of a call while a leader is named that is away.
type connection struct {
	owner  *Client
	client *esdb.Client
	gate   chan struct{}
	// verified tells that the store behind is the expected one; verifying is held by
	// the call that looks. See Client.Expect.
	verified  atomic.Bool
	verifying chan struct{}

	// Guarded by owner.mu.
	calls   int
	retired bool
}

// acquire returns the current connection, making one if need be, and counts a
// call on it. The caller releases it.
func (c *Client) acquire() (*connection, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.lifetime.Err() != nil {
		return nil, ErrClosed
	}
	if c.current == nil {
		conn := &connection{owner: c, gate: make(chan struct{}, 1), verifying: make(chan struct{}, 1)}
		configuration := *c.configuration
		configuration.Logger = conn.hear
		// Repeating is this package's business: a failed search for the
		// server ends the official client, and it blocks all calls meanwhile.
		configuration.MaxDiscoverAttempts, configuration.DiscoveryInterval = 1, 1
		client, err := esdb.NewClient(&configuration)
		if err != nil {
			return nil, fmt.Errorf("event store client: %w", err)
		}
		conn.client, c.current = client, conn
		c.open.Add(1)
	}
	c.current.calls++
	return c.current, nil
}

// release ends a call.
func (conn *connection) release() {
	conn.owner.mu.Lock()
	defer conn.owner.mu.Unlock()
	conn.calls--
	conn.closeIfIdle()
}

// retire makes later calls use a new connection.
func (conn *connection) retire() {
	conn.owner.mu.Lock()
	defer conn.owner.mu.Unlock()
	if conn.owner.current == conn {
		conn.owner.current = nil
	}
	if conn.retired {
		return
	}
	conn.retired = true
	conn.owner.config.Logger.Debug("event store connection retired", slog.Int("calls", conn.calls))
	conn.closeIfIdle()
}

func (conn *connection) closeIfIdle() {
	if !conn.retired || conn.calls > 0 {
		return
	}
	if err := conn.client.Close(); err != nil {
		conn.owner.config.Logger.Debug("event store connection not closed", slog.Any("error", err))
	}
	conn.owner.open.Done()
}

func (conn *connection) isRetired() bool {
	conn.owner.mu.Lock()
	defer conn.owner.mu.Unlock()
	return conn.retired
}

// hear gets the official client's log. From it we learn of a lost server in
// time: after this line, and not before, the official client forgets its
// connection, and a call let in then would make it open another and never
// close the first.
func (conn *connection) hear(level esdb.LogLevel, format string, args ...any) {
	conn.owner.config.Logger.Debug("event store client says", slog.String("level", level),
		slog.String("text", fmt.Sprintf(format, args...)))
	if format != "unexpected exception: %v" || len(args) != 1 {
		return
	}
	if err, ok := args[0].(error); ok && status.Code(err) == codes.Unavailable {
		conn.gate <- struct{}{}
		conn.retire()
		<-conn.gate
	}
}

// enter runs a call of the official client, if the store is the expected one. It may
// outlast ctx: callers run it in a goroutine and release the connection when it returns.
func (conn *connection) enter(ctx context.Context, call func(context.Context, *esdb.Client) error) error {
	if err := conn.verify(ctx); err != nil {
		return err
	}
	err := conn.pass(ctx, call)
	if err != nil && ctx.Err() == nil && judge(err) != hopeless {
		// gRPC may have connected anew by itself: to whom, nobody has asked.
		conn.verified.Store(false)
	}
	return err
}

// pass runs a call of the official client, through the gate.
func (conn *connection) pass(ctx context.Context, call func(context.Context, *esdb.Client) error) (err error) {
	select {
	case conn.gate <- struct{}{}:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	passed := false
	leave := sync.OnceFunc(func() { passed = true; <-conn.gate })
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("event store client panicked: %v", p)
			conn.retire()
		}
		if err != nil && !passed {
			conn.retire()
		}
		leave()
	}()
	if conn.isRetired() {
		return errReplaced
	}
	return call(gateContext{ctx, leave}, conn.client)
}

// gateContext opens the gate for the next call as soon as the official client
// has a connection for this one: it looks at the context then, not before.
type gateContext struct {
	context.Context
	leave func()
}

// Deadline is the first thing the official client asks of a context: it
// derives its own from it.
func (g gateContext) Deadline() (time.Time, bool) {
	g.leave()
	return g.Context.Deadline()
}
