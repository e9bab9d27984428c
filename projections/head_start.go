package projections

import (
	"context"
	"sync"
	"time"

	"daybook/domain"
)

// headStartAge is how old a decoded event may become before it is decoded again:
// it bounds for how long the personal data of an erased person can still be
// written, when a database was away meanwhile.
const headStartAge = time.Minute

// headStart keeps events that were decoded before their batch came.
type headStart struct {
	mu    sync.Mutex
	ready []decoded
}

type decoded struct {
	at     time.Time
	events []domain.Recorded
}

// Prepare decodes events, and opens their boxes, that Handle will get next. It may
// be called while Handle is at work, and in the order of the events. What cannot
// be decoded is left to Handle, which tells.
func (p *Projector) Prepare(ctx context.Context, events []domain.Stored) {
	wanted := make([]domain.Stored, 0, len(events))
	for _, event := range events {
		if p.View.Wants(event.Stream) {
			wanted = append(wanted, event)
		}
	}
	recorded, err := p.decode(ctx, wanted)
	if err != nil || len(recorded) == 0 {
		return
	}
	p.ready.mu.Lock()
	defer p.ready.mu.Unlock()
	p.ready.ready = append(p.ready.ready, decoded{time.Now(), recorded})
}

// decodeRest decodes what of the wanted events was not decoded before. through is
// the position of the last event of the batch.
func (p *Projector) decodeRest(ctx context.Context, wanted []domain.Stored, through uint64) ([]domain.Recorded, error) {
	recorded := p.ready.take(wanted, through, time.Now())
	rest, err := p.decode(ctx, wanted[len(recorded):])
	return append(recorded, rest...), err
}

// take gives out what is ready of the first of the events, and drops everything
// up to the position. Each is given out once: who has to try again decodes anew.
func (h *headStart) take(wanted []domain.Stored, through uint64, now time.Time) []domain.Recorded {
	h.mu.Lock()
	defer h.mu.Unlock()
	taken := make([]domain.Recorded, 0, len(wanted))
	for _, event := range wanted {
		next := h.next(event.Position, now)
		if next == nil || next.Position != event.Position {
			break
		}
		taken = append(taken, *next)
	}
	h.next(through+1, now)
	return taken
}

// next drops what lies before the position or is too old, and returns the first of
// the others.
func (h *headStart) next(position uint64, now time.Time) *domain.Recorded {
	for len(h.ready) > 0 {
		first := &h.ready[0]
		switch {
		case len(first.events) == 0 || now.Sub(first.at) > headStartAge:
			h.ready = h.ready[1:]
		case first.events[0].Position < position:
			first.events = first.events[1:]
		default:
			return &first.events[0]
		}
	}
	return nil
}

// forget drops what was decoded: the events come again from elsewhere.
func (h *headStart) forget() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.ready = nil
}
