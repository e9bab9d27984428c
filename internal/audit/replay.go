package audit

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"sync"
	"time"

	"github.com/google/uuid"

	"daybook/domain"
	"daybook/internal/eventstore"
	"daybook/internal/pause"
	"daybook/internal/vault"
)

const (
	// batchEvents is how many events are rendered with one query for keys.
	batchEvents = 256
	// pauses between attempts to subscribe again.
	firstPause, longestPause = 50 * time.Millisecond, 2 * time.Second
	// patience is how long a replay that does not follow waits for a store that
	// is away.
	patience = 10 * time.Second
)

// Batch is what came next: lines of JSON without the line break, perhaps none.
// Everything up to Position has been considered.
type Batch struct {
	Lines    []Rendered
	Position uint64
	// CaughtUp says that with this batch all that the store had at a time has been
	// considered.
	CaughtUp bool
}

// Rendered is one event as JSON, with its place.
type Rendered struct {
	Position uint64
	JSON     []byte
}

// Replay is one reader's way through the store. It is for one goroutine.
type Replay struct {
	reader *Reader
	query  Query
	// tail is what was there when reading began: a replay that does not follow
	// ends there, however fast the store grows.
	tail      uint64
	position  uint64
	delivered int
	release   sync.Once
}

// Close gives the place among the readers back. It may be called twice.
func (p *Replay) Close() { p.release.Do(func() { p.reader.readers.Release(1) }) }

// Tail is the position of the last event when reading began.
func (p *Replay) Tail() uint64 { return p.tail }

// Position is up to where everything has been considered.
func (p *Replay) Position() uint64 { return p.position }

// Batches yields what the query wants, in commit order, and an empty batch at
// least once a Config.Tick, for heartbeats. It ends at the query's end, when ctx
// ends (with its cause) or with an error. A broken connection to the store does
// not end it: reading goes on behind the last event.
func (p *Replay) Batches(ctx context.Context) iter.Seq2[Batch, error] {
	return func(yield func(Batch, error) bool) {
		ctx, cancel := context.WithCancelCause(ctx)
		defer cancel(nil)
		defer context.AfterFunc(p.reader.lifetime, func() { cancel(context.Cause(p.reader.lifetime)) })()
		enough := false
		err := p.run(ctx, func(b Batch) bool {
			enough = !yield(b, nil)
			return !enough
		})
		if err != nil && !enough {
			yield(Batch{}, err)
		}
	}
}

// run subscribes as often as it takes.
func (p *Replay) run(ctx context.Context, yield func(Batch) bool) error {
	wait, giveUp := firstPause, time.Now().Add(patience)
	for !p.done() {
		before := p.position
		more, err := p.subscribed(ctx, yield)
		if err == nil || !more {
			return err
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if p.position > before {
			wait, giveUp = firstPause, time.Now().Add(patience)
		}
		if errors.Is(err, eventstore.ErrClosed) || !p.query.Follow && time.Now().After(giveUp) {
			return unavailable(err)
		}
		p.reader.config.Logger.DebugContext(ctx, "audit subscription broke", slog.Any("error", err))
		if !pause.For(ctx, wait) || !yield(Batch{Position: p.position}) { // the reader's heart beats on
			return context.Cause(ctx)
		}
		wait = min(2*wait, longestPause)
	}
	return nil
}

// done reports whether nothing is left to deliver.
func (p *Replay) done() bool {
	return p.full() || !p.query.Follow && p.position >= p.tail
}

func (p *Replay) full() bool { return p.query.Limit > 0 && p.delivered >= p.query.Limit }

// errRendering marks failures that a new subscription cannot mend.
var errRendering = errors.New("render the audit trail")

// subscribed delivers from one subscription. more says whether another one may
// go on where this one failed.
func (p *Replay) subscribed(ctx context.Context, yield func(Batch) bool) (more bool, err error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	subscription, err := p.reader.config.Client.Subscribe(ctx, p.position, p.query.prefixes()...)
	if err != nil {
		return true, err
	}
	defer subscription.Close()
	for !p.done() {
		items, err := p.next(ctx, subscription)
		if err != nil {
			return true, err
		}
		batch, ended, err := p.take(ctx, items)
		if err != nil {
			return false, fmt.Errorf("%w: %w", errRendering, err)
		}
		if !yield(batch) || ended {
			return false, nil
		}
	}
	return false, nil
}

// next returns what has come, or nothing after a tick.
func (p *Replay) next(ctx context.Context, subscription *eventstore.Subscription) ([]eventstore.Item, error) {
	tick, cancel := context.WithTimeout(ctx, p.reader.config.Tick)
	defer cancel()
	items, err := subscription.NextBatch(tick, batchEvents)
	if err != nil && tick.Err() != nil && ctx.Err() == nil {
		return nil, nil
	}
	return items, err
}

// take moves on over the items and renders what is wanted of them. ended says
// that all that was there at the beginning has been seen.
func (p *Replay) take(ctx context.Context, items []eventstore.Item) (_ Batch, ended bool, err error) {
	var wanted []event
	caughtUp := false
	for _, item := range items {
		caughtUp = caughtUp || item.CaughtUp
		// Behind a limit there may be more of it: that is not seen.
		ended = ended || item.CaughtUp && !p.query.Follow && !p.full()
		switch {
		case ended || p.done():
		case item.Event == nil:
			p.position = max(p.position, item.Checkpoint)
		case !p.query.Follow && item.Event.Position > p.tail:
			ended = true
		default:
			p.position = item.Event.Position
			if e := parse(*item.Event); p.query.wants(e) {
				wanted = append(wanted, e)
				p.delivered++
			}
		}
	}
	if ended {
		p.position = max(p.position, p.tail)
	}
	lines, err := p.render(ctx, wanted)
	return Batch{Lines: lines, Position: p.position, CaughtUp: caughtUp}, ended, err
}

func (p *Replay) render(ctx context.Context, events []event) ([]Rendered, error) {
	config := p.reader.config
	r := renderer{cursors: config.Cursors, boxes: p.query.Boxes, logger: config.Logger}
	if p.query.Personal {
		var err error
		if r.ring, err = keyring(ctx, config.Vault, events); err != nil {
			return nil, err
		}
	}
	lines := make([]Rendered, len(events))
	for i, e := range events {
		line, err := r.line(ctx, e)
		if err != nil {
			return nil, fmt.Errorf("%s@%d: %w", e.stored.Stream, e.stored.Revision, err)
		}
		lines[i] = Rendered{e.stored.Position, line}
	}
	return lines, nil
}

// keyring loads the keys of those events that have a box.
func keyring(ctx context.Context, v *vault.Vault, events []event) (*vault.Keyring, error) {
	seen := map[uuid.UUID]bool{}
	var subjects []uuid.UUID
	for _, e := range events {
		subject, ok := domain.StreamSubject(e.stored.Stream)
		if _, sealed := e.box(); ok && sealed && !seen[subject] {
			seen[subject] = true
			subjects = append(subjects, subject)
		}
	}
	return v.Keyring(ctx, subjects...)
}
