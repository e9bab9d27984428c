package messaging

import (
	"context"
	"sync"
)

// lowWaterMark is the last position up to which everything is done, however
// disorderly it becomes so.
type lowWaterMark struct {
	window int
	drawn  chan struct{}
	moved  chan struct{}
	closed chan struct{}

	mu sync.Mutex
	// places are those that are not below the mark, in their order.
	places  []*place
	out     int // of which are not done
	mark    uint64
	unsaved bool
}

// place is one position that is to be done.
type place struct {
	position uint64
	done     bool
}

func newLowWaterMark(window int) *lowWaterMark {
	return &lowWaterMark{
		window: window, drawn: make(chan struct{}, 1), moved: make(chan struct{}, 1), closed: make(chan struct{}),
	}
}

// room waits until places may be added and returns how many.
func (m *lowWaterMark) room(ctx context.Context) (int, error) {
	for {
		m.mu.Lock()
		room := m.window - len(m.places)
		m.mu.Unlock()
		if room > 0 {
			return room, nil
		}
		select {
		case <-m.drawn:
		case <-ctx.Done():
			return 0, context.Cause(ctx)
		}
	}
}

// add adds the next position, and tells so before it can be done.
func (m *lowWaterMark) add(position uint64, tell func()) *place {
	m.mu.Lock()
	defer m.mu.Unlock()
	added := &place{position: position}
	m.places = append(m.places, added)
	m.out++
	tell()
	return added
}

// done notes that a place is done and tells where the mark is, whether this has
// moved it, and whether nothing else is out.
func (m *lowWaterMark) done(p *place, tell func(mark uint64, moved, idle bool)) {
	m.mu.Lock()
	defer m.mu.Unlock()
	p.done = true
	m.out--
	below := 0
	for below < len(m.places) && m.places[below].done {
		m.mark = m.places[below].position
		below++
	}
	m.places = m.places[below:]
	if below > 0 {
		m.unsaved = true
		signal(m.moved)
		signal(m.drawn)
	}
	tell(m.mark, below > 0, m.out == 0)
}

// note tells whether nothing is out, while nothing can be added or done.
func (m *lowWaterMark) note(tell func(idle bool)) {
	m.mu.Lock()
	defer m.mu.Unlock()
	tell(m.out == 0)
}

// next waits for the mark to move and returns it. open is false after close, when
// the last one has been returned.
func (m *lowWaterMark) next() (position uint64, open bool) {
	for {
		select {
		case <-m.moved:
		case <-m.closed:
			return m.take()
		}
		if position, open = m.take(); open {
			return position, true
		}
	}
}

func (m *lowWaterMark) take() (position uint64, unsaved bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	unsaved, m.unsaved = m.unsaved, false
	return m.mark, unsaved
}

// close ends next, after the last position.
func (m *lowWaterMark) close() { close(m.closed) }
