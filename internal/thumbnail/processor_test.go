package thumbnail

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"image"
	"image/color"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"
)

var (
	red         = color.NRGBA{200, 30, 30, 255}
	green       = color.NRGBA{30, 200, 30, 255}
	blue        = color.NRGBA{30, 30, 200, 255}
	transparent = color.NRGBA{30, 30, 200, 100}
)

func TestSizesAndFormats(t *testing.T) {
	for name, c := range map[string]struct {
		upload []byte
		w, h   int
		made   string
		shows  color.Color
	}{
		"large JPEG":        {asJPEG(t, filled(2000, 1000, red)), 512, 256, "image/jpeg", red},
		"tall PNG":          {asPNG(t, filled(300, 1500, green)), 102, 512, "image/jpeg", green},
		"small PNG":         {asPNG(t, filled(10, 7, blue)), 10, 7, "image/jpeg", blue},
		"just fits":         {asPNG(t, filled(512, 512, blue)), 512, 512, "image/jpeg", blue},
		"one more":          {asPNG(t, filled(513, 512, blue)), 512, 511, "image/jpeg", blue},
		"long":              {asPNG(t, filled(2000, 100, blue)), 512, 26, "image/jpeg", blue},
		"transparent PNG":   {asPNG(t, filled(1000, 1000, transparent)), 512, 512, "image/png", transparent},
		"gray JPEG":         {asJPEG(t, image.NewGray(image.Rect(0, 0, 700, 700))), 512, 512, "image/jpeg", color.Black},
		"GIF, first frame":  {asGIF(t, frame(600, 600, red), frame(600, 600, green)), 512, 512, "image/jpeg", red},
		"WebP, one pixel":   {webpFiles["lossy"], 1, 1, "image/jpeg", nil},
		"WebP, lossless":    {webpFiles["lossless"], 1, 1, "image/png", color.Transparent},
		"WebP, transparent": {webpFiles["alpha"], 1, 1, "image/png", nil},
	} {
		made, picture := mustProcess(t, c.upload)
		if made.Width != c.w || made.Height != c.h || made.ContentType != c.made {
			t.Errorf("%s: %dx%d %s", name, made.Width, made.Height, made.ContentType)
		}
		for _, at := range []image.Point{{0, 0}, {c.w / 2, c.h / 2}, {c.w - 1, c.h - 1}} {
			if c.shows != nil && !near(picture.At(at.X, at.Y), c.shows) {
				t.Errorf("%s: %v at %v", name, picture.At(at.X, at.Y), at)
			}
		}
	}
}

func TestSameUploadSameBytes(t *testing.T) {
	upload := asJPEG(t, filled(900, 700, red))
	first, _ := mustProcess(t, upload)
	second, _ := mustProcess(t, upload)
	if !bytes.Equal(first.Content, second.Content) {
		t.Error("two results differ")
	}
}

func TestNothingElseOfTheUploadIsKept(t *testing.T) {
	const canary = "CANARY 48.2082N 16.3738E"
	picture := filled(100, 100, red)
	jpegFile := withExif(asJPEG(t, picture), exifBlock(binary.BigEndian, 1, canary))
	jpegFile = withSegment(jpegFile, 0xfe, []byte(canary)) // a comment
	jpegFile = withSegment(jpegFile, 0xed, []byte(canary)) // Photoshop
	pngFile := asPNG(t, picture)
	pngFile = bytes.Join([][]byte{pngFile[:33], pngChunk("tEXt", []byte("Comment\x00"+canary)), pngFile[33:]}, nil)
	for name, upload := range map[string][]byte{
		"JPEG": jpegFile, "PNG": pngFile,
		"JPEG and ZIP": append(asJPEG(t, picture), "PK\x03\x04"+canary...),
		"GIF and HTML": append(asGIF(t, frame(100, 100, red)), "<script>"+canary+"</script>"...),
	} {
		made, _ := mustProcess(t, upload)
		if bytes.Contains(made.Content, []byte("CANARY")) || bytes.Contains(made.Content, []byte("Exif")) {
			t.Errorf("%s: the canary lives", name)
		}
	}
}

func TestRefusals(t *testing.T) {
	pixelBomb := bytes.Join([][]byte{pngHeader(30000, 30000, 8, 2, 0), pngChunk("IDAT", nil), pngChunk("IEND", nil)}, nil)
	hiddenCanvas := bytes.Clone(webpFiles["lossless"][12:]) // behind a header that says one pixel
	binary.LittleEndian.PutUint32(hiddenCanvas[9:], 16383|16383<<14)
	hidden := []byte("VP8X\x0a\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00")
	riff := append(append([]byte("RIFF\xff\x00\x00\x00WEBP"), hidden...), hiddenCanvas...)
	binary.LittleEndian.PutUint32(riff[4:], uint32(len(riff)-8))
	for name, c := range map[string]struct {
		upload []byte
		want   *RefusedError
	}{
		"nothing":               {nil, ErrUnknownFormat},
		"text":                  {[]byte("a picture"), ErrUnknownFormat},
		"HTML":                  {[]byte("<html><script>alert(1)</script>"), ErrUnknownFormat},
		"SVG":                   {[]byte("<svg xmlns='http://www.w3.org/2000/svg' onload='alert(1)'/>"), ErrUnknownFormat},
		"BMP":                   {append([]byte("BM"), make([]byte, 100)...), ErrUnknownFormat},
		"too many bytes":        {append(asJPEG(t, filled(9, 9, red)), make([]byte, MaxBytes)...), ErrTooManyBytes},
		"PNG bomb":              {pixelBomb, ErrTooManyPixels},
		"JPEG bomb":             {jpegFrame(markerSOF0, 65500, 65500, 0x11), ErrTooManyPixels},
		"GIF bomb":              {[]byte("GIF89a\xff\xff\xff\xff\x00\x00\x00"), ErrTooManyPixels},
		"WebP bomb":             {[]byte("RIFF\x16\x00\x00\x00WEBPVP8X\x0a\x00\x00\x00\x00\x00\x00\x00\xff\x9f\x00\xff\x9f\x00"), ErrTooManyPixels},
		"WebP bomb, hidden":     {riff, ErrDamaged},
		"one pixel too many":    {pngHeader(5000, 5001, 1, 0, 0), ErrTooManyPixels},
		"too wide":              {asPNG(t, filled(2001, 100, red)), ErrTooNarrow},
		"too tall":              {asPNG(t, filled(1, 21, red)), ErrTooNarrow},
		"animated WebP":         {webpFiles["animated"], ErrAnimated},
		"too many scans":        {append(asJPEG(t, filled(9, 9, red)), bytes.Repeat([]byte{0xff, markerSOS, 0}, maxScans)...), ErrTooComplex},
		"too much memory":       {jpegFrame(markerSOF2, 5000, 5000, 0x11, 0x11, 0x11, 0x11), ErrTooComplex},
		"no dimensions":         {pngHeader(0, 10, 8, 2, 0), ErrDamaged},
		"only a beginning":      {asPNG(t, filled(100, 100, red))[:60], ErrDamaged},
		"GIF without a picture": {[]byte("GIF89a\x05\x00\x05\x00\x00\x00\x00;"), ErrDamaged},
	} {
		began := allocated()
		_, err := process(t, c.upload)
		if !errors.Is(err, c.want) {
			t.Errorf("%s: %v", name, err)
		}
		if took := allocated() - began; took > 1<<20 {
			t.Errorf("%s: %d bytes were allocated to refuse it", name, took)
		}
	}
}

// allocated counts all bytes since the start, freed ones included.
func allocated() uint64 {
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	return stats.TotalAlloc
}

func TestEveryBeginningOfAFileIsRefusedOrRead(t *testing.T) {
	picture := filled(16, 16, red)
	picture.Set(3, 3, transparent)
	for name, file := range map[string][]byte{
		"JPEG": withExif(asJPEG(t, picture), exifBlock(binary.LittleEndian, 6, "text")), "PNG": asPNG(t, picture),
		"GIF": asGIF(t, frame(16, 16, red)), "lossless": webpFiles["lossless"], "lossy": webpFiles["lossy"], "alpha": webpFiles["alpha"],
	} {
		for length := range file {
			_, err := process(t, file[:length])
			var refused *RefusedError
			if err != nil && !errors.As(err, &refused) {
				t.Errorf("%s, %d bytes: %v", name, length, err)
			}
			if err == nil && length < len(file)/2 {
				t.Errorf("%s: half of it was read", name)
			}
		}
	}
}

// The estimate is what bounds memory, so it must cover what decoding really takes.
func TestEstimateCoversDecoding(t *testing.T) {
	const side = 700
	size := image.Rect(0, 0, side, side)
	colourful := image.NewNRGBA64(size)
	for i := range colourful.Pix {
		colourful.Pix[i] = byte(i / 4096)
	}
	for name, upload := range map[string][]byte{
		"JPEG 4:2:0": asJPEG(t, filled(side, side, red)), "JPEG gray": asJPEG(t, image.NewGray(size)),
		"PNG 8 bit": asPNG(t, filled(side, side, transparent)), "PNG 16 bit": asPNG(t, colourful), "PNG gray": asPNG(t, image.NewGray16(size)),
		"large JPEG": asJPEG(t, filled(2100, 2100, red)), "GIF": asGIF(t, frame(side, side, red)), "WebP": webpFiles["lossless"],
	} {
		found, err := inspect(upload)
		must(t, err)
		began := allocated()
		picture, err := decode(found.format, upload)
		must(t, err)
		decoding := int64(allocated() - began)
		began = allocated()
		orient(reduce(picture), found.orientation)
		drawing := int64(allocated() - began)
		if decoding > found.memory-drawingMemory+1<<20 || drawing > drawingMemory {
			t.Errorf("%s: decoding took %d of %d, drawing %d of %d", name, decoding, found.memory-drawingMemory, drawing, drawingMemory)
		}
	}
}

func TestGreatestPictureAllowed(t *testing.T) {
	made, _ := mustProcess(t, asPNG(t, image.NewGray(image.Rect(0, 0, 5000, 5000))))
	if made.Width != 512 || made.Height != 512 {
		t.Errorf("%dx%d", made.Width, made.Height)
	}
}

func TestBusy(t *testing.T) {
	upload := asPNG(t, filled(10, 10, red))
	p := New(Config{Wait: time.Millisecond, Waiting: 1})
	must(t, p.memory.Acquire(t.Context(), p.config.MemoryBudget))
	if _, err := p.Process(t.Context(), upload); !errors.Is(err, ErrBusy) {
		t.Errorf("out of time: %v", err)
	}
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := p.Process(cancelled, upload); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
	p.waiting.Store(1)
	p.config.Wait = time.Hour
	if _, err := p.Process(t.Context(), upload); !errors.Is(err, ErrBusy) {
		t.Errorf("too many wait: %v", err)
	}
	p.waiting.Store(0)
	p.memory.Release(p.config.MemoryBudget)
	if _, err := p.Process(t.Context(), upload); err != nil {
		t.Errorf("free again: %v", err)
	}
}

func TestManyAtOnce(t *testing.T) {
	upload := asJPEG(t, filled(800, 600, green))
	p := New(Config{MemoryBudget: 64 << 20, Wait: time.Minute})
	var wait sync.WaitGroup
	for range 8 {
		wait.Go(func() {
			if _, err := p.Process(t.Context(), upload); err != nil {
				t.Error(err)
			}
		})
	}
	wait.Wait()
	if !p.memory.TryAcquire(p.config.MemoryBudget) {
		t.Error("a share was not given back")
	}
}

func TestSentencesAreForPeople(t *testing.T) {
	for _, e := range []*RefusedError{ErrTooManyBytes, ErrTooManyPixels, ErrUnknownFormat, ErrAnimated, ErrTooNarrow, ErrTooComplex, ErrDamaged} {
		if !strings.HasSuffix(e.Error(), ".") || strings.ContainsAny(e.Error(), "=#%\n") || e.Code == "" {
			t.Errorf("%q (%s)", e.Error(), e.Code)
		}
	}
}
