package node

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/google/uuid"
)

// checkpointType is the type of the events by which a group remembers its checkpoint.
const checkpointType = "$SubscriptionCheckpoint"

// lastCheckpoint reads the group's checkpoint, noEvents if it has none.
func lastCheckpoint(v view, key groupKey) (int64, error) {
	state, err := stateOf(v, key.checkpointStream())
	if err != nil || state.missing() {
		return noEvents, err
	}
	newest, _, err := v.last(key.checkpointStream())
	if err != nil {
		return noEvents, err
	}
	var place string
	if key.Stream != allStream {
		place = string(newest.data)
	} else if err := json.Unmarshal(newest.data, &place); err != nil {
		return noEvents, fmt.Errorf("checkpoint of group %s: %w", key, err)
	}
	var number int64
	if _, err := fmt.Sscanf(place, key.scan(), &number); err != nil {
		return noEvents, fmt.Errorf("checkpoint of group %s: %w", key, err)
	}
	return number, nil
}

// scan is the form of place for reading; commit and prepare position are the same.
func (k groupKey) scan() string {
	if k.Stream == allStream {
		return "C:%d"
	}
	return "%d"
}

// writeCheckpoint writes down how far everything is settled, if that is due or, at the
// end, in any case.
func (g *group) writeCheckpoint(ctx context.Context, end bool) {
	number, settled, due := g.checkpointDue(g.node.config.Now())
	if !due && (!end || settled == 0) {
		return
	}
	data := []byte(g.config.place(number))
	if g.config.Stream == allStream {
		data, _ = json.Marshal(g.config.place(number)) // a string can't fail
	}
	e := newEvent{id: uuid.New(), typ: checkpointType, json: true, data: data}
	if err := g.node.writeEvent(ctx, g.config.checkpointStream(), e); err != nil {
		g.log("checkpoint can't be written", err)
		return
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.checkpointed, g.wroteAt = number, g.node.config.Now()
	g.settled -= settled
}

// checkpointDue tells the number below which nothing is outstanding, and whether enough
// was settled, or enough time has passed, for a checkpoint.
func (g *group) checkpointDue(now time.Time) (number int64, settled int, due bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	number = g.lowest()
	if number <= g.checkpointed {
		return number, 0, false
	}
	after := time.Duration(g.config.CheckpointAfter) * time.Millisecond
	due = g.settled >= max(1, int(g.config.MaxCheckpointCount)) ||
		g.settled >= max(1, int(g.config.MinCheckpointCount)) && after > 0 && now.Sub(g.wroteAt) >= after
	return number, g.settled, due
}

// lowest is the number below or at which everything is settled.
func (g *group) lowest() int64 {
	number := g.read
	consider := func(d *delivery) {
		if !d.replayed {
			number = min(number, d.number-1)
		}
	}
	for _, queue := range [][]*delivery{g.buffer, g.retries, g.parking} {
		for _, d := range queue {
			consider(d)
		}
	}
	for _, d := range g.inFlight {
		consider(d)
	}
	return number
}
