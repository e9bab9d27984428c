package domain

import (
	_ "embed" // the list of common passwords
	"fmt"
	"slices"
	"strings"
	"sync"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// MaxPasswordLength is in code points. It bounds the work of hashing.
const MaxPasswordLength = 256

// minPasswordLength is the floor of NIST SP 800-63B-4, in code points.
const minPasswordLength = 8

// PasswordPolicy says which passwords are good enough. There are no composition
// rules and no rotation (NIST SP 800-63B-4).
type PasswordPolicy struct {
	// MinLength is in code points; less than 8 counts as 8.
	MinLength int
}

// Check refuses a password that is too short, too long, common, or made of
// context that a guesser knows: address, name, service. It returns the
// normalised form (NFC) that is to be hashed.
func (p PasswordPolicy) Check(password string, context ...string) (string, error) {
	if !utf8.ValidString(password) {
		return "", Invalid("password", "The password contains invalid characters.")
	}
	tooLong := Invalid("password", fmt.Sprintf("The password may have at most %d characters.", MaxPasswordLength))
	// A bound stands before the normaliser, whose work grows with the input; a
	// composed character comes from at most four code points.
	if utf8.RuneCountInString(password) > 4*MaxPasswordLength {
		return "", tooLong
	}
	normal := NormalPassword(password)
	length, least := utf8.RuneCountInString(normal), max(p.MinLength, minPasswordLength)
	switch {
	case length > MaxPasswordLength:
		return "", tooLong
	case length < least:
		return "", Invalid("password", fmt.Sprintf("This password is too short. It must contain at least %d characters.", least))
	case isCommon(normal):
		return "", Invalid("password", "This password is too common.")
	case isContext(normal, context):
		return "", Invalid("password", "The password is too similar to your address, your name or the name of the service.")
	}
	return normal, nil
}

// NormalPassword is the form in which a password is hashed and compared: the
// same text typed on another keyboard must be the same password.
func NormalPassword(password string) string { return norm.NFC.String(password) }

// isCommon finds a common password, and one repeated.
func isCommon(password string) bool {
	password = strings.ToLower(password)
	for size := minPasswordLength; size <= len(password); size++ {
		unit := password[:size]
		if commonPasswords()[unit] && strings.Trim(strings.ReplaceAll(password, unit, ""), " ") == "" {
			return true
		}
	}
	return false
}

// isContext reports whether the password is context and nothing else but
// digits and the like.
func isContext(password string, context []string) bool {
	password = strings.ToLower(password)
	rest := password
	for _, guess := range guesses(context) {
		rest = strings.ReplaceAll(rest, guess, "")
	}
	return rest != password && strings.Trim(rest, "0123456789 !.-_") == ""
}

// guesses lists the words that a guesser knows, longest first, since one may
// be a part of another.
func guesses(context []string) []string {
	guesses := []string{"daybook"}
	for _, word := range context {
		word = strings.ToLower(norm.NFC.String(word))
		local, _, _ := strings.Cut(word, "@")
		guesses = append(guesses, word, local)
	}
	guesses = slices.DeleteFunc(guesses, func(guess string) bool { return guess == "" })
	slices.SortFunc(guesses, func(a, b string) int { return len(b) - len(a) })
	return guesses
}

// commonPasswordList holds common passwords of 8 and more characters, one a
// line, most common first; see docs/decisions.md for where they come from.
//
//go:embed common_passwords.txt
var commonPasswordList string

var commonPasswords = sync.OnceValue(func() map[string]bool {
	common := map[string]bool{}
	for word := range strings.Lines(commonPasswordList) {
		common[strings.TrimSpace(word)] = true
	}
	return common
})
