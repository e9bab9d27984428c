package thumbnail

import (
	"bytes"
	"encoding/binary"
	"errors"
	"image"
	"testing"
)

// FuzzProcess: whatever comes in is refused in our words, or a small picture comes
// out that says truly what it is.
func FuzzProcess(f *testing.F) {
	picture := filled(24, 16, transparent)
	f.Add(asPNG(f, picture))
	f.Add(withExif(asJPEG(f, picture), exifBlock(binary.BigEndian, 6, "text")))
	f.Add(asGIF(f, frame(20, 10, red), frame(20, 10, blue)))
	f.Add(pngHeader(30000, 30000, 16, 6, 1))
	f.Add(jpegFrame(markerSOF2, 100, 100, 0x22, 0x11, 0x11))
	for _, file := range webpFiles {
		f.Add(file)
	}
	processor := New(Config{MemoryBudget: 256 << 20})
	f.Fuzz(func(t *testing.T, upload []byte) {
		made, err := processor.Process(t.Context(), upload)
		var refused *RefusedError
		if errors.As(err, &refused) {
			return
		}
		must(t, err)
		config, format, err := image.DecodeConfig(bytes.NewReader(made.Content))
		must(t, err)
		if "image/"+format != made.ContentType || config.Width != made.Width || config.Height != made.Height ||
			max(made.Width, made.Height) > MaxSide || min(made.Width, made.Height) < 1 {
			t.Errorf("%s %dx%d, said to be %s %dx%d", format, config.Width, config.Height, made.ContentType, made.Width, made.Height)
		}
	})
}
