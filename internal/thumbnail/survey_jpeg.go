package thumbnail

import (
	"bytes"
	"encoding/binary"
)

// JPEG markers (ITU T.81, table B.1) and what is searched for behind them.
const (
	markerSOF0  = 0xc0
	markerSOF2  = 0xc2 // progressive
	markerRST0  = 0xd0
	markerEOI   = 0xd9
	markerSOS   = 0xda
	markerAPP1  = 0xe1
	markerAPP14 = 0xee

	exifPrefix  = "Exif\x00\x00"
	adobePrefix = "Adobe"
)

// maxScans is more than any program writes. Every scan of a progressive picture runs
// over all its blocks, and one of a few bytes is enough for that.
const maxScans = 32

// worstOfJPEG are four whole components, progressive, joined at the end.
const worstOfJPEG = 4*(1+4) + 4

func hasTooManyScans(file []byte) bool {
	return bytes.Count(file, []byte{0xff, markerSOS}) > maxScans
}

// surveyJPEG walks the segments as image/jpeg does, garbage between them included.
func surveyJPEG(file []byte) survey {
	found := survey{bytesPerPixel: worstOfJPEG}
	joined := 0.0
	for rest := file[2:]; ; {
		marker, payload, after, ok := nextSegment(rest)
		if !ok || marker == markerSOS || marker == markerEOI {
			found.bytesPerPixel += joined
			return found
		}
		switch {
		case marker >= markerSOF0 && marker <= markerSOF2:
			found.bytesPerPixel = frameCost(payload, marker == markerSOF2)
		case marker == markerAPP1 && found.exif == nil && bytes.HasPrefix(payload, []byte(exifPrefix)):
			found.exif = payload[len(exifPrefix):]
		case marker == markerAPP14 && bytes.HasPrefix(payload, []byte(adobePrefix)):
			joined = 4 // perhaps RGB or CMYK, for which another picture is made
		}
		rest = after
	}
}

func nextSegment(rest []byte) (marker byte, payload, after []byte, ok bool) {
	for {
		at := bytes.IndexByte(rest, 0xff)
		if at < 0 {
			return 0, nil, nil, false
		}
		rest = rest[at:]
		for len(rest) > 0 && rest[0] == 0xff { // any number of them may fill
			rest = rest[1:]
		}
		if len(rest) == 0 {
			return 0, nil, nil, false
		}
		marker, rest = rest[0], rest[1:]
		if marker == 0 || marker >= markerRST0 && marker < markerRST0+8 {
			continue // a stuffed byte or a restart: no payload
		}
		break
	}
	if marker == markerEOI || len(rest) < 2 {
		return marker, nil, nil, marker == markerEOI
	}
	length := int(binary.BigEndian.Uint16(rest))
	if length < 2 || length > len(rest) {
		return 0, nil, nil, false
	}
	return marker, rest[2:length], rest[length:], true
}

// frameCost counts the samples of a pixel over all components; a progressive picture
// keeps a 32-bit coefficient for each.
func frameCost(frame []byte, progressive bool) float64 {
	if len(frame) < 6 || len(frame) < 6+3*int(frame[5]) {
		return worstOfJPEG
	}
	var samples, widest, highest float64
	var identifiers []byte
	for component := range int(frame[5]) {
		identifiers = append(identifiers, frame[6+3*component])
		factors := frame[6+3*component+1]
		h, v := float64(factors>>4), float64(factors&15)
		samples += h * v
		widest, highest = max(widest, h), max(highest, v)
	}
	if widest*highest == 0 {
		return worstOfJPEG
	}
	cost := samples / (widest * highest)
	if progressive {
		cost *= 1 + 4
	}
	if string(identifiers) == "RGB" {
		cost += 4
	}
	return cost
}
