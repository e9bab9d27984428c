package node

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"iter"
	"time"

	"github.com/google/uuid"
	"go.etcd.io/bbolt"
	berrors "go.etcd.io/bbolt/errors"
)

// Layout of the file, format 1 or 2:
//
//	events   position BE64                          -> record (record.go)
//	streams  length BE32, stream name, revision BE64 -> position BE64
//	meta     "format" -> BE32, "store-id" -> 16 bytes
//
// Format 2 says that the newest events are in log files beside it (logged.go), without
// which the file must not be used.
//
// The length in front of a name keeps the keys of a stream apart from those of one whose
// name begins with its name, whatever bytes the names hold.
var (
	eventsBucket  = []byte("events")
	streamsBucket = []byte("streams")
	metaBucket    = []byte("meta")
	formatKey     = []byte("format")
	storeIDKey    = []byte("store-id")
)

const (
	formatComplete = 1
	formatLogged   = 2
	// lockTimeout is how long to wait for another process to let go of the file: long
	// enough for one that is just ending, short enough to be told about one that isn't.
	lockTimeout = 200 * time.Millisecond
	// sequentialFill is how full pages are left that are only ever appended to.
	sequentialFill = 0.95
	// initialMap reserves address space, not memory, so that the file seldom outgrows
	// its mapping: to map it anew, a writer must wait for every open view.
	initialMap = 256 << 20
)

// boltStorage keeps the log in one bbolt file.
type boltStorage struct {
	db *bbolt.DB
	id uuid.UUID
	// logged tells that the file had format 2 when it was opened.
	logged bool
}

// openBolt opens or makes the file. The error is ErrInUse when another process has it,
// ErrFormat when it is something else.
func openBolt(path string) (*boltStorage, error) {
	return openBoltWith(path, &bbolt.Options{InitialMmapSize: initialMap})
}

func openBoltWith(path string, options *bbolt.Options) (*boltStorage, error) {
	options.Timeout = lockTimeout
	options.FreelistType = bbolt.FreelistMapType
	db, err := bbolt.Open(path, 0o600, options)
	switch {
	case errors.Is(err, berrors.ErrTimeout):
		return nil, fmt.Errorf("open %s: %w", path, ErrInUse)
	case isForeign(err):
		return nil, fmt.Errorf("open %s: %w: %w", path, ErrFormat, err)
	case err != nil:
		return nil, fmt.Errorf("open %s: %w", path, err)
	}
	b := &boltStorage{db: db}
	begin := db.Update
	if options.ReadOnly {
		begin = db.View
	}
	if err := begin(b.prepare); err != nil {
		return nil, errors.Join(fmt.Errorf("open %s: %w", path, err), db.Close())
	}
	return b, nil
}

func isForeign(err error) bool {
	return errors.Is(err, berrors.ErrInvalid) || errors.Is(err, berrors.ErrVersionMismatch) ||
		errors.Is(err, berrors.ErrChecksum)
}

// prepare makes the buckets of a new file, or checks those of an old one.
func (b *boltStorage) prepare(tx *bbolt.Tx) error {
	meta := tx.Bucket(metaBucket)
	if meta == nil {
		if name, _ := tx.Cursor().First(); name != nil || !tx.Writable() {
			return ErrFormat
		}
		return b.create(tx, uuid.New())
	}
	return b.load(meta)
}

func (b *boltStorage) create(tx *bbolt.Tx, id uuid.UUID) error {
	b.id = id
	for _, name := range [][]byte{eventsBucket, streamsBucket, metaBucket} {
		if _, err := tx.CreateBucket(name); err != nil {
			return err
		}
	}
	meta := tx.Bucket(metaBucket)
	if err := putFormat(tx, formatComplete); err != nil {
		return err
	}
	return meta.Put(storeIDKey, b.id[:])
}

func putFormat(tx *bbolt.Tx, format uint32) error {
	return tx.Bucket(metaBucket).Put(formatKey, binary.BigEndian.AppendUint32(nil, format))
}

func (b *boltStorage) load(meta *bbolt.Bucket) error {
	format := meta.Get(formatKey)
	if len(format) != 4 {
		return ErrFormat
	}
	v := binary.BigEndian.Uint32(format)
	if v != formatComplete && v != formatLogged {
		return fmt.Errorf("%w: it has format %d, known are %d and %d", ErrFormat, v, formatComplete, formatLogged)
	}
	b.logged = v == formatLogged
	id, err := uuid.FromBytes(meta.Get(storeIDKey))
	if err != nil {
		return fmt.Errorf("%w: %w", ErrFormat, err)
	}
	b.id = id
	return nil
}

func (b *boltStorage) identity() uuid.UUID { return b.id }

func (b *boltStorage) close() error { return b.db.Close() }

func (b *boltStorage) commit(records []record) error {
	return b.db.Update(func(tx *bbolt.Tx) error { return putRecords(tx, records) })
}

// commitAs is commit together with a change of the format.
func (b *boltStorage) commitAs(format uint32, records []record) error {
	return b.db.Update(func(tx *bbolt.Tx) error {
		return errors.Join(putRecords(tx, records), putFormat(tx, format))
	})
}

func putRecords(tx *bbolt.Tx, records []record) error {
	events, streams := tx.Bucket(eventsBucket), tx.Bucket(streamsBucket)
	events.FillPercent = sequentialFill
	for _, r := range records {
		position := binary.BigEndian.AppendUint64(nil, r.position)
		if err := events.Put(position, encodeRecord(r)); err != nil {
			return err
		}
		if err := streams.Put(streamKey(r.stream, r.revision), position); err != nil {
			return err
		}
	}
	return nil
}

// last is the position of the newest record in the file, 0 if there is none.
func (b *boltStorage) last() (position uint64, err error) {
	err = b.db.View(func(tx *bbolt.Tx) error {
		if key, _ := tx.Bucket(eventsBucket).Cursor().Last(); key != nil {
			position = binary.BigEndian.Uint64(key)
		}
		return nil
	})
	return position, err
}

func (b *boltStorage) view(read func(snapshot) error) error {
	return b.db.View(func(tx *bbolt.Tx) error {
		return read(boltSnapshot{events: tx.Bucket(eventsBucket), streams: tx.Bucket(streamsBucket)})
	})
}

func streamPrefix(name string) []byte {
	key := make([]byte, 0, 4+len(name)+8)
	key = binary.BigEndian.AppendUint32(key, uint32(len(name)))
	return append(key, name...)
}

func streamKey(name string, revision int64) []byte {
	return binary.BigEndian.AppendUint64(streamPrefix(name), uint64(revision))
}

// boltSnapshot is a read transaction.
type boltSnapshot struct {
	events, streams *bbolt.Bucket
}

func (s boltSnapshot) all(from uint64, dir direction) iter.Seq2[record, error] {
	return func(yield func(record, error) bool) {
		scan(s.events.Cursor(), binary.BigEndian.AppendUint64(nil, from), dir, func(key, value []byte) bool {
			return yield(decodeRecord(binary.BigEndian.Uint64(key), value))
		})
	}
}

func (s boltSnapshot) stream(name string, from int64, dir direction) iter.Seq2[record, error] {
	prefix := streamPrefix(name)
	return func(yield func(record, error) bool) {
		scan(s.streams.Cursor(), streamKey(name, max(from, 0)), dir, func(key, position []byte) bool {
			if !bytes.HasPrefix(key, prefix) || from < 0 && dir == backwards {
				return false
			}
			return yield(s.indexed(position))
		})
	}
}

// indexed reads the record that an index entry points to.
func (s boltSnapshot) indexed(position []byte) (record, error) {
	value := s.events.Get(position)
	if value == nil || len(position) != 8 {
		return record{}, errCorrupt
	}
	return decodeRecord(binary.BigEndian.Uint64(position), value)
}

// scan visits keys from the given one, itself included, until visit has enough.
func scan(c *bbolt.Cursor, from []byte, dir direction, visit func(key, value []byte) bool) {
	key, value := c.Seek(from)
	step := c.Next
	if dir == backwards {
		step = c.Prev
		if key == nil {
			key, value = c.Last()
		} else if !bytes.Equal(key, from) {
			key, value = c.Prev()
		}
	}
	for ; key != nil; key, value = step() {
		if !visit(key, value) {
			return
		}
	}
}
