package api

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"daybook/domain"
)

// part is one part of a form, with its headers as sent.
type part struct{ header, body string }

func text(name, body string) part {
	return part{fmt.Sprintf("Content-Disposition: form-data; name=%q", name), body}
}

func file(name, filename, body string) part {
	return part{fmt.Sprintf("Content-Disposition: form-data; name=%q; filename=%q\r\nContent-Type: image/png", name, filename), body}
}

const boundary = "xxBOUNDARYxx"

func encodeForm(parts ...part) string {
	var b strings.Builder
	for _, p := range parts {
		fmt.Fprintf(&b, "--%s\r\n%s\r\n\r\n%s\r\n", boundary, p.header, p.body)
	}
	return b.String() + "--" + boundary + "--\r\n"
}

func parseForm(body, contentType string, header ...string) (profileForm, error) {
	r := httptest.NewRequest("PATCH", "/users/update-user/?first_name=Query&is_staff=1", strings.NewReader(body))
	r.Header.Set("Content-Type", contentType)
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	return readForm(httptest.NewRecorder(), r)
}

const formType = "multipart/form-data; boundary=" + boundary

func TestFormTakesWhatIsSupplied(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		parts     []part
		text      map[string]string
		thumbnail string
	}{
		"nothing": {nil, map[string]string{}, ""},
		"all fields": {
			[]part{text("first_name", "Ada"), text("last_name", "King"), text("phone_number", "+1"), text("birth_date", "x"), text("github_link", "y"), file("thumbnail", "a.png", "PNG")},
			map[string]string{"first_name": "Ada", "last_name": "King", "phone_number": "+1", "birth_date": "x", "github_link": "y"}, "PNG",
		},
		"empty is not supplied": {
			[]part{text("first_name", ""), text("thumbnail", ""), file("last_name", "", "")}, map[string]string{}, "",
		},
		"no line break at the end":            {[]part{text("first_name", "Ada")}, map[string]string{"first_name": "Ada"}, ""},
		"an empty file, as browsers send it":  {[]part{file("thumbnail", "", "")}, map[string]string{}, ""},
		"a file without a name":               {[]part{file("thumbnail", "", "PNG")}, map[string]string{}, "PNG"},
		"names of files mean nothing":         {[]part{file("thumbnail", `..\..\x`, "PNG")}, map[string]string{}, "PNG"},
		"others' fields are passed over":      {[]part{text("is_staff", "true"), text("email", "x@example.org"), text("id", "1"), text("is_staff", "1"), file("x", "y", "z"), text("first_name", "Ada")}, map[string]string{"first_name": "Ada"}, ""},
		"almost our names are others'":        {[]part{text("First_name", "x"), text("first_name ", "x"), text("firſt_name", "x"), text("profile.first_name", "x"), text("", "x")}, map[string]string{}, ""},
		"white space is kept for the checker": {[]part{text("first_name", "  ")}, map[string]string{"first_name": "  "}, ""},
		"an encoding of a part is not undone": {[]part{{"Content-Disposition: form-data; name=\"first_name\"\r\nContent-Transfer-Encoding: quoted-printable", "=41da"}}, map[string]string{"first_name": "=41da"}, ""},
		"a type of a text part means nothing": {[]part{{"Content-Disposition: form-data; name=\"first_name\"\r\nContent-Type: application/json", "{}"}}, map[string]string{"first_name": "{}"}, ""},
	}
	for why, c := range cases {
		body := encodeForm(c.parts...)
		if why == "no line break at the end" {
			body = strings.TrimSuffix(body, "\r\n")
		}
		form, err := parseForm(body, formType)
		if err != nil {
			t.Errorf("%s: %v", why, err)
			continue
		}
		got := map[string]string{}
		for name := range form.text {
			got[name] = form.text.text(name)
		}
		if fmt.Sprint(got) != fmt.Sprint(c.text) || string(form.thumbnail) != c.thumbnail {
			t.Errorf("%s: %v and %q", why, got, form.thumbnail)
		}
	}
}

func TestFormRefusals(t *testing.T) {
	t.Parallel()
	big := strings.Repeat("a", maxPicture+1)
	cases := map[string]struct {
		body   string
		status int
		field  string
	}{
		"two of a field":        {encodeForm(text("first_name", "a"), text("first_name", "b")), 400, "first_name"},
		"two, the first empty":  {encodeForm(text("first_name", ""), text("first_name", "b")), 400, "first_name"},
		"two pictures":          {encodeForm(file("thumbnail", "a", "x"), file("thumbnail", "a", "x")), 400, "thumbnail"},
		"picture as text":       {encodeForm(text("thumbnail", "http://169.254.169.254/")), 400, "thumbnail"},
		"name as file":          {encodeForm(file("first_name", "a.txt", "Ada")), 400, "first_name"},
		"picture too large":     {encodeForm(file("thumbnail", "a", big)), 413, "thumbnail"},
		"text too large":        {encodeForm(text("first_name", strings.Repeat("a", maxFormText+1))), 400, "first_name"},
		"invalid UTF-8":         {encodeForm(text("first_name", "\xff")), 400, "first_name"},
		"form too large":        {encodeForm(file("other", "a", big+big)), 413, ""},
		"too many parts":        {encodeForm(slicesOf(maxFormParts+1, text("x", "y"))...), 400, ""},
		"empty body":            {"", 400, ""},
		"no closing boundary":   {strings.TrimSuffix(encodeForm(text("first_name", "Ada")), "--\r\n"), 400, ""},
		"broken off in a part":  {encodeForm(text("first_name", "Ada"))[:60], 400, ""},
		"another boundary":      {strings.ReplaceAll(encodeForm(text("first_name", "Ada")), boundary, "other"), 400, ""},
		"no disposition":        {encodeForm(part{"Content-Type: text/plain", "x"}), 400, ""},
		"attachment":            {encodeForm(part{`Content-Disposition: attachment; name="first_name"`, "x"}), 400, ""},
		"malformed disposition": {encodeForm(part{`Content-Disposition: form-data; name="a"; name="first_name"`, "x"}), 400, ""},
		"NUL in a header":       {encodeForm(part{"Content-Disposition: form-data; name=\"thumbnail\"; filename=\"a\x00b\"", "x"}), 400, ""},
		"a header without end":  {"--" + boundary + "\r\nContent-Disposition: " + strings.Repeat("a", 1<<20), 400, ""},
		"many headers":          {encodeForm(part{strings.Repeat("A: b\r\n", 20000) + "Content-Disposition: form-data; name=\"x\"", "y"}), 400, ""},
	}
	for why, c := range cases {
		form, err := parseForm(c.body, formType)
		if err == nil {
			t.Errorf("%s is read as %v", why, form)
			continue
		}
		refused := refusalOf(t.Context(), err)
		if refused.status != c.status || c.field != "" && refused.fields[c.field] == "" {
			t.Errorf("%s: %v %v", why, refused.status, refused)
		}
	}
}

func slicesOf(n int, p part) []part {
	parts := make([]part, n)
	for i := range parts {
		parts[i] = p
	}
	return parts
}

func TestFormMediaTypes(t *testing.T) {
	t.Parallel()
	body := encodeForm(text("first_name", "Ada"))
	for contentType, status := range map[string]int{
		"": 415, "application/json": 415, "application/x-www-form-urlencoded": 415, "multipart/mixed; boundary=" + boundary: 415, "multipart/form-datax; boundary=" + boundary: 415,
		"multipart/form-data": 400, "multipart/form-data; boundary=": 400, "multipart/form-data; boundary=" + strings.Repeat("b", 71): 400,
	} {
		if _, err := parseForm(body, contentType); err == nil || refusalOf(t.Context(), err).status != status {
			t.Errorf("%q: %v", contentType, err)
		}
	}
	if _, err := parseForm(body, formType, "Content-Encoding", "gzip"); !errors.Is(err, errEncoding) {
		t.Errorf("compressed: %v", err)
	}
}

// TestFormIsBoundWhileReading counts what is taken from a body without an end.
func TestFormIsBoundWhileReading(t *testing.T) {
	t.Parallel()
	start := "--" + boundary + "\r\nContent-Disposition: form-data; name=\"thumbnail\"; filename=\"a\"\r\n\r\n"
	body := &counter{r: io.MultiReader(strings.NewReader(start), endless{})}
	r := httptest.NewRequest("PATCH", "/users/update-user/", body)
	r.Header.Set("Content-Type", formType)
	_, err := readForm(httptest.NewRecorder(), r)
	if refusalOf(t.Context(), err).status != http.StatusRequestEntityTooLarge || body.n > maxForm+64<<10 {
		t.Errorf("%v after %d bytes", err, body.n)
	}
}

type endless struct{}

func (endless) Read(p []byte) (int, error) { return copy(p, bytes.Repeat([]byte("a"), len(p))), nil }

type counter struct {
	r io.Reader
	n int
}

func (c *counter) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.n += n
	return n, err
}

func TestIfMatch(t *testing.T) {
	t.Parallel()
	for value, want := range map[string]any{
		`"5"`: int64(5), `"0"`: int64(0), `*`: nil, `W/"5"`: domain.ErrVersion, `"05"`: domain.ErrVersion, `"+5"`: domain.ErrVersion, `5`: domain.ErrVersion, `"x"`: domain.ErrVersion, `""`: domain.ErrVersion,
		`"5"x`: domain.ErrVersion, `"99999999999999999999"`: domain.ErrVersion, `"5", "6"`: errIfMatch,
	} {
		r := httptest.NewRequest("PATCH", "/", nil)
		r.Header.Set("If-Match", value)
		version, err := ifMatch(r)
		var got any
		switch {
		case err != nil:
			got = err
		case version != nil:
			got = *version
		}
		if got != want {
			t.Errorf("%s: %v", value, got)
		}
	}
}
