package app

import (
	"context"
	"fmt"
	"sync"
	"time"

	"daybook/domain"
)

// maxLag is up to how many waiting events are counted.
const maxLag = 10_000

// lag is what a consumer has yet to do.
type lag struct {
	Events int           // at most maxLag
	Age    time.Duration // of the oldest of them; 0 without any
	// Still is for how long the checkpoint has not moved.
	Still time.Duration
	// Parked is how many accounts a view cannot show.
	Parked int
}

// stalled says that events wait and nothing moves, in whichever process the
// consumer runs.
func (l lag) stalled() bool { return l.Age > patience && l.Still > patience }

// lags measures consumers by their checkpoints and the event store alone, so that
// it holds for those of other processes too.
type lags struct {
	parts *parts

	mu sync.Mutex
	// quiet is, by consumer, up to where nothing was found that waits: on a
	// shared server much may lie there that is not ours.
	quiet map[string]uint64
}

// of counts the events behind the checkpoint. reached is a position that the
// consumer is known to have passed; 0 for none.
func (l *lags) of(ctx context.Context, consumer string, reached uint64) (lag, error) {
	var position int64
	var still float64
	var parked int
	err := l.parts.pool.QueryRow(ctx, `SELECT position, extract(epoch FROM now() - updated_at),
		(SELECT count(*) FROM app.parked_accounts WHERE projection = $1 AND discarded_at IS NULL)
		FROM app.checkpoints WHERE name = $1`, consumer).Scan(&position, &still, &parked)
	if err != nil {
		return lag{}, fmt.Errorf("read the checkpoint of %s: %w", consumer, err)
	}
	tail, err := l.parts.client.Tail(ctx)
	if err != nil {
		return lag{}, err
	}
	l.mu.Lock()
	after := max(uint64(position), reached, l.quiet[consumer])
	l.mu.Unlock()
	found := lag{Still: time.Duration(still * float64(time.Second)), Parked: parked}
	if after >= tail {
		return found, nil
	}
	if err := l.count(ctx, after, &found); err != nil {
		return lag{}, err
	}
	if found.Events == 0 {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.quiet[consumer] = max(after, tail)
	}
	return found, nil
}

func (l *lags) count(ctx context.Context, after uint64, found *lag) error {
	for event, err := range l.parts.client.ReadAll(ctx, after) {
		if err != nil {
			return fmt.Errorf("count what waits: %w", err)
		}
		if found.Events == 0 {
			if metadata, err := domain.DecodeMetadata(event.Metadata); err == nil {
				found.Age = max(0, time.Since(metadata.OccurredAt))
			}
		}
		if found.Events++; found.Events == maxLag {
			break
		}
	}
	return nil
}
