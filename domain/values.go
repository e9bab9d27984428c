package domain

import (
	"net/url"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/nyaruka/phonenumbers"
	"golang.org/x/text/unicode/norm"
)

const (
	maxName   = 150 // characters
	maxPhone  = 20  // characters, of the E.164 form
	maxGithub = 300 // bytes
)

// ParseName trims and checks a first or last name. HTML and the like is data;
// what no consumer could store or what lies about the order of text is refused.
func ParseName(field, typed string) (string, error) {
	typed = strings.TrimSpace(typed)
	// Both stand before the normaliser, whose work grows with the input; a
	// composed character comes from at most four code points.
	if strings.ContainsFunc(typed, unprintable) {
		return "", Invalid(field, "The name contains characters that are not allowed.")
	}
	tooLong := Invalid(field, "The name may have at most 150 characters.")
	if utf8.RuneCountInString(typed) > 4*maxName {
		return "", tooLong
	}
	name := norm.NFC.String(typed)
	if !strings.ContainsFunc(name, visible) {
		return "", Invalid(field, "This field may not be blank.")
	}
	if utf8.RuneCountInString(name) > maxName {
		return "", tooLong
	}
	return name, nil
}

// visible finds what leaves ink by itself: a joiner or a mark alone does not.
func visible(r rune) bool {
	return unicode.In(r, unicode.L, unicode.N, unicode.P, unicode.S)
}

// unprintable finds control, format and separator characters, bidi overrides
// among them, invalid UTF-8, and what Unicode assigns to nobody.
func unprintable(r rune) bool {
	if r == utf8.RuneError || unicode.In(r, unicode.Cc, unicode.Zl, unicode.Zp, unicode.Co, unicode.Cs) {
		return true
	}
	// Joiners are needed to write Persian and several Indic names.
	const zeroWidthNonJoiner, zeroWidthJoiner = '\u200c', '\u200d'
	return unicode.Is(unicode.Cf, r) && r != zeroWidthNonJoiner && r != zeroWidthJoiner ||
		!unicode.IsGraphic(r) && !unicode.Is(unicode.Cf, r)
}

// ParsePhoneNumber reads a real number in international form and returns its
// E.164 form (ITU-T E.164).
func ParsePhoneNumber(typed string) (string, error) {
	invalid := Invalid(FieldPhoneNumber, "Enter a valid phone number in international form, such as +2348145359073.")
	typed = strings.TrimSpace(typed)
	if strings.LastIndex(typed, "+") != 0 || len(typed) > 40 || strings.Trim(typed, "+0123456789 ()-.") != "" {
		return "", invalid
	}
	number, err := phonenumbers.Parse(typed, "")
	if err != nil || !phonenumbers.IsValidNumber(number) {
		return "", invalid
	}
	formatted := phonenumbers.Format(number, phonenumbers.E164)
	if len(formatted) > maxPhone {
		return "", invalid
	}
	return formatted, nil
}

// ParseGithubLink reads the address of a GitHub profile or of a page below it.
func ParseGithubLink(typed string) (string, error) {
	invalid := Invalid(FieldGithubLink, "Enter a valid link such as https://github.com/username.")
	link := strings.TrimSpace(typed)
	path, ok := strings.CutPrefix(link, "https://github.com/")
	if !ok || len(link) > maxGithub || strings.ContainsFunc(path, notInGithubPath) || strings.Contains(path, "..") {
		return "", invalid
	}
	user, _, _ := strings.Cut(path, "/")
	if user == "" || len(user) > 39 || strings.Trim(user, githubUser) != "" {
		return "", invalid
	}
	parsed, err := url.Parse(link)
	if err != nil || parsed.Host != "github.com" || parsed.User != nil || parsed.RawQuery != "" || parsed.Fragment != "" {
		return "", invalid
	}
	return link, nil
}

const githubUser = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-"

func notInGithubPath(r rune) bool {
	return !strings.ContainsRune(githubUser+"._/~", r)
}

// ParseBirthDate reads an ISO calendar date from 1900-01-01 to today. now tells
// today; it is generous by the widest time zone, since the person's is unknown.
func ParseBirthDate(typed string, now time.Time) (string, error) {
	typed = strings.TrimSpace(typed)
	date, err := time.Parse(time.DateOnly, typed)
	if err != nil || len(typed) != len(time.DateOnly) {
		return "", Invalid(FieldBirthDate, "Enter a valid date in the form YYYY-MM-DD.")
	}
	const eastmost = 14 * time.Hour
	if date.Year() < 1900 || date.After(now.UTC().Add(eastmost)) {
		return "", Invalid(FieldBirthDate, "The date must lie between 1900-01-01 and today.")
	}
	return typed, nil
}
