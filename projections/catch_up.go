package projections

import (
	"context"
	"time"

	"daybook/domain"
)

// portion is a batch of the log, or why there are no more.
type portion struct {
	events []domain.Stored
	err    error
}

// catchUp applies what lies behind the checkpoint and returns how much that was. While
// a batch is written, the next one is read and decoded: three are in memory at most.
func (r *Rebuild) catchUp(ctx context.Context, p *Projector) (events int, err error) {
	tail, err := r.Tail(ctx)
	if err != nil {
		return 0, err
	}
	ctx, cancel := context.WithCancel(ctx)
	began, from, portions := time.Now(), p.checkpoint.Position, make(chan portion)
	go r.read(ctx, p, from, portions)
	defer func() {
		cancel()
		for range portions { // until the reader has ended
		}
	}()
	for next := range portions {
		err := next.err
		if err == nil {
			err = p.Apply(ctx, next.events)
		}
		if err != nil {
			return events, err
		}
		events += len(next.events)
		if len(next.events) == rebuildBatch {
			r.tell(events, began, from, p.checkpoint.Position, tail)
		}
	}
	if events > 0 {
		r.tell(events, began, from, tail, tail) // what lies behind, if anything, is not ours
	}
	return events, nil
}

// read hands out the log behind a position in batches that are decoded already.
func (r *Rebuild) read(ctx context.Context, p *Projector, from uint64, portions chan<- portion) {
	defer close(portions)
	batch := make([]domain.Stored, 0, rebuildBatch)
	send := func(next portion) bool {
		p.Prepare(ctx, next.events)
		select {
		case portions <- next:
			return true
		case <-ctx.Done():
			return false
		}
	}
	for event, err := range r.Log(ctx, from) {
		if err != nil {
			send(portion{err: err})
			return
		}
		if batch = append(batch, event); len(batch) == rebuildBatch {
			if !send(portion{events: batch}) {
				return
			}
			batch = make([]domain.Stored, 0, rebuildBatch)
		}
	}
	send(portion{events: batch})
}

func (r *Rebuild) tell(events int, began time.Time, from, position, tail uint64) {
	if r.Progress == nil {
		return
	}
	took := time.Since(began)
	p := Progress{Events: events, Rate: float64(events) / took.Seconds(), Done: 1}
	if position < tail {
		p.Done = float64(position) / float64(tail)
		p.Left = time.Duration(float64(took) * float64(tail-position) / float64(position-from)).Round(time.Second)
	}
	r.Progress(p)
}
