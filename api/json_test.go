package api

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"unicode/utf8"
)

var corpusNames = []string{"email", "password"}

// accepted documents, with what they say as encoding/json writes it.
var accepted = map[string]string{
	`{}`:                               `{}`,
	" \t\r\n{ } \n":                    `{}`,
	`{"email":"a"}`:                    `{"email":"a"}`,
	`{"email":null}`:                   `{"email":null}`,
	`{"email":""}`:                     `{"email":""}`,
	`{"password":"b","email":"a"}`:     `{"email":"a","password":"b"}`,
	`{"email":"\u0061\n\t\"\\\/"}`:     `{"email":"a\n\t\"\\/"}`,
	`{"email":"\ud83d\ude00"}`:         `{"email":"😀"}`,
	`{"email":"😀é"}`:                   `{"email":"😀é"}`,
	`{"email":"` + "\ufffd" + `"}`:     `{"email":"` + "\ufffd" + `"}`,
	`{"\u0065mail":"a"}`:               `{"email":"a"}`,
	`{"email":"\u0000"}`:               `{"email":"\u0000"}`,
	`{"email":"{\"password\":\"x\"}"}`: `{"email":"{\"password\":\"x\"}"}`,
	"{\n\"email\"\n:\n\"a\"\n,\"password\":\t\"b\"}": `{"email":"a","password":"b"}`,
	`{"email":"` + strings.Repeat("a", 60000) + `"}`: `{"email":"` + strings.Repeat("a", 60000) + `"}`,
	`{"email":"\u007f\u2028\u202e"}`:                 `{"email":"` + "\u007f\\u2028\u202e" + `"}`,
}

// refused documents.
var refused = []string{
	// nothing, or no object
	``, ` `, `null`, `true`, `0`, `""`, `"email"`, `[]`, `[{}]`, `[{"email":"a"}]`, `email=a`, `<a/>`, `undefined`, `NaN`,
	// broken off or too much
	`{`, `{"`, `{"email`, `{"email"`, `{"email":`, `{"email":"a`, `{"email":"a"`, `{"email":"a",`, `{"email":"a",}`, `{,}`, `{"email":"a"}}`,
	`{}{}`, `{} {}`, `{}null`, `{}x`, `{};`, `{}` + "\x00", `{"email":"a"}{"email":"b"}`, `{"email":"a"} ,`, `{"email":"a" "password":"b"}`,
	`}`, `{]`, `{"email":"a"]`, `{:}`, `{"email" "a"}`, `{"email"::"a"}`, `{"email":,}`, `{"email":"a",,"password":"b"}`,
	// not JSON, though some parsers take it
	"\ufeff{}", "\xef\xbb\xbf{\"email\":\"a\"}", `{'email':'a'}`, `{email:"a"}`, `{"email":'a'}`, `{"email":"a"/**/}`, "{//c\n}", `# {}`,
	`{"email":NaN}`, `{"email":Infinity}`, `{"email":undefined}`, `{"email":nul}`, `{"email":NULL}`, `{"email":nullx}`, `{"email":"a\x41"}`, `{"email":"\'"}`,
	`{"email":"\u00"}`, `{"email":"\u00zz"}`, `{"email":"\U0041"}`, "{\"email\":\"a\nb\"}", "{\"email\":\"a\tb\"}", "{\"email\":\"a\x00b\"}", "{\"email\":\"\x1f\"}",
	"\v{}", "\f{}", "\u00a0{}", "{}\u00a0", "\x1e{}", "{\u2028}",
	// text that is none
	"{\"email\":\"\xff\"}", "{\"email\":\"\xc0\xaf\"}", "{\"email\":\"\xed\xa0\x80\"}", "{\"email\":\"\xf4\x90\x80\x80\"}", "{\"email\":\"\xe2\x82\"}", "{\"\xff\":\"a\"}",
	`{"email":"\ud800"}`, `{"email":"\udc00"}`, `{"email":"\ud800\ud800"}`, `{"email":"\ud83dx"}`, `{"email":"\ude00\ud83d"}`, `{"\ud800":"a"}`,
	// duplicates
	`{"email":"a","email":"b"}`, `{"email":"a","email":"a"}`, `{"email":null,"email":"b"}`, `{"email":"a","\u0065mail":"b"}`, `{"email":"a","password":"b","email":"c"}`,
	// names that are almost ours
	`{"Email":"a"}`, `{"EMAIL":"a"}`, `{"eMail":"a"}`, `{"email ":"a"}`, `{" email":"a"}`, `{"email\u0000":"a"}`, `{"paſſword":"a"}`, `{"\u212aey":"a"}`, `{"passworD":"a"}`,
	`{"ｅmail":"a"}`, `{"е` + `mail":"a"}`, `{"email\u200b":"a"}`, `{"":"a"}`, `{"e-mail":"a"}`,
	// members that are not ours
	`{"is_staff":true}`, `{"iſ_ſtaff":true}`, `{"id":"x"}`, `{"email":"a","is_active":true}`, `{"__proto__":{}}`, `{"email":"a","roles":["admin"]}`, `{"email":"a","x":1e400}`,
	// values that are no texts
	`{"email":0}`, `{"email":1}`, `{"email":-1}`, `{"email":1.5e3}`, `{"email":1e400}`, `{"email":true}`, `{"email":false}`, `{"email":[]}`, `{"email":[""]}`, `{"email":["a"]}`,
	`{"email":["a","b"]}`, `{"email":{}}`, `{"email":{"$ne":null}}`, `{"email":{"email":"a"}}`, `{"email":[[[[]]]]}`, `{"email":01}`, `{"email":+1}`, `{"email":.5}`, `{"email":0x1}`,
	`{"email":` + strings.Repeat("[", 17) + strings.Repeat("]", 17) + `}`, `{"email":` + strings.Repeat("[", 10000), strings.Repeat(`{"email":`, 5000), strings.Repeat("[", 60000),
}

func TestStrictJSON(t *testing.T) {
	t.Parallel()
	if n := len(accepted) + len(refused); n < 100 {
		t.Fatalf("the corpus has %d documents", n)
	}
	for document, want := range accepted {
		got, err := parseObject([]byte(document), corpusNames)
		if err != nil {
			t.Errorf("%.80q: %v", document, err)
			continue
		}
		if encoded, _ := json.Marshal(got); string(encoded) != want {
			t.Errorf("%.80q is read as %.80s", document, encoded)
		}
	}
	for _, document := range refused {
		if got, err := parseObject([]byte(document), corpusNames); err == nil || got != nil {
			t.Errorf("%.80q is read as %v", document, got)
		}
	}
}

func TestRefusedJSONIsNever5xxAndChangesNothing(t *testing.T) {
	t.Parallel()
	s := newService(t)
	for _, path := range []string{"/users/login/", "/users/register/", "/users/password-change/change-user-password/"} {
		for _, document := range refused {
			wantProblem(t, s.post(path, document), http.StatusBadRequest)
		}
	}
	wantProblem(t, s.post("/users/login/", `{"email":"`+strings.Repeat("a", maxJSON)+`"}`), http.StatusRequestEntityTooLarge)
	if appends, _ := s.counted(); appends != 0 {
		t.Errorf("%d appends", appends)
	}
}

func TestJSONMediaTypes(t *testing.T) {
	t.Parallel()
	s := newService(t)
	const body = `{"email":"a@example.org","password":"wrong password"}`
	for _, media := range []string{"application/json", "application/json; charset=utf-8", "Application/JSON;charset=UTF-8", `application/json; charset="utf-8"`} {
		wantProblem(t, s.do("POST", "/users/login/", body, "Content-Type", media), http.StatusBadRequest)
	}
	for _, media := range []string{
		"", "text/plain", "text/json", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "application/json-patch+json",
		"application/merge-patch+json", "application/json; charset=utf-16", "application/json; charset=latin1", "application/json, text/plain", "application/json;;=", "text/plain;application/json",
	} {
		wantProblem(t, s.do("POST", "/users/login/", body, "Content-Type", media), http.StatusUnsupportedMediaType)
	}
	wantProblem(t, s.do("POST", "/users/login/", body), http.StatusUnsupportedMediaType)
	wantProblem(t, s.post("/users/login/", body, "Content-Type", "text/plain"), http.StatusUnsupportedMediaType)
	for _, encoding := range []string{"gzip", "br", "deflate", "identity, gzip", "x"} {
		wantProblem(t, s.post("/users/login/", body, "Content-Encoding", encoding), http.StatusUnsupportedMediaType)
	}
}

// FuzzParseObject compares with the standard decoder: whatever the strict one
// takes, the loose one takes as the same.
func FuzzParseObject(f *testing.F) {
	for document := range accepted {
		f.Add([]byte(document))
	}
	for _, document := range refused {
		f.Add([]byte(document))
	}
	f.Fuzz(func(t *testing.T, document []byte) {
		got, err := parseObject(document, corpusNames)
		if err != nil {
			return
		}
		var loose map[string]*string
		if err := json.Unmarshal(document, &loose); err != nil {
			t.Fatalf("%q is no JSON: %v", document, err)
		}
		strictly, _ := json.Marshal(got)
		loosely, _ := json.Marshal(loose)
		if string(strictly) != string(loosely) || !utf8.Valid(document) {
			t.Fatalf("%q is read as %s and as %s", document, strictly, loosely)
		}
	})
}
