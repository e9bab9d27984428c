package thumbnail

import (
	"bytes"
	"image"
	"image/gif"
	"image/jpeg"
	"image/png"
	"net/http"

	"golang.org/x/image/webp"
)

// inspection is what is known of an upload before it is decoded.
type inspection struct {
	format      string // a media type
	memory      int64  // bytes that decoding and drawing will take at most
	orientation int    // of Exif, 1 to 8
}

// drawingMemory is what reduce and encode take at most besides the decoded picture:
// pictures of four, two and one times MaxSide, and the exact filter's own.
const drawingMemory = 48 << 20

// inspect refuses all that can be refused by the headers alone.
func inspect(upload []byte) (inspection, error) {
	if len(upload) > MaxBytes {
		return inspection{}, ErrTooManyBytes
	}
	found := inspection{format: http.DetectContentType(upload)} // by content (WHATWG MIME Sniffing)
	config, err := decodeConfig(found.format, upload)
	if err != nil {
		return inspection{}, err
	}
	pixels := int64(config.Width) * int64(config.Height) // each below 2^32
	switch {
	case pixels <= 0:
		return inspection{}, ErrDamaged
	case pixels > MaxPixels:
		return inspection{}, ErrTooManyPixels
	case max(config.Width, config.Height) > maxAspect*min(config.Width, config.Height):
		return inspection{}, ErrTooNarrow
	}
	if found.format == "image/jpeg" && hasTooManyScans(upload) {
		return inspection{}, ErrTooComplex
	}
	parts := surveys[found.format](upload)
	found.memory = int64(parts.bytesPerPixel*float64(pixels)) + parts.fixed + drawingMemory
	found.orientation = orientationOf(parts.exif)
	return found, nil
}

func decodeConfig(format string, upload []byte) (image.Config, error) {
	readers := map[string]func([]byte) (image.Config, error){
		"image/jpeg": func(b []byte) (image.Config, error) { return jpeg.DecodeConfig(bytes.NewReader(b)) },
		"image/png":  func(b []byte) (image.Config, error) { return png.DecodeConfig(bytes.NewReader(b)) },
		"image/gif":  func(b []byte) (image.Config, error) { return gif.DecodeConfig(bytes.NewReader(b)) },
		"image/webp": func(b []byte) (image.Config, error) { return webp.DecodeConfig(bytes.NewReader(b)) },
	}
	read, known := readers[format]
	if !known {
		return image.Config{}, ErrUnknownFormat
	}
	if format == "image/webp" && isAnimated(upload) {
		return image.Config{}, ErrAnimated
	}
	config, err := guarded(func() (image.Config, error) { return read(upload) })
	if err != nil {
		return image.Config{}, ErrDamaged
	}
	return config, nil
}

// decode returns the picture, of a GIF the first frame.
func decode(format string, upload []byte) (image.Image, error) {
	return guarded(func() (image.Image, error) {
		r := bytes.NewReader(upload)
		switch format {
		case "image/jpeg":
			return jpeg.Decode(r)
		case "image/png":
			return png.Decode(r)
		case "image/gif":
			return gif.Decode(r)
		default:
			return webp.Decode(r)
		}
	})
}

// guarded turns a panic into a refusal: decoders of hostile data have had such
// faults, and one upload must not end the process.
func guarded[T any](read func() (T, error)) (result T, err error) {
	defer func() {
		if recover() != nil {
			err = ErrDamaged
		}
	}()
	return read()
}
