package domain

import (
	"bytes"
	"encoding/json"
	"strings"
)

// eachMember visits the members of an object in turn, the values as they are
// written. The data must be JSON that encoding/json has taken; object is false
// when it is something else than an object. It makes no copies: a map of raw
// members costs more than all else of decoding an event.
func eachMember(data []byte, visit func(name, value []byte) error) (object bool, err error) {
	rest := bytes.TrimLeft(data, jsonSpace)
	if len(rest) == 0 || rest[0] != '{' {
		return false, nil
	}
	for {
		rest = bytes.TrimLeft(rest[1:], jsonSpace) // behind a brace or a comma
		if len(rest) == 0 || rest[0] == '}' {
			return true, nil
		}
		end := stringEnd(rest)
		name := rest[:end]
		rest = bytes.TrimLeft(rest[end:], jsonSpace)
		rest = bytes.TrimLeft(rest[1:], jsonSpace) // behind the colon
		end = valueEnd(rest)
		if err := visit(memberName(name), bytes.TrimRight(rest[:end], jsonSpace)); err != nil {
			return true, err
		}
		if rest = rest[end:]; len(rest) == 0 || rest[0] == '}' {
			return true, nil
		}
	}
}

const jsonSpace = " \t\r\n"

// memberName reads a quoted name.
func memberName(quoted []byte) []byte {
	if plain, ok := plainString(quoted); ok {
		return plain
	}
	var name string
	_ = json.Unmarshal(quoted, &name) // it has been taken already
	return []byte(name)
}

// plainString returns what stands between the quotes of a string that stands for
// itself. It is false for other values and for strings with escapes.
func plainString(value []byte) (text []byte, ok bool) {
	if len(value) < 2 || value[0] != '"' || bytes.IndexByte(value, '\\') >= 0 {
		return nil, false
	}
	return value[1 : len(value)-1], true
}

// stringEnd is behind the closing quote of the string at the beginning.
func stringEnd(data []byte) int {
	for i := 1; i < len(data); i++ {
		switch data[i] {
		case '\\':
			i++
		case '"':
			return i + 1
		}
	}
	return len(data)
}

// valueEnd is at the comma or brace behind the value at the beginning.
func valueEnd(data []byte) int {
	depth := 0
	for i := 0; i < len(data); i++ {
		switch data[i] {
		case '"':
			i += stringEnd(data[i:]) - 1
		case '{', '[':
			depth++
		case '}', ']':
			if depth == 0 {
				return i
			}
			depth--
		case ',':
			if depth == 0 {
				return i
			}
		}
	}
	return len(data)
}

// flatStrings visits the members of an object that is written as we write
// metadata: without spaces, all values strings, names and values of printable
// ASCII without escapes. It is false for any other text, of which it may have
// visited some.
func flatStrings(text string, visit func(name, value string) bool) bool {
	rest, ok := strings.CutPrefix(text, `{"`)
	for ok {
		var name, value string
		if name, rest, ok = strings.Cut(rest, `":"`); !ok || !plainText(name) {
			return false
		}
		if value, rest, ok = strings.Cut(rest, `"`); !ok || !plainText(value) || !visit(name, value) {
			return false
		}
		if rest == "}" {
			return true
		}
		rest, ok = strings.CutPrefix(rest, `,"`)
	}
	return false
}

func plainText(text string) bool {
	for i := range len(text) {
		if c := text[i]; c < ' ' || c > '~' || c == '"' || c == '\\' {
			return false
		}
	}
	return true
}
