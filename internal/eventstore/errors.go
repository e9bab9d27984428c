package eventstore

import (
	"errors"
	"fmt"
)

// ErrUnavailable says that the store did not answer within the time the call
// had. An append that ends with it may have happened: repeat it with the same
// ids and the same expected revision.
var ErrUnavailable = errors.New("event store unavailable")

// ErrClosed says that the Client was closed.
var ErrClosed = errors.New("event store client closed")

// ErrStreamDeleted says that the stream has a tombstone: it can be neither
// read nor written any more.
var ErrStreamDeleted = errors.New("stream deleted")

// ConflictError says that the stream's last revision was not the expected one
// and that none of the proposed events was written.
type ConflictError struct {
	Stream string
	// Expected is what the append asked for, or domain.NoStream.
	Expected int64
	// Actual is the stream's last revision, domain.NoStream, or Any when the
	// server did not say.
	Actual int64
}

func (e *ConflictError) Error() string {
	return fmt.Sprintf("stream %s is at revision %d, not at %d", e.Stream, e.Actual, e.Expected)
}
