package email

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

const (
	maxGreeting       = 40 // characters
	maxGreetingDigits = 4  // more could be a telephone number
)

// greetingName returns the first name as a mail may show it, or nothing. Anybody
// can register a stranger's address under any name: what a mail program would
// turn into a link, an address or a number to call is not shown, and nothing
// long enough to be a message.
func greetingName(first string) string {
	name := strings.Join(strings.Fields(first), " ")
	if utf8.RuneCountInString(name) > maxGreeting || !utf8.ValidString(name) ||
		strings.ContainsFunc(name, unicode.IsControl) || linkable(name) {
		return ""
	}
	return name
}

func linkable(name string) bool {
	lower := strings.ToLower(name)
	if strings.Contains(lower, "://") || strings.Contains(lower, "www.") || strings.ContainsAny(lower, "@。．｡") {
		return true
	}
	var digits int
	for _, r := range lower {
		if unicode.IsDigit(r) {
			digits++
		}
	}
	return digits > maxGreetingDigits || hasInnerDot(lower)
}

// hasInnerDot finds a dot that joins two words, as in a domain; "J. R." has none.
func hasInnerDot(name string) bool {
	for word := range strings.FieldsSeq(name) {
		if strings.Contains(strings.Trim(word, "."), ".") {
			return true
		}
	}
	return false
}
