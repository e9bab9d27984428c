package domain

import "errors"

// AnyRevision as expected revision appends without a check. Only access facts
// use it, on which nothing is decided.
const AnyRevision int64 = -2

// ErrConflict says that the stream was not at the expected revision and the
// appended events are not in it.
var ErrConflict = errors.New("the stream has moved on")

// Append is a write to one stream: all of its events or none.
type Append struct {
	Stream   string
	Expected int64 // exact revision, NoStream or AnyRevision
	Events   []Event
	// Metadata is shared by the events; the schema is filled in per event.
	Metadata Metadata
}
