package api

import (
	"bytes"
	"errors"
	"io"
	"maps"
	"mime"
	"net/http"
	"slices"
	"strings"

	"github.com/go-json-experiment/json/jsontext"

	"daybook/domain"
)

// maxJSON bounds a JSON body, in bytes.
const maxJSON = 64 << 10

// object holds the members of a request body: texts, or nil for null. No request
// of ours has other values, so nothing nests and nothing can be nested deep.
type object map[string]*string

// text returns the member, or "" when it is absent or null.
func (o object) text(name string) string {
	if value := o[name]; value != nil {
		return *value
	}
	return ""
}

// missing returns a sentence for each of the names that has no text.
func (o object) missing(names ...string) map[string]string {
	fields := map[string]string{}
	for _, name := range names {
		if o.text(name) == "" {
			fields[name] = "This field is required."
		}
	}
	return fields
}

// readObject reads the body as one JSON object with members of the given names.
func readObject(w http.ResponseWriter, r *http.Request, names ...string) (object, error) {
	if err := checkMedia(r, "application/json"); err != nil {
		return nil, err
	}
	return readMembers(w, r, names)
}

func readMembers(w http.ResponseWriter, r *http.Request, names []string) (object, error) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxJSON))
	if err != nil {
		return nil, bodyFailure(err, errJSON)
	}
	return parseObject(body, names)
}

// checkMedia refuses bodies of other types, and compressed ones, which could be
// a thousand times larger than they look.
func checkMedia(r *http.Request, types ...string) error {
	if encoding := r.Header.Get("Content-Encoding"); encoding != "" && !strings.EqualFold(encoding, "identity") {
		return errEncoding
	}
	values := r.Header.Values("Content-Type")
	if len(values) != 1 {
		return errMediaType
	}
	media, parameters, err := mime.ParseMediaType(values[0])
	if err != nil || !slices.Contains(types, media) {
		return errMediaType
	}
	if charset, ok := parameters["charset"]; ok && !strings.EqualFold(charset, "utf-8") {
		return errMediaType
	}
	return nil
}

// parseObject is strict (RFC 8259 with the advice of RFC 7493): it refuses what
// two parsers could read differently. Names are compared byte for byte;
// duplicates, invalid UTF-8 and lone surrogates are refused by the decoder.
func parseObject(body []byte, names []string) (object, error) {
	decoder := jsontext.NewDecoder(bytes.NewReader(body))
	if decoder.PeekKind() != '{' {
		return nil, errJSON
	}
	if _, err := decoder.ReadToken(); err != nil {
		return nil, errJSON
	}
	members, err := readUntilEnd(decoder, names)
	if err != nil {
		return nil, err
	}
	if _, err := decoder.ReadToken(); !errors.Is(err, io.EOF) {
		return nil, errJSON
	}
	return members, nil
}

func readUntilEnd(decoder *jsontext.Decoder, names []string) (object, error) {
	members := object{}
	for {
		name, err := decoder.ReadToken()
		if err != nil {
			return nil, errJSON
		}
		if name.Kind() == '}' {
			return members, nil
		}
		key := name.String()
		if !slices.Contains(names, key) {
			return nil, unknownField(key)
		}
		if members[key], err = readText(decoder, key); err != nil {
			return nil, err
		}
	}
}

// unknownField names the member, if it is short enough to be a mistake and not
// an attack.
func unknownField(name string) error {
	const longest = 64
	if len(name) > longest {
		return errUnknownField
	}
	named := *errUnknownField
	named.fields = map[string]string{name: "This member is not known here."}
	return &named
}

// readText reads one value: a text or null. Anything else is refused before it
// is read.
func readText(decoder *jsontext.Decoder, name string) (*string, error) {
	switch kind := decoder.PeekKind(); kind {
	case '"', 'n':
		token, err := decoder.ReadToken()
		if err != nil {
			return nil, errJSON
		}
		if kind == 'n' {
			return nil, nil
		}
		return new(token.String()), nil
	case '{', '[', 't', 'f', '0':
		return nil, notText(name)
	}
	return nil, errJSON
}

func notText(name string) error {
	if name == "email" {
		return domain.ErrEmailInvalid
	}
	return domain.Invalid(name, "This field must be a text.")
}

// required returns the sentences as one refusal that says sentence.
func required(sentence string, fields map[string]string) error {
	return &domain.Error{Kind: domain.KindInvalid, Code: "required", Message: sentence, Fields: maps.Clone(fields)}
}
