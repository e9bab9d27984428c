package domain

import (
	"net/mail"
	"strings"
	"unicode/utf8"

	"golang.org/x/net/idna"
	"golang.org/x/text/unicode/norm"
)

// maxEmail is the longest address SMTP can carry (RFC 5321, errata 1690).
const maxEmail = 254

// ErrEmailInvalid refuses what is not exactly one plain address.
var ErrEmailInvalid = Invalid("email", "Enter a valid email address.")

// Email is one plain address. Spelling is what the person typed and where mail
// goes; Canonical decides whether two addresses are the same.
type Email struct {
	Spelling  string
	Canonical string
}

// ParseEmail reads exactly one plain address: no display name, comment, quoted
// local part, address literal, list or dotless domain. Only here is decided what
// "the same address" means: ASCII letters are folded and the domain becomes its
// A-labels (RFC 5891); nothing else is folded, because mail servers do not.
func ParseEmail(typed string) (Email, error) {
	if len(typed) == 0 || len(typed) > maxEmail || !utf8.ValidString(typed) {
		return Email{}, ErrEmailInvalid
	}
	local, host, ok := strings.Cut(typed, "@")
	if !ok || !dotAtom(local) || len(local) > 64 {
		return Email{}, ErrEmailInvalid
	}
	host, err := canonicalHost(host)
	if err != nil {
		return Email{}, err
	}
	canonical := asciiLower(local) + "@" + host
	// A-labels can be longer than what was typed, and they are what SMTP carries.
	if len(canonical) > maxEmail {
		return Email{}, ErrEmailInvalid
	}
	// A second, independent parser must agree that it is one plain address.
	parsed, err := mail.ParseAddress(canonical)
	if err != nil || parsed.Address != canonical || parsed.Name != "" {
		return Email{}, ErrEmailInvalid
	}
	return Email{Spelling: typed, Canonical: canonical}, nil
}

// canonicalHost refuses every spelling that needs mapping, so that two
// different spellings never turn into one address by surprise. The NFC form has
// to be asked for: ToASCII would compose silently, and turn a Kelvin sign into K.
func canonicalHost(host string) (string, error) {
	if !norm.NFC.IsNormalString(host) {
		return "", ErrEmailInvalid
	}
	ascii, err := hostProfile.ToASCII(asciiLower(host))
	if err != nil {
		return "", ErrEmailInvalid
	}
	// ToASCII validates A-labels only, so the U-labels have their turn when they
	// have become some.
	if _, err := hostProfile.ToASCII(ascii); err != nil || !hostName(ascii) {
		return "", ErrEmailInvalid
	}
	return ascii, nil
}

// hostName accepts two or more letter-digit-hyphen labels. The last one begins
// with a letter (RFC 1123, section 2.1), which tells it from every spelling of an
// IPv4 address that a resolver may know.
func hostName(ascii string) bool {
	labels := strings.Split(ascii, ".")
	for _, label := range labels {
		if label == "" || strings.Trim(label, hostCharacters) != "" {
			return false
		}
	}
	top := labels[len(labels)-1]
	return len(labels) > 1 && top[0] >= 'a' && top[0] <= 'z'
}

const hostCharacters = "abcdefghijklmnopqrstuvwxyz0123456789-"

// hostProfile maps nothing.
var hostProfile = idna.New(idna.StrictDomainName(true), idna.ValidateLabels(true), idna.CheckHyphens(true),
	idna.CheckJoiners(true), idna.BidiRule(), idna.VerifyDNSLength(true))

// dotAtom is the plain local part of RFC 5322, ASCII only.
func dotAtom(local string) bool {
	for atom := range strings.SplitSeq(local, ".") {
		if atom == "" || strings.Trim(atom, atomCharacters) != "" {
			return false
		}
	}
	return true
}

const atomCharacters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789!#$%&'*+-/=?^_`{|}~"

// asciiLower folds A-Z only: strings.ToLower would turn the Kelvin sign into k.
func asciiLower(s string) string {
	return strings.Map(func(r rune) rune {
		if r >= 'A' && r <= 'Z' {
			return r + 'a' - 'A'
		}
		return r
	}, s)
}
