package node

import (
	"iter"

	"github.com/google/uuid"
)

// direction is the order of a read.
type direction bool

const (
	forwards  direction = false
	backwards direction = true
)

// storage keeps the log. memoryStorage and loggedStorage are what a node runs on,
// boltStorage is a part of the latter and what copies are made into; one test suite covers
// them all. commit is called by one goroutine only; view by any number at a time,
// also during a commit.
type storage interface {
	// commit adds the records in one atomic step and returns when they are durable.
	// Their positions follow the last one of the log without a gap. After an error
	// nothing may be committed any more: what is on disk is then unknown.
	commit(records []record) error
	// view calls read with the state of one moment. Storage must not be held open
	// longer than it takes to copy a page out of it: an open view keeps bbolt from
	// growing its file.
	view(read func(snapshot) error) error
	// identity is the id given to the store when it was made.
	identity() uuid.UUID
	// close releases the storage. No view may be open or begun.
	close() error
}

// snapshot is the log as it was at one moment.
type snapshot interface {
	// all yields the records from the position, itself included, in log order or back.
	all(from uint64, dir direction) iter.Seq2[record, error]
	// stream yields the records of one stream from the revision, itself included.
	stream(name string, from int64, dir direction) iter.Seq2[record, error]
}
