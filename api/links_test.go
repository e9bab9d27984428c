package api

import (
	"encoding/base64"
	"net/url"
	"strings"
	"testing"

	"github.com/google/uuid"
)

var someID = uuid.MustParse("4f0fbb5d-7e35-4c86-9a4e-3f6a1c0a7b12")

func TestIDHasOneSpelling(t *testing.T) {
	t.Parallel()
	right := encodeID(someID)
	if got, ok := decodeID(right); !ok || got != someID || len(right) != 48 || strings.ContainsAny(right, "=+/") {
		t.Fatalf("%q is read as %v", right, got)
	}
	text := someID.String()
	raw := base64.RawURLEncoding
	wrong := map[string]string{
		"padded": base64.URLEncoding.EncodeToString([]byte(text)) + "=", "upper case text": raw.EncodeToString([]byte(strings.ToUpper(text))),
		"braces": raw.EncodeToString([]byte("{" + text + "}")), "urn": raw.EncodeToString([]byte("urn:uuid:" + text)),
		"no dashes": raw.EncodeToString([]byte(strings.ReplaceAll(text, "-", ""))), "16 bytes": raw.EncodeToString(someID[:]),
		"the text itself": text, "empty": "", "blank before": " " + right, "line break": right[:20] + "\n" + right[20:], "carriage return": right + "\r",
		"cut off": right[:47], "longer": right + "A", "NUL": right + "\x00", "another alphabet": right[:47] + "+", "trailing dot": right + ".",
	}
	for why, encoded := range wrong {
		if got, ok := decodeID(encoded); ok {
			t.Errorf("%s: %q is read as %v", why, encoded, got)
		}
	}
}

func FuzzDecodeID(f *testing.F) {
	f.Add(encodeID(someID))
	f.Add(base64.RawURLEncoding.EncodeToString([]byte("{" + someID.String() + "}")))
	f.Add("\n" + encodeID(someID))
	f.Fuzz(func(t *testing.T, encoded string) {
		if id, ok := decodeID(encoded); ok && encodeID(id) != encoded {
			t.Fatalf("%q is a second spelling of %v", encoded, id)
		}
	})
}

func TestSplitToken(t *testing.T) {
	t.Parallel()
	id := encodeID(someID)
	if got, token, ok := splitToken(id + ":k.abc"); !ok || got != someID || token != "k.abc" {
		t.Errorf("%v %q %v", got, token, ok)
	}
	for _, combined := range []string{"", ":", id, id + ":", ":k.abc", id + ":k:abc", id + "::abc", "x:k.abc", id + " :k.abc", "k.abc:" + id} {
		if _, _, ok := splitToken(combined); ok {
			t.Errorf("%q is split", combined)
		}
	}
}

func TestRedirectsFitTheFrontend(t *testing.T) {
	t.Parallel()
	for base, config := range map[string]Config{
		frontend:             {PublicURL: public, FrontendURL: frontend + "/"},
		public:               {PublicURL: public + "/"},
		frontend + "/some/a": {PublicURL: public, FrontendURL: frontend + "/some/a/"},
	} {
		c := config.WithDefaults()
		for _, address := range []string{c.confirmedURL(), c.linkRefusedURL(), c.newPasswordURL(someID, "k.abc_-")} {
			rest, ok := strings.CutPrefix(address, base+"/auth/")
			u, err := url.Parse(address)
			if !ok || err != nil || strings.Count(rest, "=") > 1 || strings.ContainsAny(rest, "&+ #") || len(u.Query()) > 1 {
				t.Errorf("%q", address)
			}
		}
		if got := c.newPasswordURL(someID, "k.abc_-"); !strings.HasSuffix(got, "?token="+encodeID(someID)+":k.abc_-") {
			t.Errorf("%q", got)
		}
	}
}
