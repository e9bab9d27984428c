package api

import (
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"slices"
	"strings"
	"unicode/utf8"

	"daybook/domain"
	"daybook/internal/thumbnail"
)

// Bounds of the profile form.
const (
	maxPicture   = thumbnail.MaxBytes
	maxFormText  = 8 << 10 // bytes of one text; every field's own bound is lower
	maxForm      = maxPicture + 256<<10
	maxFormParts = 32
)

// profileForm is what a profile form supplied.
type profileForm struct {
	text      object // never nil values, never empty texts
	thumbnail []byte // nil when none was supplied
}

// readForm reads the form part by part, as it arrives. It never asks the request
// for its Form, into which net/http mixes the query. Fields that are not the
// profile's own are passed over, whatever they are called.
func readForm(w http.ResponseWriter, r *http.Request) (profileForm, error) {
	boundary, err := formBoundary(r)
	if err != nil {
		return profileForm{}, err
	}
	reader := multipart.NewReader(unmistakable(http.MaxBytesReader(w, r.Body, maxForm)), boundary)
	form := profileForm{text: object{}}
	seen := map[string]bool{}
	for range maxFormParts {
		// Raw: a part that claims an encoding of its own must not grow.
		part, err := reader.NextRawPart()
		if err == io.EOF {
			return form, nil
		}
		if err != nil {
			return profileForm{}, bodyFailure(err, errForm)
		}
		if err := form.take(part, seen); err != nil {
			return profileForm{}, err
		}
	}
	return profileForm{}, errForm
}

// unmistakable makes an end of the body that comes too soon an error of its own.
// The multipart reader reports both a closed form and a body broken off in a
// part's header as io.EOF. The line break is for closing boundaries without one.
func unmistakable(body io.Reader) io.Reader {
	return io.MultiReader(body, strings.NewReader("\r\n"), brokenOff{})
}

type brokenOff struct{}

func (brokenOff) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }

func formBoundary(r *http.Request) (string, error) {
	if encoding := r.Header.Get("Content-Encoding"); encoding != "" && !strings.EqualFold(encoding, "identity") {
		return "", errEncoding
	}
	values := r.Header.Values("Content-Type")
	if len(values) != 1 {
		return "", errNotMultipart
	}
	media, parameters, err := mime.ParseMediaType(values[0])
	if media != "multipart/form-data" {
		return "", errNotMultipart
	}
	// RFC 2046, 5.1.1: 1 to 70 characters.
	if boundary := parameters["boundary"]; err == nil && boundary != "" && len(boundary) <= 70 {
		return boundary, nil
	}
	return "", errForm
}

// take reads one part. A part is a file when it has a filename, even an empty
// one, which is what a browser sends when nobody chose a file.
func (f *profileForm) take(part *multipart.Part, seen map[string]bool) error {
	disposition, parameters, err := mime.ParseMediaType(part.Header.Get("Content-Disposition"))
	if err != nil || disposition != "form-data" {
		return errForm
	}
	name := parameters["name"]
	_, file := parameters["filename"]
	if name != domain.FieldThumbnail && !slices.Contains(textFields, name) {
		return nil // NextRawPart reads on, within the form's bound
	}
	if seen[name] {
		return errForm.of(name, "This field may be sent only once.")
	}
	seen[name] = true
	if name == domain.FieldThumbnail {
		return f.takePicture(part, file)
	}
	return f.takeText(part, name, file)
}

func (f *profileForm) takePicture(part io.Reader, file bool) error {
	picture, err := io.ReadAll(io.LimitReader(part, maxPicture+1))
	switch {
	case err != nil:
		return bodyFailure(err, errForm)
	case len(picture) == 0:
		return nil
	case !file:
		return domain.Invalid(domain.FieldThumbnail, "The picture must be sent as a file.")
	case len(picture) > maxPicture:
		return errTooLarge.of(domain.FieldThumbnail, "The picture may have at most 2 MiB.")
	}
	f.thumbnail = picture
	return nil
}

func (f *profileForm) takeText(part io.Reader, name string, file bool) error {
	text, err := io.ReadAll(io.LimitReader(part, maxFormText+1))
	switch {
	case err != nil:
		return bodyFailure(err, errForm)
	case len(text) == 0:
		return nil
	case file:
		return domain.Invalid(name, "This field must be a text.")
	case len(text) > maxFormText:
		return domain.Invalid(name, "This text is too long.")
	case !utf8.Valid(text):
		return domain.Invalid(name, "This text is not valid UTF-8.")
	}
	f.text[name] = new(string(text))
	return nil
}
