package node

import (
	"strconv"
	"strings"
	"time"
)

// resolved is an event as a reader gets it. With link set, event is what the link points
// to, nil if that is not to be had any more.
type resolved struct {
	event, link *record
}

// original is the record that is in the stream that was read.
func (e resolved) original() *record {
	if e.link != nil {
		return e.link
	}
	return e.event
}

// clone copies the records so that they may be used outside their snapshot.
func (e resolved) clone() resolved {
	for _, r := range []**record{&e.event, &e.link} {
		if *r != nil {
			copied := (*r).clone()
			*r = &copied
		}
	}
	return e
}

// resolve follows the record if it is a link and that is wanted.
func resolve(r reader, rec record, follow bool, now time.Time) (resolved, error) {
	if !follow || rec.typ != linkType {
		return resolved{event: &rec}, nil
	}
	target, err := followLink(r, rec, now)
	return resolved{event: target, link: &rec}, err
}

// followLink reads the event that a link names as revision@stream. It is nil when the
// stream's metadata hides it from readers.
func followLink(r reader, link record, now time.Time) (*record, error) {
	digits, stream, found := strings.Cut(string(link.data), "@")
	revision, err := strconv.ParseInt(digits, 10, 64)
	if !found || err != nil || revision < 0 {
		return nil, nil //nolint:nilerr // a link to nothing resolves to nothing
	}
	state, err := stateOf(r, stream)
	if err != nil || state.tombstoned {
		return nil, err
	}
	target, found, err := r.at(stream, revision)
	if err != nil || !found || !state.window(now).shows(target) {
		return nil, err
	}
	return &target, nil
}
