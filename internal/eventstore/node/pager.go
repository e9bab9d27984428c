package node

import (
	"math"
	"time"
)

// Bounds of a page, which is read in one view and sent after that is closed.
const (
	pageEvents     = 256
	pageBytes      = 1 << 20
	pageConsidered = 4096
)

// pager reads page after page of a stream or of $all and remembers where it is.
type pager interface {
	// page adds steps with at most limit events to the page and tells whether the end of
	// what is visible now was reached.
	page(v view, p *page, limit uint64) (end bool, err error)
	// checkpoint tells how far events were considered, 0 if that was told already.
	checkpoint() uint64
}

// step is what a page consists of: an event, or without one a checkpoint.
type step struct {
	event      resolved
	checkpoint uint64
}

// page is what one view gave, to be used after that is closed.
type page struct {
	steps []step
	// missing tells that there is no such stream, and why there are no steps.
	missing bool
	events  uint64
	bytes   int
}

func (p *page) add(e resolved) {
	p.steps = append(p.steps, step{event: e.clone()})
	p.events++
	for _, r := range []*record{e.event, e.link} {
		if r != nil {
			p.bytes += r.size()
		}
	}
}

func (p *page) full(limit uint64) bool {
	return p.events >= min(limit, pageEvents) || p.bytes >= pageBytes
}

// presentation is how a reader wants its events.
type presentation struct {
	follow bool
	now    func() time.Time
}

// allPager pages through the log.
type allPager struct {
	presentation
	filter filter
	dir    direction
	// next is the position to continue at.
	next uint64
	// considered counts the events tested against the filter since the last checkpoint.
	considered uint64
	// pending is the position of the last of them, 0 if a checkpoint has told it.
	pending uint64
}

func (a *allPager) page(v view, p *page, limit uint64) (bool, error) {
	scanned := 0
	for r, err := range v.all(a.next, a.dir) {
		if err != nil {
			return false, err
		}
		if p.full(limit) || scanned == pageConsidered {
			return false, nil
		}
		scanned++
		if err := a.take(v, p, r); err != nil {
			return false, err
		}
	}
	return !p.full(limit), nil
}

// take considers one record.
func (a *allPager) take(v view, p *page, r record) error {
	a.next = r.position + 1
	if a.dir == backwards {
		a.next = r.position - 1
	}
	if !isHidden(r.stream) && a.filter.matches(r) {
		event, err := resolve(v, r, a.follow, a.now())
		if err != nil {
			return err
		}
		p.add(event)
	}
	if a.filter.interval > 0 {
		a.considered++
		a.pending = r.position
		if a.considered >= a.filter.interval {
			p.steps = append(p.steps, step{checkpoint: a.checkpoint()})
		}
	}
	return nil
}

func (a *allPager) checkpoint() uint64 {
	position := a.pending
	a.considered, a.pending = 0, 0
	return position
}

// streamPager pages through one stream.
type streamPager struct {
	presentation
	stream string
	dir    direction
	// next is the revision to continue at.
	next int64
}

func (s *streamPager) checkpoint() uint64 { return 0 }

func (s *streamPager) page(v view, p *page, limit uint64) (bool, error) {
	state, err := stateOf(v, s.stream)
	switch {
	case err != nil:
		return false, err
	case state.tombstoned:
		return false, streamDeleted(s.stream)
	case state.missing():
		p.missing = true
		return true, nil
	}
	return s.visible(v, p, limit, state.window(s.now()))
}

func (s *streamPager) visible(v view, p *page, limit uint64, w window) (bool, error) {
	if s.dir == forwards {
		s.next = max(s.next, w.first)
	}
	scanned := 0
	for r, err := range v.stream(s.stream, s.next, s.dir) {
		if err != nil {
			return false, err
		}
		if s.dir == backwards && r.revision < w.first {
			return true, nil
		}
		if p.full(limit) || scanned == pageConsidered {
			return false, nil
		}
		scanned++
		if err := s.take(v, p, r, w); err != nil {
			return false, err
		}
	}
	return !p.full(limit), nil
}

func (s *streamPager) take(v view, p *page, r record, w window) error {
	s.next = r.revision + 1
	if s.dir == backwards {
		s.next = r.revision - 1
	}
	if !w.shows(r) {
		return nil
	}
	event, err := resolve(v, r, s.follow, s.now())
	if err == nil {
		p.add(event)
	}
	return err
}

// unlimited is the number of events a subscription may send.
const unlimited = math.MaxUint64
