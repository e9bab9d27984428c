package thumbnail

import (
	"bytes"
	"encoding/binary"
)

// survey is what a look through a file's parts tells: how many bytes a pixel takes
// while it is decoded, how many the decoder takes besides, and the Exif block, or
// nil. The numbers are those of the decoders in image/… and golang.org/x/image.
type survey struct {
	bytesPerPixel float64
	fixed         int64
	exif          []byte
}

var surveys = map[string]func([]byte) survey{
	"image/jpeg": surveyJPEG,
	"image/png":  surveyPNG,
	"image/gif":  func([]byte) survey { return survey{bytesPerPixel: 1} },
	"image/webp": surveyWebP,
}

// surveyPNG reads depth and interlacing from IHDR, which DecodeConfig has checked,
// and looks for the eXIf chunk (PNG, third edition, section 11.3.4.6).
func surveyPNG(file []byte) survey {
	const ihdr = 16 // after the signature, and length and type of the chunk
	depth, interlaced := file[ihdr+8], file[ihdr+12]
	found := survey{bytesPerPixel: 4}
	if depth == 16 {
		found.bytesPerPixel = 8
	}
	if interlaced != 0 {
		found.bytesPerPixel *= 2 // the passes are decoded by themselves
	}
	for rest := file[8:]; len(rest) >= 12; {
		length := binary.BigEndian.Uint32(rest)
		if uint64(length)+12 > uint64(len(rest)) {
			break
		}
		if string(rest[4:8]) == "eXIf" {
			found.exif = rest[8 : 8+length]
		}
		rest = rest[12+length:]
	}
	return found
}

// Costs of WebP: the lossless decoder, which lossy pictures use for transparency,
// takes 65,536 groups of five Huffman tables of 536 bytes, if it is told to.
const (
	webpBytesPerPixel = 9
	webpHuffman       = 65536 * 5 * 536
)

func surveyWebP(file []byte) survey {
	found := survey{bytesPerPixel: 1.5, fixed: 1 << 20} // lossy and opaque
	for kind, payload := range webpChunks(file) {
		switch kind {
		case "VP8L", "ALPH":
			found.bytesPerPixel, found.fixed = webpBytesPerPixel, webpHuffman
		case "EXIF":
			found.exif = bytes.TrimPrefix(payload, []byte(exifPrefix)) // some writers add it
		}
	}
	return found
}

func isAnimated(file []byte) bool {
	for kind := range webpChunks(file) {
		if kind == "ANIM" || kind == "ANMF" {
			return true
		}
	}
	return false
}

// webpChunks yields the chunks of a RIFF file that are whole or cut at the end.
func webpChunks(file []byte) func(yield func(kind string, payload []byte) bool) {
	return func(yield func(string, []byte) bool) {
		const header = 12 // RIFF, length, WEBP
		for rest := file[min(header, len(file)):]; len(rest) >= 8; {
			length := uint64(binary.LittleEndian.Uint32(rest[4:]))
			end := min(8+length, uint64(len(rest)))
			if !yield(string(rest[:4]), rest[8:end]) {
				return
			}
			rest = rest[min(8+length+length&1, uint64(len(rest))):] // padded to an even length
		}
	}
}
