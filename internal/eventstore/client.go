package eventstore

import (
	"context"
	"sync"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"
)

// Client is the service's one way to the event store. It is safe for
// concurrent use.
type Client struct {
	config        Config
	configuration *esdb.Configuration

	// lifetime ends with Close and bounds every call.
	lifetime context.Context
	end      context.CancelCauseFunc

	expected expected

	mu      sync.Mutex
	current *connection
	// open counts connections whose official client is not closed yet.
	open sync.WaitGroup
}

// NewClient checks the configuration. It does no I/O: the first call connects.
// Its errors name DAYBOOK_EVENTSTORE_URL and never show what it holds.
func NewClient(config Config) (*Client, error) {
	configuration, err := config.esdbConfiguration()
	if err != nil {
		return nil, err
	}
	c := &Client{config: config.withDefaults(), configuration: configuration}
	c.lifetime, c.end = context.WithCancelCause(context.Background())
	if configuration.DisableTLS && configuration.Username != "" {
		c.config.Logger.Warn("event store credentials are not sent without TLS")
	}
	return c, nil
}

// Close ends every call and subscription with ErrClosed, waits for them, and
// releases all connections. It may be called more than once.
func (c *Client) Close() {
	c.mu.Lock()
	c.end(ErrClosed)
	current := c.current
	c.current = nil
	c.mu.Unlock()
	if current != nil {
		current.retire()
	}
	c.open.Wait()
}

// Ping asks the store for its last event, and whether it is still the expected one. It
// returns nil if the store answered within ctx, else an error that matches
// ErrUnavailable or ErrOtherStore.
func (c *Client) Ping(ctx context.Context) error {
	c.doubt()
	_, err := c.Tail(ctx)
	return err
}
