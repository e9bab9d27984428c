package domain

import (
	"strings"
	"unicode/utf8"
)

// storable reports whether Postgres takes the value as text: it refuses NUL and
// invalid UTF-8, and an event with either would stop a projector.
func storable(s string) bool { return utf8.ValidString(s) && !strings.Contains(s, "\x00") }
