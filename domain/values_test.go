package domain

import (
	"errors"
	"strings"
	"testing"
	"time"
)

// valueCase maps what is typed to what is stored; empty means refused.
type valueCase struct{ name, typed, stored string }

func runValues(t *testing.T, cases []valueCase, parse func(string) (string, error)) {
	t.Helper()
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			got, err := parse(c.typed)
			if got != c.stored || (err == nil) != (c.stored != "") {
				t.Fatalf("%q parsed to %q (%v), want %q", c.typed, got, err, c.stored)
			}
			if err != nil && !IsKind(err, KindInvalid) {
				t.Errorf("error %v is no refusal", err)
			}
			if err == nil && !storable(got) {
				t.Errorf("%q cannot be stored", got)
			}
		})
	}
}

var nameCases = []valueCase{
	{"plain", "Ada", "Ada"},
	{"one character", "株", "株"},
	{"trimmed", " \t\u00a0Ada \n", "Ada"},
	{"inner blanks", "Ada  King", "Ada  King"},
	{"apostrophe and hyphen", "O'Hara-Söhne", "O'Hara-Söhne"},
	{"decomposed becomes composed", "Zoe\u0308", "Zoë"},
	{"markup is data", "<script>alert(1)</script>", "<script>alert(1)</script>"},
	{"a statement is data", "'; DROP TABLE accounts; --", "'; DROP TABLE accounts; --"},
	{"digits", "R2-D2", "R2-D2"},
	{"emoji", "Ada \U0001f600", "Ada \U0001f600"},
	{"Persian with a joiner", "می\u200cخواهم", "می\u200cخواهم"},
	{"Sinhala with a joiner", "ශ්\u200dරී", "ශ්\u200dරී"},
	{"150 characters", strings.Repeat("é", 150), strings.Repeat("é", 150)},
	{"150 decomposed characters", strings.Repeat("e\u0301", 150), strings.Repeat("é", 150)},

	{"empty", "", ""},
	{"blanks", " \t\u2003", ""},
	{"only a joiner", "\u200d", ""},
	{"only a mark", "\u0301", ""},
	{"151 characters", strings.Repeat("é", 151), ""},
	{"marks without end", "Z" + strings.Repeat("\u0301", 10_000), ""},
	{"NUL", "A\x00da", ""},
	{"a line end inside", "A\nda", ""},
	{"a tab inside", "A\tda", ""},
	{"escape", "A\x1b[31mda", ""},
	{"DEL", "A\x7fda", ""},
	{"C1 control", "A\u0085da", ""},
	{"line separator", "A\u2028da", ""},
	{"paragraph separator", "A\u2029da", ""},
	{"bidi override", "A\u202eda", ""},
	{"bidi isolate", "A\u2066da", ""},
	{"right-to-left mark", "A\u200fda", ""},
	{"zero-width space", "A\u200bda", ""},
	{"byte order mark", "\ufeffAda", ""},
	{"soft hyphen", "A\u00adda", ""},
	{"tag character", "A\U000e0041da", ""},
	{"private use", "A\ue000da", ""},
	{"noncharacter FFFE", "A\ufffeda", ""},
	{"noncharacter FFFF", "A\uffffda", ""},
	{"noncharacter of another plane", "A\U0001ffffda", ""},
	{"unassigned", "A\u0378da", ""},
	{"replacement character", "A\ufffdda", ""},
	{"invalid UTF-8", "A\xffda", ""},
	{"invalid UTF-8 at the end", "Ada\xe2\x82", ""},
	{"a lone surrogate", "A\xed\xa0\x80da", ""},
	{"overlong UTF-8", "A\xc0\x80da", ""},
}

func TestParseName(t *testing.T) {
	runValues(t, nameCases, func(typed string) (string, error) { return ParseName(FieldFirstName, typed) })
	_, err := ParseName(FieldLastName, "")
	if e, ok := errors.AsType[*Error](err); !ok || e.Fields[FieldLastName] == "" || e.Code != "invalid_last_name" {
		t.Errorf("refusal %v does not name the field", err)
	}
}

var phoneCases = []valueCase{
	{"E.164", "+2348145359073", "+2348145359073"},
	{"blanks", " +234 814 535 9073 ", "+2348145359073"},
	{"brackets and hyphens", "+1 (201) 555-0123", "+12015550123"},
	{"Italian zero", "+39 06 1234 5678", "+390612345678"},
	{"free phone", "+800 1234 5678", "+80012345678"},

	{"empty", "", ""},
	{"only a sign", "+", ""},
	{"national", "08145359073", ""},
	{"international prefix", "002348145359073", ""},
	{"two signs", "++2348145359073", ""},
	{"a sign inside", "+234+8145359073", ""},
	{"too short", "+23481", ""},
	{"too long", "+23481453590731234", ""},
	{"no such country", "+9991234567", ""},
	{"no such number", "+12000000000", ""},
	{"letters", "+1800FLOWERS", ""},
	{"extension", "+12015550123 ext. 5", ""},
	{"extension by sign", "+12015550123;ext=5", ""},
	{"full-width digits", "+２３４８１４５３５９０７３", ""},
	{"Arabic digits", "+٢٣٤٨١٤٥٣٥٩٠٧٣", ""},
	{"full-width sign", "＋2348145359073", ""},
	{"NUL", "+23481\x004535907", ""},
	{"two lines", "+2348145359073\n+2348145359074", ""},
	{"bidi override", "\u202e+2348145359073", ""},
	{"a statement", "+2348145359073'--", ""},
	{"blanks without end", "+2348145359073" + strings.Repeat(" -", 10_000) + "1", ""},
	{"digits without end", "+" + strings.Repeat("1", 64<<10), ""},
}

func TestParsePhoneNumber(t *testing.T) { runValues(t, phoneCases, ParsePhoneNumber) }

var githubCases = []valueCase{
	{"user", "https://github.com/Sirneij", "https://github.com/Sirneij"},
	{"trimmed", " https://github.com/Sirneij ", "https://github.com/Sirneij"},
	{"trailing slash", "https://github.com/Sirneij/", "https://github.com/Sirneij/"},
	{"page below", "https://github.com/Sirneij/django-auth_backend/blob/v1.0/~x", "https://github.com/Sirneij/django-auth_backend/blob/v1.0/~x"},
	{"39 in the user", "https://github.com/" + strings.Repeat("a", 39), "https://github.com/" + strings.Repeat("a", 39)},
	{"300 in all", "https://github.com/a/" + strings.Repeat("b", 279), "https://github.com/a/" + strings.Repeat("b", 279)},

	{"empty", "", ""},
	{"no user", "https://github.com/", ""},
	{"no path", "https://github.com", ""},
	{"40 in the user", "https://github.com/" + strings.Repeat("a", 40), ""},
	{"301 in all", "https://github.com/a/" + strings.Repeat("b", 280), ""},
	{"plain http", "http://github.com/a", ""},
	{"no scheme", "github.com/a", ""},
	{"scheme-relative", "//github.com/a", ""},
	{"script", "javascript:alert(1)", ""},
	{"script with the host", "javascript://github.com/%0aalert(1)", ""},
	{"data", "data:text/html,<script>", ""},
	{"another host", "https://evil.example/a", ""},
	{"a host below", "https://x.github.com/a", ""},
	{"a longer host", "https://github.com.evil.example/a", ""},
	{"userinfo", "https://github.com@evil.example/a", ""},
	{"userinfo before", "https://evil@github.com/a", ""},
	{"userinfo in the path", "https://github.com/a@evil.example", ""},
	{"port", "https://github.com:8443/a", ""},
	{"homograph", "https://github.\u0441om/a", ""},
	{"homograph in the user", "https://github.com/Sirn\u0435ij", ""},
	{"full stop of another script", "https://github\u3002com/a", ""},
	{"backslash", `https://github.com\@evil.example/a`, ""},
	{"backslash in the path", `https://github.com/a\b`, ""},
	{"dots up", "https://github.com/a/../../login", ""},
	{"encoded dots", "https://github.com/a/%2e%2e/b", ""},
	{"query", "https://github.com/a?x=1", ""},
	{"fragment", "https://github.com/a#x", ""},
	{"user of dots", "https://github.com/.", ""},
	{"blank inside", "https://github.com/a b", ""},
	{"markup", `https://github.com/a"><script>`, ""},
	{"line end inside", "https://github.com/a\nb", ""},
	{"NUL", "https://github.com/a\x00", ""},
	{"invalid UTF-8", "https://github.com/a\xff", ""},
	{"bidi override", "https://github.com/a\u202e", ""},
	{"noncharacter", "https://github.com/a\ufffe", ""},
}

func TestParseGithubLink(t *testing.T) { runValues(t, githubCases, ParseGithubLink) }

var dateCases = []valueCase{
	{"plain", "1990-02-28", "1990-02-28"},
	{"trimmed", " 1990-02-28\n", "1990-02-28"},
	{"a leap day", "2000-02-29", "2000-02-29"},
	{"the first", "1900-01-01", "1900-01-01"},
	{"today", "2026-11-25", "2026-11-25"},
	{"today in the east", "2026-11-26", "2026-11-26"},

	{"tomorrow everywhere", "2026-11-27", ""},
	{"before the first", "1899-12-31", ""},
	{"empty", "", ""},
	{"no leap day", "1900-02-29", ""},
	{"30 February", "1990-02-30", ""},
	{"month 13", "1990-13-01", ""},
	{"day 0", "1990-01-00", ""},
	{"year 0", "0000-01-01", ""},
	{"year 10000", "10000-01-01", ""},
	{"negative year", "-1990-01-01", ""},
	{"signed year", "+1990-01-01", ""},
	{"short members", "1990-2-8", ""},
	{"another order", "28.02.1990", ""},
	{"slashes", "1990/02/28", ""},
	{"with a time", "1990-02-28T00:00:00Z", ""},
	{"with a zone", "1990-02-28+02:00", ""},
	{"seconds", "636163200", ""},
	{"infinity", "infinity", ""},
	{"not a number", "NaN", ""},
	{"a word", "today", ""},
	{"full-width digits", "１９９０-02-28", ""},
	{"Arabic digits", "١٩٩٠-02-28", ""},
	{"another hyphen", "1990\u201002\u201028", ""},
	{"NUL", "1990-02-2\x00", ""},
	{"NUL after", "1990-02-28\x00", ""},
	{"invalid UTF-8", "1990-02-2\xff", ""},
	{"before Christ", "1990-02-28 BC", ""},
}

func TestParseBirthDate(t *testing.T) {
	runValues(t, dateCases, func(typed string) (string, error) { return ParseBirthDate(typed, noon) })
}

// The date line is where today begins, and the place of the clock is no matter.
func TestParseBirthDateToday(t *testing.T) {
	begins := time.Date(2026, 11, 25, 10, 0, 0, 0, time.UTC)
	for _, zone := range []*time.Location{time.UTC, time.FixedZone("west", -12*3600), time.FixedZone("east", 14*3600)} {
		if _, err := ParseBirthDate("2026-11-26", begins.In(zone)); err != nil {
			t.Errorf("the day has begun in the east: %v", err)
		}
		if _, err := ParseBirthDate("2026-11-26", begins.Add(-1).In(zone)); err == nil {
			t.Error("the day has begun nowhere")
		}
	}
}
