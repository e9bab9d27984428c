package domain

import (
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strings"
)

// shape is the set of members that a stored object has. encoding/json alone
// would take other spellings of a name, do without any of them and read null as
// nothing, so that a damaged event would pass for one with empty ids.
type shape map[string]member

type member struct {
	optional bool // left out when empty
	nullable bool
}

// shapeOf reads the json tags of a struct.
func shapeOf(t reflect.Type) shape {
	s := shape{}
	for field := range t.Fields() {
		name, options, _ := strings.Cut(field.Tag.Get("json"), ",")
		if name == "-" {
			continue
		}
		optional := strings.Contains(options, "omitempty")
		s[name] = member{optional: optional, nullable: !optional && nilable(field.Type.Kind())}
	}
	return s
}

func nilable(k reflect.Kind) bool {
	return k == reflect.Pointer || k == reflect.Slice || k == reflect.Map
}

// read fills into from an object of exactly this shape and returns its members.
func (s shape) read(data []byte, into any) (map[string]json.RawMessage, error) {
	var members map[string]json.RawMessage
	if err := json.Unmarshal(data, &members); err != nil {
		return nil, err
	}
	if members == nil {
		return nil, errors.New("not an object")
	}
	if err := s.check(members); err != nil {
		return nil, err
	}
	return members, json.Unmarshal(data, into)
}

func (s shape) check(members map[string]json.RawMessage) error {
	for name, value := range members {
		m, ok := s[name]
		if !ok {
			return fmt.Errorf("unknown member %q", name)
		}
		if string(value) == "null" && !m.nullable {
			return fmt.Errorf("member %q is null", name)
		}
	}
	for name, m := range s {
		if _, ok := members[name]; !ok && !m.optional {
			return fmt.Errorf("member %q is missing", name)
		}
	}
	return nil
}
