package thumbnail

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"hash/crc32"
	"image"
	"image/color"
	"image/draw"
	"image/gif"
	"image/jpeg"
	"image/png"
	"testing"
)

// The smallest WebP files of each kind: one pixel, or an animation of one.
var webpFiles = map[string][]byte{
	"lossless": fromBase64("UklGRhoAAABXRUJQVlA4TA0AAAAvAAAAEAcQERGIiP4HAA=="),
	"lossy":    fromBase64("UklGRiIAAABXRUJQVlA4IBYAAAAwAQCdASoBAAEADsD+JaQAA3AAAAAA"),
	"alpha":    fromBase64("UklGRkoAAABXRUJQVlA4WAoAAAAQAAAAAAAAAAAAQUxQSAwAAAARBxAR/Q9ERP8DAABWUDggGAAAABQBAJ0BKgEAAQAAAP4AAA3AAP7mtQAAAA=="),
	"animated": fromBase64("UklGRlIAAABXRUJQVlA4WAoAAAASAAAAAAAAAAAAQU5JTQYAAAD/////AABBTk1GJgAAAAAAAAAAAAAAAAAAAGQAAABWUDhMDQAAAC8AAAAQBxAREYiI/gcA"),
}

func fromBase64(text string) []byte {
	content, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		panic(err)
	}
	return content
}

func asPNG(t testing.TB, picture image.Image) []byte {
	t.Helper()
	var b bytes.Buffer
	must(t, png.Encode(&b, picture))
	return b.Bytes()
}

func asJPEG(t testing.TB, picture image.Image) []byte {
	t.Helper()
	var b bytes.Buffer
	must(t, jpeg.Encode(&b, picture, &jpeg.Options{Quality: 95}))
	return b.Bytes()
}

func asGIF(t testing.TB, frames ...*image.Paletted) []byte {
	t.Helper()
	var b bytes.Buffer
	must(t, gif.EncodeAll(&b, &gif.GIF{Image: frames, Delay: make([]int, len(frames))}))
	return b.Bytes()
}

func filled(w, h int, c color.Color) *image.NRGBA {
	picture := image.NewNRGBA(image.Rect(0, 0, w, h))
	draw.Draw(picture, picture.Bounds(), image.NewUniform(c), image.Point{}, draw.Src)
	return picture
}

func frame(w, h int, c color.Color) *image.Paletted {
	return image.NewPaletted(image.Rect(0, 0, w, h), color.Palette{c})
}

// pngChunk and pngHeader make PNG files that no encoder would.
func pngChunk(kind string, payload []byte) []byte {
	chunk := binary.BigEndian.AppendUint32(nil, uint32(len(payload)))
	chunk = append(append(chunk, kind...), payload...)
	return binary.BigEndian.AppendUint32(chunk, crc32.ChecksumIEEE(chunk[4:]))
}

func pngHeader(w, h uint32, depth, colorType, interlaced byte) []byte {
	size := binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint32(nil, w), h)
	header := pngChunk("IHDR", append(size, depth, colorType, 0, 0, interlaced))
	return append([]byte("\x89PNG\r\n\x1a\n"), header...)
}

// jpegFrame is a JPEG file with a frame header and the start of a scan.
func jpegFrame(marker byte, w, h uint16, factors ...byte) []byte {
	file := []byte{0xff, 0xd8, 0xff, marker}
	file = binary.BigEndian.AppendUint16(file, uint16(8+3*len(factors)))
	file = append(file, 8)
	file = binary.BigEndian.AppendUint16(binary.BigEndian.AppendUint16(file, h), w)
	file = append(file, byte(len(factors)))
	for i, f := range factors {
		file = append(file, byte(i+1), f, 0)
	}
	return append(file, 0xff, markerSOS, 0, 2)
}

// exifBlock is a TIFF file with a make, an orientation and a trailing text.
func exifBlock(order binary.AppendByteOrder, orientation uint16, text string) []byte {
	block := []byte("II*\x00")
	if order.String() == binary.BigEndian.String() {
		block = []byte("MM\x00*")
	}
	block = order.AppendUint32(block, 8)
	block = order.AppendUint16(block, 2)
	block = order.AppendUint16(block, 0x010f) // make
	block = order.AppendUint16(block, 2)
	block = order.AppendUint32(block, uint32(len(text)))
	block = order.AppendUint32(block, 38)
	block = order.AppendUint16(block, 0x0112)
	block = order.AppendUint16(block, 3)
	block = order.AppendUint32(block, 1)
	block = order.AppendUint16(block, orientation)
	block = append(block, 0, 0, 0, 0, 0, 0)
	return append(block, text...)
}

// withSegment puts a segment behind the start of a JPEG file.
func withSegment(file []byte, marker byte, payload []byte) []byte {
	segment := binary.BigEndian.AppendUint16([]byte{0xff, marker}, uint16(len(payload)+2))
	return bytes.Join([][]byte{file[:2], segment, payload, file[2:]}, nil)
}

func withExif(file, block []byte) []byte {
	return withSegment(file, markerAPP1, append([]byte(exifPrefix), block...))
}

func process(t testing.TB, upload []byte) (Thumbnail, error) {
	return New(Config{}).Process(t.Context(), upload)
}

func mustProcess(t testing.TB, upload []byte) (Thumbnail, image.Image) {
	t.Helper()
	made, err := process(t, upload)
	must(t, err)
	picture, format, err := image.Decode(bytes.NewReader(made.Content))
	must(t, err)
	if made.ContentType != "image/"+format || picture.Bounds() != image.Rect(0, 0, made.Width, made.Height) {
		t.Fatalf("said %s %dx%d, made %s %v", made.ContentType, made.Width, made.Height, format, picture.Bounds())
	}
	return made, picture
}

// near allows for what JPEG does to a colour.
func near(a, b color.Color) bool {
	ar, ag, ab, aa := a.RGBA()
	br, bg, bb, ba := b.RGBA()
	for _, pair := range [][2]uint32{{ar, br}, {ag, bg}, {ab, bb}, {aa, ba}} {
		if max(pair[0], pair[1])-min(pair[0], pair[1]) > 0x1800 {
			return false
		}
	}
	return true
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
