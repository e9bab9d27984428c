package node

import (
	"bytes"
	"testing"

	"github.com/google/uuid"
)

func FuzzDecodeRecord(f *testing.F) {
	full := testRecord(7, "account-1", 3)
	f.Add(uint64(7), encodeRecord(full))
	f.Add(uint64(8), encodeRecord(full))
	f.Add(uint64(1), encodeRecord(record{position: 1, id: uuid.New()}))
	f.Add(uint64(0), []byte{})
	f.Add(uint64(0), []byte{recordVersion, 0, 1, 2, 3})
	f.Fuzz(func(t *testing.T, position uint64, stored []byte) {
		r, err := decodeRecord(position, stored)
		if err != nil {
			return
		}
		again := encodeRecord(r)
		back, err := decodeRecord(position, again)
		if err != nil || !sameRecord(r, back) {
			t.Errorf("%+v came back as %+v (%v)", r, back, err)
		}
	})
}

// FuzzDecodeRecordBody gets past the checksum, which random bytes never do.
func FuzzDecodeRecordBody(f *testing.F) {
	stored := encodeRecord(testRecord(7, "account-1", 3))
	f.Add(stored[:len(stored)-checksumSize])
	f.Fuzz(func(t *testing.T, body []byte) {
		sum := checksum(7, body)
		stored := append(bytes.Clone(body), byte(sum>>24), byte(sum>>16), byte(sum>>8), byte(sum))
		if r, err := decodeRecord(7, stored); err == nil {
			if len(r.stream)+len(r.typ)+len(r.data)+len(r.metadata) > len(body) {
				t.Errorf("fields of %d bytes came out of %d", r.size(), len(body))
			}
		}
	})
}

func TestRecordRefusesTruncation(t *testing.T) {
	stored := encodeRecord(testRecord(7, "account-1", 3))
	for n := range stored {
		if _, err := decodeRecord(7, stored[:n]); err == nil {
			t.Errorf("the first %d of %d bytes were taken for a record", n, len(stored))
		}
	}
	if _, err := decodeRecord(8, stored); err == nil {
		t.Error("a record was accepted at another's position")
	}
}
