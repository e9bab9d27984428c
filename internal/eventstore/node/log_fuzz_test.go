package node

import (
	"bytes"
	"encoding/binary"
	"testing"

	"github.com/google/uuid"
)

// FuzzReadSegment gives a log file any content behind its header: records come out, or an
// error, and no more than can be in it.
func FuzzReadSegment(f *testing.F) {
	store := uuid.UUID{1, 2, 3}
	const salt = 11
	groups, _ := testGroups(3)
	var frames []byte
	for _, group := range groups {
		frames = appendFrame(frames, salt, group)
	}
	f.Add([]byte{})
	f.Add(frames)
	f.Add(frames[:len(frames)-sectorSize])
	f.Add(append(bytes.Clone(frames), make([]byte, 2*sectorSize)...))
	f.Add(append(make([]byte, sectorSize), frames...))
	f.Add(frames[sectorSize:])
	f.Fuzz(func(t *testing.T, frames []byte) {
		content := make([]byte, sectorSize, sectorSize+len(frames))
		copy(content, segmentHeader(store, 0, salt))
		records, err := readSegment(append(content, frames...), store)
		size := 0
		for i, r := range records {
			size += len(r.stream) + len(r.typ) + len(r.data) + len(r.metadata)
			if r.position != records[0].position+uint64(i) {
				t.Errorf("record %d of the file has position %d, the first %d", i, r.position, records[0].position)
			}
		}
		if err != nil && records != nil || size > len(frames) {
			t.Errorf("%d bytes of records came out of %d (%v)", size, len(frames), err)
		}
	})
}

// FuzzFrameBody gets past the checksums, which random bytes never do.
func FuzzFrameBody(f *testing.F) {
	groups, _ := testGroups(3)
	for _, group := range groups {
		framed := appendFrame(nil, 11, group)
		header, _ := parseFrame(11, framed)
		body, _ := header.body(11, framed)
		f.Add(bytes.Clone(body), group[0].position, uint32(len(group)))
	}
	f.Add([]byte{0, 0, 0, 0}, uint64(1), uint32(1))
	f.Add([]byte{0xff, 0xff, 0xff, 0xff, 1}, uint64(1), uint32(1))
	f.Fuzz(func(t *testing.T, body []byte, first uint64, count uint32) {
		framed := make([]byte, frameSize(len(body)))
		binary.BigEndian.PutUint32(framed[0:], uint32(len(body)))
		binary.BigEndian.PutUint32(framed[4:], checksum(11, body))
		binary.BigEndian.PutUint64(framed[8:], first)
		binary.BigEndian.PutUint32(framed[16:], count)
		binary.BigEndian.PutUint32(framed[20:], checksum(11, framed[:20]))
		copy(framed[frameHeaderSize:], body)
		header, found := parseFrame(11, framed)
		if !found {
			return
		}
		stored, valid := header.body(11, framed)
		if !valid {
			t.Fatal("the frame is not what was put in")
		}
		records, err := header.records(stored)
		if err == nil && uint32(len(records)) != count {
			t.Errorf("%d records came out of a frame of %d", len(records), count)
		}
	})
}
