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
type shape struct {
	members  map[string]member
	required uint64 // the bits of members that are always there
}

type member struct {
	bit      uint64 // one of its own
	optional bool   // left out when empty
	nullable bool
}

// shapeOf reads the json tags of a struct.
func shapeOf(t reflect.Type) shape {
	s := shape{members: map[string]member{}}
	for field := range t.Fields() {
		name, options, _ := strings.Cut(field.Tag.Get("json"), ",")
		if name == "-" {
			continue
		}
		optional := strings.Contains(options, "omitempty")
		s.add(name, optional, !optional && nilable(field.Type.Kind()))
	}
	return s
}

func (s *shape) add(name string, optional, nullable bool) {
	m := member{bit: 1 << len(s.members), optional: optional, nullable: nullable}
	s.members[name] = m
	if !optional {
		s.required |= m.bit
	}
}

func nilable(k reflect.Kind) bool {
	return k == reflect.Pointer || k == reflect.Slice || k == reflect.Map
}

// read fills into from an object of exactly this shape and returns the value of
// the member that holds the box, if there is one.
func (s shape) read(data []byte, into any) (box json.RawMessage, err error) {
	if err := json.Unmarshal(data, into); err != nil {
		return nil, err
	}
	return s.check(data)
}

// check holds JSON that encoding/json has taken against the shape.
func (s shape) check(data []byte) (box json.RawMessage, err error) {
	var seen uint64
	object, err := eachMember(data, func(name, value []byte) error {
		m, ok := s.members[string(name)]
		if !ok {
			return fmt.Errorf("unknown member %q", name)
		}
		if seen&m.bit != 0 {
			return fmt.Errorf("member %q comes twice", name)
		}
		if string(value) == "null" && !m.nullable {
			return fmt.Errorf("member %q is null", name)
		}
		if string(name) == boxMember {
			box = value
		}
		seen |= m.bit
		return nil
	})
	switch {
	case err != nil:
		return nil, err
	case !object:
		return nil, errors.New("not an object")
	case s.required&^seen != 0:
		return nil, fmt.Errorf("member %q is missing", s.named(s.required&^seen))
	}
	return box, nil
}

// named returns the name of one of the members.
func (s shape) named(bits uint64) string {
	for name, m := range s.members {
		if bits&m.bit != 0 {
			return name
		}
	}
	return ""
}
