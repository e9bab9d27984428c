package app

import (
	"errors"
	"strings"

	"daybook/domain"
)

// sentence is an error as a person at a terminal reads it: on one line, and without the
// codes of refusals, which are for programs. It wraps what it is made of.
type sentence struct{ error }

func (s sentence) Unwrap() error { return s.error }

// Error implements error.
func (s sentence) Error() string {
	text := s.error.Error()
	if refused, ok := errors.AsType[*domain.Error](s.error); ok {
		text = strings.Replace(text, refused.Error()+"\n", "", 1) // the cause says more
		text = strings.Replace(text, refused.Error(), refused.Message, 1)
	}
	return oneLine(text)
}

// oneLine joins lines; what is indented goes on with the line before it.
func oneLine(text string) string {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	var joined strings.Builder
	for i, line := range lines {
		switch {
		case i == 0:
		case strings.HasPrefix(line, "\t"):
			joined.WriteByte(' ')
		default:
			joined.WriteString("; ")
		}
		joined.WriteString(strings.TrimSpace(line))
	}
	return joined.String()
}

// asSentence is nil for nil.
func asSentence(err error) error {
	if err == nil {
		return nil
	}
	return sentence{err}
}
