package domain

import (
	"strings"
	"testing"
	"time"
)

// label63 is the longest label of a host name.
var label63 = strings.Repeat("b", 63)

// emailCases maps what is typed to its canonical key; empty means refused.
var emailCases = []struct{ name, typed, canonical string }{
	{"plain", "ada@example.com", "ada@example.com"},
	{"ASCII letters fold", "Ada.Lovelace@EXAMPLE.Com", "ada.lovelace@example.com"},
	{"a tag is a part of the address", "ada+tag@example.com", "ada+tag@example.com"},
	{"all atom characters", "!#$%&'*+-/=?^_`{|}~1@example.com", "!#$%&'*+-/=?^_`{|}~1@example.com"},
	{"an encoded word is no encoding here", "=?utf-8?q?x?=@example.com", "=?utf-8?q?x?=@example.com"},
	{"a percent sign is no escape", "v%40x%0acc@example.com", "v%40x%0acc@example.com"},
	{"many labels", "a@b.c.d.example.co.uk", "a@b.c.d.example.co.uk"},
	{"an IDN becomes A-labels", "a@exämple.com", "a@xn--exmple-cua.com"},
	{"A-labels stay", "a@xn--exmple-cua.com", "a@xn--exmple-cua.com"},
	{"A-labels fold", "a@XN--EXMPLE-CUA.com", "a@xn--exmple-cua.com"},
	{"mixed labels", "a@exämple.xn--p1ai", "a@xn--exmple-cua.xn--p1ai"},
	{"sharp s is itself", "a@straße.de", "a@xn--strae-oqa.de"},
	{"a host of right-to-left letters", "a@אבג.com", "a@xn--4dbcd.com"},
	{"a homograph has an identity of its own", "a@ex\u0430mple.com", "a@xn--exmple-4nf.com"},
	{"64 in the local part", strings.Repeat("a", 64) + "@example.com", strings.Repeat("a", 64) + "@example.com"},
	{"254 in all", strings.Repeat("a", 63) + "@" + label63 + "." + label63 + "." + label63[:59] + ".de", strings.Repeat("a", 63) + "@" + label63 + "." + label63 + "." + label63[:59] + ".de"},

	{"empty", "", ""},
	{"255 in all", strings.Repeat("a", 64) + "@" + label63 + "." + label63 + "." + label63[:59] + ".de", ""},
	{"254 typed, more as A-labels", strings.Repeat("a", 64) + "@" + strings.Repeat("é.", 20) + label63 + ".com", ""},
	{"65 in the local part", strings.Repeat("a", 65) + "@example.com", ""},
	{"a label of 64", "a@" + label63 + "b.com", ""},
	{"no sign", "example.com", ""},
	{"no local part", "@example.com", ""},
	{"no host", "ada@", ""},
	{"two signs", "ada@example.com@evil.com", ""},
	{"a dotless host", "john@example", ""},
	{"a dotless host with a dot", "john@example.", ""},
	{"a trailing dot", "ada@example.com.", ""},
	{"a leading dot in the host", "ada@.example.com", ""},
	{"two dots in the host", "ada@example..com", ""},
	{"a leading dot", ".ada@example.com", ""},
	{"a trailing dot in the local part", "ada.@example.com", ""},
	{"two dots", "a..da@example.com", ""},
	{"a quoted local part", `"ada"@example.com`, ""},
	{"a quoted local part with a sign", `"v@x, a@evil"@example.com`, ""},
	{"a display name", "Ada <ada@example.com>", ""},
	{"angle brackets", "<ada@example.com>", ""},
	{"a route", "<@evil.com:ada@example.com>", ""},
	{"a comment", "ada@example.com(comment)", ""},
	{"a comment with an address", "v@example.com(a@evil.com)", ""},
	{"a leading comment", "(x)ada@example.com", ""},
	{"a list", "v@example.com,a@evil.com", ""},
	{"a list with a semicolon", "v@example.com;a@evil.com", ""},
	{"a list with a blank", "v@example.com a@evil.com", ""},
	{"a list with a tab", "v@example.com\ta@evil.com", ""},
	{"an encoded list", "v@x%0acc:a@evil.com", ""},
	{"a header", "v@example.com\r\nCc: a@evil.com", ""},
	{"a header in the local part", "v\r\nCc@example.com", ""},
	{"a group", "friends:v@example.com;", ""},
	{"a blank before", " ada@example.com", ""},
	{"a blank after", "ada@example.com ", ""},
	{"a line end", "ada@example.com\n", ""},
	{"NUL", "ada\x00@example.com", ""},
	{"NUL in the host", "ada@exa\x00mple.com", ""},
	{"DEL", "ada\x7f@example.com", ""},
	{"invalid UTF-8", "ada\xff@example.com", ""},
	{"invalid UTF-8 in the host", "ada@exa\xffmple.com", ""},
	{"a lone surrogate in the host", "ada@exa\xed\xa0\x80mple.com", ""},
	{"overlong UTF-8", "ada@exa\xc0\xafmple.com", ""},
	{"the replacement character", "ada@exa\ufffdmple.com", ""},
	{"a noncharacter", "ada@exa\ufffemple.com", ""},
	{"a bidi override", "ada@exa\u202emple.com", ""},
	{"a bidi override in the local part", "ad\u202ea@example.com", ""},
	{"a Kelvin sign in the host", "ada@\u212aexample.com", ""},
	{"a Kelvin sign", "mi\u212ae@example.com", ""},
	{"a dotted capital I", "M\u0130KE@example.com", ""},
	{"a dotted capital I in the host", "a@G\u0130THUB.com", ""},
	{"a long s", "u\u017fer@example.com", ""},
	{"a long s in the host", "a@mi\u017f.com", ""},
	{"a dotless i", "m\u0131ke@example.com", ""},
	{"an accent", "vict\u00edm@example.com", ""},
	{"a decomposed accent", "victi\u0301m@example.com", ""},
	{"a decomposed host", "a@e\u0301xample.com", ""},
	{"a capital outside of ASCII", "a@EXÄMPLE.com", ""},
	{"full width", "\uff56ictim@example.com", ""},
	{"full width in the host", "a@\uff45xample.com", ""},
	{"a full-width sign", "a\uff20example.com", ""},
	{"an ideographic full stop", "a@example\u3002com", ""},
	{"a ligature", "a@\ufb01nd.com", ""},
	{"a soft hyphen", "vic\u00adtim@example.com", ""},
	{"a soft hyphen in the host", "a@exam\u00adple.com", ""},
	{"a joiner in the host", "a@exam\u200dple.com", ""},
	{"a zero-width space in the host", "a@exam\u200bple.com", ""},
	{"an A-label that is plain ASCII", "a@xn--example-.com", ""},
	{"an A-label of nothing", "a@xn--.com", ""},
	{"an A-label of no letter", "a@xn--a.com", ""},
	{"an A-label of a capital", "a@xn--exmple-xna.com", ""},
	{"a leading hyphen", "a@-example.com", ""},
	{"a trailing hyphen", "a@example-.com", ""},
	{"hyphens three and four", "a@ex--ample.com", ""},
	{"an underscore", "a@ex_ample.com", ""},
	{"letters and digits of two directions", "a@1א.com", ""},
	{"an address literal", "a@[127.0.0.1]", ""},
	{"an IPv6 literal", "a@[IPv6:::1]", ""},
	{"an IPv4 address", "a@127.0.0.1", ""},
	{"an IPv4 address of another base", "a@127.0.0.0x1", ""},
	{"a port", "a@example.com:25", ""},
	{"a path", "a@example.com/x", ""},
	{"Arabic digits for an address", "a@\u0661\u0662\u0667.\u0661", ""},
}

func TestParseEmail(t *testing.T) {
	for _, c := range emailCases {
		t.Run(c.name, func(t *testing.T) {
			got, err := ParseEmail(c.typed)
			if c.canonical == "" {
				if !IsKind(err, KindInvalid) || got != (Email{}) {
					t.Errorf("%q parsed to %+v (%v), want a refusal", c.typed, got, err)
				}
				return
			}
			if want := (Email{c.typed, c.canonical}); err != nil || got != want {
				t.Errorf("%q parsed to %+v (%v), want %+v", c.typed, got, err, want)
			}
		})
	}
}

// Addresses are refused by their length before any parser sees them.
func TestParseEmailIsBounded(t *testing.T) {
	for _, typed := range []string{
		strings.Repeat("(", 64<<10), strings.Repeat(`"\`, 64<<10), "a@[" + strings.Repeat("1", 64<<10), strings.Repeat("\xff", 64<<10),
	} {
		start := time.Now()
		if _, err := ParseEmail(typed); err == nil {
			t.Errorf("%.10q… was parsed", typed)
		}
		if took := time.Since(start); took > 100*time.Millisecond {
			t.Errorf("%.10q… took %s", typed, took)
		}
	}
}
