package node

import (
	"bytes"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"math"
	"time"

	"github.com/google/uuid"
)

// tombstoneRevision is the revision of the event that ends a stream for good, as in
// EventStoreDB: no other event can have it.
const tombstoneRevision = math.MaxInt64

// record is one event as it is stored.
//
// Records that come out of a snapshot may point into the storage's memory and are valid
// only inside it.
type record struct {
	position uint64
	stream   string
	revision int64
	id       uuid.UUID
	typ      string
	// created counts 100 ns ticks since the Unix epoch, the protocol's unit.
	created  int64
	json     bool
	data     []byte
	metadata []byte
}

func (r record) isTombstone() bool { return r.revision == tombstoneRevision }

// clone copies a record so that it may be used outside its snapshot.
func (r record) clone() record {
	r.data, r.metadata = bytes.Clone(r.data), bytes.Clone(r.metadata)
	return r
}

func ticks(t time.Time) int64 { return t.UnixNano() / 100 }

// size is what the record counts for in limits of pages and groups.
func (r record) size() int {
	return len(r.data) + len(r.metadata) + len(r.stream) + len(r.typ) + 64
}

const (
	recordVersion = 1
	flagJSON      = 1
	checksumSize  = 4
)

// errCorrupt says that stored bytes are not what was written.
var errCorrupt = errors.New("stored event is damaged")

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// encodeRecord gives the stored form of a record without its position, which is its
// key: version, flags, id, revision, created, four length-prefixed fields, and a CRC-32C
// over the position and all of that. The checksum is ours because bbolt checks only its
// own meta pages; with the position in it, a value under a wrong key is noticed too.
func encodeRecord(r record) []byte {
	return appendRecord(make([]byte, 0, r.size()+32), r)
}

// appendRecord is encodeRecord into a buffer.
func appendRecord(b []byte, r record) []byte {
	begin := len(b)
	b = append(b, recordVersion, flags(r))
	b = append(b, r.id[:]...)
	b = binary.AppendUvarint(b, uint64(r.revision))
	b = binary.AppendVarint(b, r.created)
	b = appendField(b, r.stream)
	b = appendField(b, r.typ)
	b = appendField(b, r.data)
	b = appendField(b, r.metadata)
	return binary.BigEndian.AppendUint32(b, checksum(r.position, b[begin:]))
}

func flags(r record) byte {
	if r.json {
		return flagJSON
	}
	return 0
}

func appendField[T string | []byte](b []byte, field T) []byte {
	b = binary.AppendUvarint(b, uint64(len(field)))
	return append(b, field...)
}

func checksum(position uint64, b []byte) uint32 {
	var key [8]byte
	binary.BigEndian.PutUint64(key[:], position)
	return crc32.Update(crc32.Checksum(key[:], castagnoli), castagnoli, b)
}

// decodeRecord is the inverse of encodeRecord. The record's data and metadata alias b.
func decodeRecord(position uint64, b []byte) (record, error) {
	body := len(b) - checksumSize
	if body < 2+16 || b[0] != recordVersion {
		return record{}, errCorrupt
	}
	if checksum(position, b[:body]) != binary.BigEndian.Uint32(b[body:]) {
		return record{}, errCorrupt
	}
	d := fieldDecoder{rest: b[18:body]}
	r := record{position: position, json: b[1]&flagJSON != 0, id: uuid.UUID(b[2:18])}
	r.revision = int64(d.uvarint())
	r.created = d.varint()
	r.stream, r.typ = string(d.field()), string(d.field())
	r.data, r.metadata = d.field(), d.field()
	if d.failed || len(d.rest) != 0 || r.revision < 0 {
		return record{}, errCorrupt
	}
	return r, nil
}

// fieldDecoder reads one field after another and remembers whether one was cut short.
type fieldDecoder struct {
	rest   []byte
	failed bool
}

func (d *fieldDecoder) uvarint() uint64 {
	v, n := binary.Uvarint(d.rest)
	d.skip(n)
	return v
}

func (d *fieldDecoder) varint() int64 {
	v, n := binary.Varint(d.rest)
	d.skip(n)
	return v
}

func (d *fieldDecoder) field() []byte {
	length := d.uvarint()
	if length > uint64(len(d.rest)) {
		d.failed = true
		return nil
	}
	field := d.rest[:length:length]
	d.rest = d.rest[length:]
	return field
}

func (d *fieldDecoder) skip(n int) {
	if n <= 0 {
		d.failed = true
		d.rest = nil
		return
	}
	d.rest = d.rest[n:]
}
