package node

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"os"

	"github.com/google/uuid"
)

// segmentMagic begins a log file: what it is, and the version of its format.
var segmentMagic = []byte("daybook log 1\n")

// segment is one of a store's two log files, and what is in it, in memory.
//
// The first sector is the header, frames follow. The rest is zeros, written beforehand:
// so the disk neither looks for room nor notes down a new size when a frame is written,
// and a sector that wasn't written is known by its zeros.
//
//	header  segmentMagic, id of the store, size BE64, salt BE64, CRC-32C of all that
//
// The salt is new each time the file is emptied, and 0 while it is being emptied.
type segment struct {
	file  *os.File
	size  int64
	salt  uint64
	table *table
	// end is where the next frame goes.
	end    int64
	buffer []byte
}

// segmentPath names the log files of a store, which are number 0 and 1.
func segmentPath(store string, number int) string { return fmt.Sprintf("%s.log%d", store, number) }

// openSegment opens or makes the file. It must be reset before anything is written to it.
func openSegment(path string, size int64) (*segment, error) {
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	return &segment{file: file, size: size, table: newTable()}, nil
}

// reset empties the segment. A crash on the way leaves an empty one as well, for the
// first thing on disk is the salt 0.
func (s *segment) reset(store uuid.UUID) error {
	if err := s.writeHeader(store, 0); err != nil {
		return err
	}
	if err := s.zero(); err != nil {
		return err
	}
	s.table, s.salt = newTable(), max(rand.Uint64(), 1)
	return s.writeHeader(store, s.salt)
}

func (s *segment) writeHeader(store uuid.UUID, salt uint64) error {
	if _, err := s.file.WriteAt(segmentHeader(store, s.size, salt), 0); err != nil {
		return err
	}
	return datasync(s.file)
}

// zero writes zeros over what was written, and over all of a new file.
func (s *segment) zero() error {
	if s.end == 0 || s.end > s.size {
		if err := s.file.Truncate(s.size); err != nil {
			return err
		}
		s.end = s.size
	}
	block := make([]byte, 1<<18)
	for at := int64(sectorSize); at < s.end; at += int64(len(block)) {
		if _, err := s.file.WriteAt(block[:min(int64(len(block)), s.end-at)], at); err != nil {
			return err
		}
	}
	s.end = sectorSize
	return s.file.Sync()
}

func segmentHeader(store uuid.UUID, size int64, salt uint64) []byte {
	header := append(bytes.Clone(segmentMagic), store[:]...)
	header = binary.BigEndian.AppendUint64(header, uint64(size))
	header = binary.BigEndian.AppendUint64(header, salt)
	return binary.BigEndian.AppendUint32(header, checksum(0, header))
}

// hasRoom tells whether a group fits in. One too big for any segment fits in an empty
// one, which grows by it.
func (s *segment) hasRoom(records []record) bool {
	return s.empty() || s.end+int64(boundOfFrame(records)) <= s.size
}

func (s *segment) empty() bool { return s.end == sectorSize }

// append adds a group and returns when it is durable.
func (s *segment) append(records []record) error {
	s.buffer = appendFrame(s.buffer[:0], s.salt, records)
	if _, err := s.file.WriteAt(s.buffer, s.end); err != nil {
		return err
	}
	if err := datasync(s.file); err != nil {
		return err
	}
	s.end += int64(len(s.buffer))
	s.table.add(records)
	return nil
}
