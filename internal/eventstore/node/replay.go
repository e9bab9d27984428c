package node

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/google/uuid"
)

// replay reads what a store's log files hold of the store after the position: what was
// acknowledged and not moved into the file before the process ended. whole tells that
// the files are there; a store that was closed has none. The error is ErrLog when they
// are damaged or not those of the store as it is.
func replay(path string, store uuid.UUID, after uint64) (records []record, whole bool, err error) {
	var parts [2][]record
	whole = true
	for i := range parts {
		name := segmentPath(path, i)
		content, err := os.ReadFile(name)
		if errors.Is(err, fs.ErrNotExist) {
			whole = false
			continue
		}
		if err != nil {
			return nil, false, err
		}
		if parts[i], err = readSegment(content, store); err != nil {
			return nil, false, fmt.Errorf("%w: %s %w", ErrLog, filepath.Base(name), err)
		}
	}
	if p := parts; len(p[0]) > 0 && len(p[1]) > 0 && p[0][0].position > p[1][0].position {
		parts = [2][]record{p[1], p[0]}
	}
	for _, r := range append(parts[0], parts[1]...) {
		switch {
		case r.position <= after:
		case r.position == after+1+uint64(len(records)):
			records = append(records, r)
		default:
			return nil, whole, fmt.Errorf("%w: it goes on with event %d, and the file ends with %d", ErrLog, r.position, after+uint64(len(records)))
		}
	}
	return records, whole, nil
}

// readSegment reads a log file. The last frame may be torn: it was never acknowledged,
// for nothing is before it is all on disk. Anything else that isn't as it was written is
// damage.
func readSegment(content []byte, store uuid.UUID) ([]record, error) {
	if isZero(content) {
		return nil, nil // it was being made
	}
	salt, err := parseSegmentHeader(content, store)
	if err != nil || salt == 0 {
		return nil, err
	}
	var records []record
	at := sectorSize
	for at < len(content) {
		f, found := parseFrame(salt, content[at:])
		body, valid := f.body(salt, content[at:])
		if !found || !valid {
			break
		}
		group, err := f.records(body)
		if err != nil || len(records) > 0 && f.first != records[len(records)-1].position+1 {
			return nil, damagedAt(at)
		}
		records = append(records, group...)
		at += f.size()
	}
	if isDamaged(salt, content[at:]) {
		return nil, damagedAt(at)
	}
	return records, nil
}

func damagedAt(at int) error {
	return fmt.Errorf("is damaged at byte %d, where events were acknowledged", at)
}

func parseSegmentHeader(content []byte, store uuid.UUID) (salt uint64, err error) {
	rest, known := bytes.CutPrefix(content, segmentMagic)
	if !known || len(rest) < 32 {
		return 0, errors.New("is no log of a known format")
	}
	id, size := uuid.UUID(rest[:16]), int64(binary.BigEndian.Uint64(rest[16:]))
	salt = binary.BigEndian.Uint64(rest[24:])
	switch {
	case !bytes.HasPrefix(content, segmentHeader(id, size, salt)):
		return 0, damagedAt(0)
	case id != store:
		return 0, fmt.Errorf("is of store %s, and the file of %s", id, store)
	case salt != 0 && int64(len(content)) < size:
		return 0, damagedAt(len(content))
	}
	return salt, nil
}

// isDamaged tells whether what follows the last valid frame is anything but zeros or a
// torn frame.
func isDamaged(salt uint64, rest []byte) bool {
	if len(rest) < sectorSize {
		return false // the file grew only by a part of the frame
	}
	if f, found := parseFrame(salt, rest); found {
		if !f.torn(rest) {
			return true
		}
	} else if !isZero(rest[:sectorSize]) {
		return true
	}
	for at := sectorSize; at < len(rest); at += sectorSize {
		if f, found := parseFrame(salt, rest[at:]); found {
			if _, valid := f.body(salt, rest[at:]); valid {
				return true
			}
		}
	}
	return false
}
