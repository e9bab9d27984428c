package domain

import (
	_ "embed" // the list of common passwords
	"fmt"
	"strings"
	"sync"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// MaxPasswordLength is in code points. It bounds the work of hashing.
const MaxPasswordLength = 256

// PasswordPolicy says which passwords are good enough. There are no composition
// rules and no rotation (NIST SP 800-63B-4).
type PasswordPolicy struct {
	// MinLength is in code points.
	MinLength int
}

// Check refuses a password that is too short, too long, common, or made of
// context that a guesser knows: address, name, service. It returns the
// normalised form (NFC) that is to be hashed.
func (p PasswordPolicy) Check(password string, context ...string) (string, error) {
	if !utf8.ValidString(password) {
		return "", Invalid("password", "The password contains invalid characters.")
	}
	// The bound stands before the normaliser, whose work grows with the input.
	if utf8.RuneCountInString(password) > MaxPasswordLength {
		return "", Invalid("password", fmt.Sprintf("The password may have at most %d characters.", MaxPasswordLength))
	}
	normal := NormalPassword(password)
	switch {
	case utf8.RuneCountInString(normal) < p.MinLength:
		return "", Invalid("password", fmt.Sprintf("This password is too short. It must contain at least %d characters.", p.MinLength))
	case commonPasswords()[strings.ToLower(normal)]:
		return "", Invalid("password", "This password is too common.")
	case isContext(normal, context):
		return "", Invalid("password", "The password is too similar to your address, your name or the name of the service.")
	}
	return normal, nil
}

// NormalPassword is the form in which a password is hashed and compared: the
// same text typed on another keyboard must be the same password.
func NormalPassword(password string) string { return norm.NFC.String(password) }

func isContext(password string, context []string) bool {
	password = strings.ToLower(password)
	for _, word := range append([]string{"daybook"}, context...) {
		word = strings.ToLower(word)
		local, _, _ := strings.Cut(word, "@")
		for _, guess := range []string{word, local} {
			if guess != "" && strings.Trim(strings.ReplaceAll(password, guess, ""), "0123456789 !.-_") == "" && strings.Contains(password, guess) {
				return true
			}
		}
	}
	return false
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
