package node

import (
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"time"
)

// Limits of EventStoreDB's default configuration.
const (
	// DefaultMaxAppendSize is the size in bytes one append may have unless configured.
	DefaultMaxAppendSize = 1 << 20
	// maxRecordSize is the largest append that any configuration may permit: the
	// server's limit for one log record.
	maxRecordSize = 16 << 20
	// maxStreamName bounds a stream's name in bytes. The protocol has no limit; bbolt
	// has one for keys (32 KiB).
	maxStreamName = 4096
)

// Errors of Open and Serve, to be matched with errors.Is.
var (
	// ErrInUse says that another process, or another Node, has the file open.
	ErrInUse = errors.New("event store file is in use by another process")
	// ErrFormat says that the file is no store of this package or was written by a
	// version whose format this one doesn't know.
	ErrFormat = errors.New("not an event store file of a known format")
	// ErrLog says that a log file beside the store's file is damaged or missing, or that
	// it belongs to another state of the store. Without it events are missing that were
	// acknowledged, so the store is not opened.
	ErrLog = errors.New("event store log can't be used")
)

// Config configures a Node. The zero value is a node in memory.
type Config struct {
	// Path is the file that holds the events. It is created, readable by its owner
	// only, if it isn't there; its directory must be. While the node runs, two log files
	// are beside it, Path with .log0 and .log1 appended. They belong to it until a node
	// was closed: Close removes them. Empty: events are kept in memory and lost with
	// the Node.
	Path string

	// Logger receives start, stop and failures; never what events hold.
	// Defaults to none.
	Logger *slog.Logger

	// Now stamps events and decides on $maxAge. Defaults to time.Now.
	Now func() time.Time

	// AdvertisedAddress is the host:port that gossip names, which esdb+discover
	// clients connect to. Defaults to the address of the listener, if that is TCP.
	AdvertisedAddress string

	// TLS, with a certificate in it, encrypts TCP and Unix listeners alike. Without it
	// and a password only loopback and Unix listeners are served. Defaults to none.
	TLS *tls.Config

	// Username and Password, both or neither, are asked of every client. They need TLS:
	// clients don't send credentials without it. Defaults to none: everyone is let in.
	Username, Password string

	// MaxAppendSize limits the bytes of one append: data, metadata and twice the
	// length of the type of each event. Defaults to DefaultMaxAppendSize; at most 16 MiB.
	MaxAppendSize int

	// log is defaultLog, but for tests.
	log logOptions
}

func (c Config) withDefaults() Config {
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.MaxAppendSize == 0 {
		c.MaxAppendSize = DefaultMaxAppendSize
	}
	if c.log == (logOptions{}) {
		c.log = defaultLog
	}
	return c
}

func (c Config) validate() error {
	if c.MaxAppendSize < 0 || c.MaxAppendSize > maxRecordSize {
		return fmt.Errorf("maximum append size %d is not between 1 and %d", c.MaxAppendSize, maxRecordSize)
	}
	if (c.Username == "") != (c.Password == "") {
		return errors.New("username and password must be set together")
	}
	if c.Password != "" && c.TLS == nil {
		return errors.New("a password needs TLS: clients don't send it without")
	}
	if c.AdvertisedAddress != "" {
		if _, _, err := splitAddress(c.AdvertisedAddress); err != nil {
			return fmt.Errorf("advertised address: %w", err)
		}
	}
	return nil
}
