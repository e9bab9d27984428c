package node

import (
	"encoding/binary"
	"math"
)

const (
	// sectorSize is the unit in which a disk writes all or nothing. 512 bytes is the
	// smallest there is, and what etcd's log reckons with for the same purpose.
	sectorSize = 512
	// frameHeaderSize is the length of a frame's header: four fields and a checksum.
	frameHeaderSize = 24
	// framePadding fills a frame's last sector, so that it is never all zero.
	framePadding = 0xff
)

// frame is a group of records in a log file: a header, one record after the other with
// its length in front, and padding to the end of the sector. It is valid as a whole or
// not at all, which makes a group atomic.
//
//	header  length of records BE32, CRC-32C of records, first position BE64,
//	        number of records BE32, CRC-32C of the header before this
//	record  length BE32, encodeRecord
//
// The checksums are over the salt of the log file as well. Without it an event could be
// made that has a frame in its data.
type frame struct {
	length, sum uint32
	first       uint64
	count       uint32
}

// appendFrame adds the frame of a group, which must not be empty.
func appendFrame(b []byte, salt uint64, records []record) []byte {
	begin := len(b)
	b = append(b, make([]byte, frameHeaderSize)...)
	for _, r := range records {
		length := len(b)
		b = appendRecord(append(b, 0, 0, 0, 0), r)
		binary.BigEndian.PutUint32(b[length:], uint32(len(b)-length-4))
	}
	header, body := b[begin:begin+frameHeaderSize], b[begin+frameHeaderSize:]
	binary.BigEndian.PutUint32(header[0:], uint32(len(body)))
	binary.BigEndian.PutUint32(header[4:], checksum(salt, body))
	binary.BigEndian.PutUint64(header[8:], records[0].position)
	binary.BigEndian.PutUint32(header[16:], uint32(len(records)))
	binary.BigEndian.PutUint32(header[20:], checksum(salt, header[:20]))
	for padding := frameSize(len(body)) - len(header) - len(body); padding > 0; padding-- {
		b = append(b, framePadding)
	}
	return b
}

// frameSize is the size of a frame with so many bytes of records. There is at least one
// byte of padding.
func frameSize(length int) int {
	return (frameHeaderSize + length + sectorSize) / sectorSize * sectorSize
}

// boundOfFrame is what the frame of a group has at most.
func boundOfFrame(records []record) int {
	length := 0
	for _, r := range records {
		length += r.size() + 32
	}
	return frameSize(length)
}

// parseFrame reads a frame's header at the beginning of b.
func parseFrame(salt uint64, b []byte) (frame, bool) {
	if len(b) < frameHeaderSize || checksum(salt, b[:20]) != binary.BigEndian.Uint32(b[20:]) {
		return frame{}, false
	}
	f := frame{
		length: binary.BigEndian.Uint32(b[0:]), sum: binary.BigEndian.Uint32(b[4:]),
		first: binary.BigEndian.Uint64(b[8:]), count: binary.BigEndian.Uint32(b[16:]),
	}
	return f, f.length <= math.MaxInt32 && f.count > 0 && f.first > 0
}

func (f frame) size() int { return frameSize(int(f.length)) }

// body returns what is between header and padding, if it is all there as it was written.
func (f frame) body(salt uint64, b []byte) ([]byte, bool) {
	if f.size() > len(b) {
		return nil, false
	}
	body := b[frameHeaderSize : frameHeaderSize+int(f.length)]
	return body, checksum(salt, body) == f.sum
}

// records decodes a body. They alias it.
func (f frame) records(body []byte) ([]record, error) {
	var records []record
	for position := f.first; len(body) > 0; position++ {
		if len(body) < 4 || uint32(len(body)-4) < binary.BigEndian.Uint32(body) {
			return nil, errCorrupt
		}
		end := 4 + binary.BigEndian.Uint32(body)
		r, err := decodeRecord(position, body[4:end])
		if err != nil {
			return nil, err
		}
		records, body = append(records, r), body[end:]
	}
	if len(records) != int(f.count) {
		return nil, errCorrupt
	}
	return records, nil
}

// torn tells whether a frame that is not valid can be one of which some sectors were
// written and others not: those are still zero, as the file was made. Damage to what was
// written whole is not. An event that has a sector of zeros in its data can't be told
// apart and counts as torn.
func (f frame) torn(b []byte) bool {
	if f.size() > len(b) {
		return true // the file hadn't grown yet
	}
	for sector := 0; sector < f.size(); sector += sectorSize {
		if isZero(b[sector : sector+sectorSize]) {
			return true
		}
	}
	return false
}

func isZero(b []byte) bool {
	for _, c := range b {
		if c != 0 {
			return false
		}
	}
	return true
}
