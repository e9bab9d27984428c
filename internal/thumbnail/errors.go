package thumbnail

import "errors"

// ErrBusy is returned when too many pictures are being worked on: try again.
var ErrBusy = errors.New("too many pictures are being worked on")

// RefusedError says why an upload is no good. The values below are all there are.
type RefusedError struct {
	Code     string // stable, for programs
	Sentence string // for the person who uploaded it
}

// Error returns the sentence.
func (e *RefusedError) Error() string { return e.Sentence }

// The reasons for a refusal.
var (
	ErrTooManyBytes  = &RefusedError{"thumbnail_too_many_bytes", "The picture must not be larger than 2 MiB."}
	ErrTooManyPixels = &RefusedError{"thumbnail_too_many_pixels", "The picture must not have more than 25 megapixels."}
	ErrUnknownFormat = &RefusedError{"thumbnail_unknown_format", "The picture must be a JPEG, PNG, GIF or WebP file."}
	ErrAnimated      = &RefusedError{"thumbnail_animated", "An animated WebP cannot be used. Choose a still picture."}
	ErrTooNarrow     = &RefusedError{"thumbnail_too_narrow", "The picture must not be more than 20 times as long as it is wide."}
	ErrTooComplex    = &RefusedError{"thumbnail_too_complex", "The picture takes too much work to read. Save it in a simpler format or smaller."}
	ErrDamaged       = &RefusedError{"thumbnail_damaged", "The picture is damaged and cannot be read."}
)
