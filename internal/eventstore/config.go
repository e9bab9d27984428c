package eventstore

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"
)

// Config says which store a Client uses, and how patiently.
type Config struct {
	// URL is an EventStoreDB connection string,
	// esdb://[user:password@]host[:port][,host…][?setting=value&…].
	// Exactly one of URL and Socket is set.
	URL string
	// Socket is the path of the unix socket of an embedded node.
	Socket string

	// Namespace, when not empty, is put before every stream name with a dot.
	Namespace string
	// Prefixes are the beginnings of the plain names of this service's
	// streams. ReadAll and Subscribe show only those. None means every stream
	// of the namespace but the server's own.
	Prefixes []string

	// Timeout bounds a call whose context has no deadline; for reads, the wait
	// for the next event. Default 10 s.
	Timeout time.Duration
	// AttemptTimeout bounds one try of a call before it is repeated. Default
	// 4 s: a server gives up a write after 2 s.
	AttemptTimeout time.Duration
	// Backoff is the first pause before a repetition; pauses grow to
	// MaxBackoff and are jittered by half. Defaults 20 ms and 1 s.
	Backoff, MaxBackoff time.Duration
	// BufferBytes bounds what a Subscription holds in memory ahead of its
	// reader. Default 4 MiB.
	BufferBytes int

	// Logger gets what the official client says, at debug level, and
	// reconnections. Nil means silence.
	Logger *slog.Logger
	// Observe, when set, is called after every round trip to the store: each
	// repetition of a call is one of its own; ctx is that of the call. See
	// Outcome for err. It must not block.
	Observe func(ctx context.Context, operation Operation, duration time.Duration, err error)
}

// Operation names a kind of round trip to Config.Observe.
type Operation string

// The kinds of round trips.
const (
	OpAppend          Operation = "append"
	OpReadStream      Operation = "read_stream"
	OpReadAll         Operation = "read_all"
	OpTail            Operation = "tail"
	OpProbe           Operation = "probe"
	OpSetMetadata     Operation = "set_metadata"
	OpSubscribe       Operation = "subscribe"
	OpSubscribeStream Operation = "subscribe_stream"
	OpVerify          Operation = "verify_store"
)

func (c Config) withDefaults() Config {
	c.Timeout = orDefault(c.Timeout, 10*time.Second)
	c.AttemptTimeout = orDefault(c.AttemptTimeout, 4*time.Second)
	c.Backoff = orDefault(c.Backoff, 20*time.Millisecond)
	c.MaxBackoff = max(c.Backoff, orDefault(c.MaxBackoff, time.Second))
	c.BufferBytes = orDefault(c.BufferBytes, 4<<20)
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.Observe == nil {
		c.Observe = func(context.Context, Operation, time.Duration, error) {}
	}
	return c
}

func orDefault[T int | time.Duration](value, fallback T) T {
	if value <= 0 {
		return fallback
	}
	return value
}

// settings are the connection settings of the official client v4.2.0. It only
// logs others, so that a misspelt tls would go unnoticed.
var settings = []string{
	"tls", "tlsverifycert", "tlscafile", "usercertfile", "userkeyfile", "nodepreference",
	"discoveryinterval", "gossiptimeout", "maxdiscoverattempts", "keepaliveinterval",
	"keepalivetimeout", "defaultdeadline",
}

// esdbConfiguration builds the official client's configuration. Its errors
// never repeat the connection string: it may hold a password.
func (c Config) esdbConfiguration() (*esdb.Configuration, error) {
	if (c.URL == "") == (c.Socket == "") {
		return nil, errors.New("event store: set DAYBOOK_EVENTSTORE_URL or a socket, not both")
	}
	if c.Socket != "" {
		configuration, err := esdb.ParseConnectionString("esdb://localhost?tls=false&gossipTimeout=2")
		if err != nil {
			return nil, fmt.Errorf("event store socket: %w", err)
		}
		configuration.Address = "unix:" + c.Socket
		return configuration, nil
	}
	if err := checkSettings(c.URL); err != nil {
		return nil, err
	}
	configuration, err := esdb.ParseConnectionString(c.URL)
	if err != nil {
		return nil, connectionStringError(err)
	}
	if err := configuration.Validate(); err != nil {
		return nil, fmt.Errorf("DAYBOOK_EVENTSTORE_URL: %w", err)
	}
	return configuration, nil
}

func checkSettings(connection string) error {
	_, query, _ := strings.Cut(connection, "?")
	values, err := url.ParseQuery(query)
	if err != nil {
		return connectionStringError(err)
	}
	for name := range values {
		if !slices.Contains(settings, strings.ToLower(name)) {
			return fmt.Errorf("DAYBOOK_EVENTSTORE_URL: unknown setting; known are %s", strings.Join(settings, ", "))
		}
	}
	return nil
}

// connectionStringError keeps only those causes that cannot quote the string.
func connectionStringError(err error) error {
	if strings.HasPrefix(err.Error(), "Setting '") {
		return fmt.Errorf("DAYBOOK_EVENTSTORE_URL: %w", err)
	}
	if file, ok := errors.AsType[*fs.PathError](err); ok {
		return fmt.Errorf("DAYBOOK_EVENTSTORE_URL: %w", file)
	}
	return errors.New("DAYBOOK_EVENTSTORE_URL: want esdb://[user:password@]host[:port][,host…][?tls=false&…]")
}
