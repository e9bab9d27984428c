package node

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
)

// groupTick is how often timeouts and checkpoints are looked after, as on the server.
const groupTick = time.Second

// newGroup makes a group that goes on from its last checkpoint, or begins at its start.
func newGroup(n *Node, config groupConfig) (*group, error) {
	g := &group{
		node: n, config: config, wake: make(chan struct{}, 1),
		stop: make(chan struct{}), stopped: make(chan struct{}),
		inFlight: map[uuid.UUID]*delivery{}, wroteAt: n.config.Now(),
	}
	err := n.writer.read(func(v view) (err error) {
		if g.checkpointed, err = lastCheckpoint(v, config.groupKey); err != nil {
			return err
		}
		g.read, err = g.begin(v)
		return err
	})
	return g, err
}

// begin is the number behind which the group reads.
func (g *group) begin(v view) (int64, error) {
	switch {
	case g.checkpointed != noEvents:
		return g.checkpointed, nil
	case g.config.Start >= 0:
		return g.config.Start - 1, nil
	case g.config.Stream == allStream:
		return int64(v.limit), nil
	}
	state, err := stateOf(v, g.config.Stream)
	return state.last, err
}

// pager reads the source from behind the number.
func (g *group) pager(behind int64) (pager, error) {
	how := presentation{follow: g.config.ResolveLinks, now: g.node.config.Now}
	if g.config.Stream != allStream {
		return &streamPager{presentation: how, stream: g.config.Stream, next: behind + 1}, nil
	}
	selected, err := g.config.Filter.compile()
	return &allPager{presentation: how, filter: selected, next: uint64(max(behind, 0)) + 1}, err
}

// run does the group's work until stop is closed.
func (g *group) run() {
	defer close(g.stopped)
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	source, err := g.pager(g.read)
	if err != nil {
		g.log("group can't read its source", err)
		return
	}
	ticker := time.NewTicker(groupTick)
	defer ticker.Stop()
	for {
		_, grown := g.node.writer.tail()
		g.fill(source)
		g.dispatch(g.node.config.Now())
		g.writeParked(ctx)
		g.writeCheckpoint(ctx, false)
		wait := g.wake
		if g.hungry() {
			wait = always
		}
		select {
		case <-wait:
		case <-grown:
		case <-ticker.C:
			g.expire(g.node.config.Now())
		case <-g.stop:
			g.parkReplayed()
			g.writeParked(ctx)
			g.writeCheckpoint(ctx, true)
			return
		}
	}
}

// always is a channel that one never waits for.
var always = func() chan struct{} {
	c := make(chan struct{})
	close(c)
	return c
}()

func (g *group) close() {
	close(g.stop)
	<-g.stopped
}

func (g *group) log(message string, err error) {
	g.node.config.Logger.Error(message, "group", g.config.String(), "error", err)
}

// hungry tells that there may be more to read and that there is room and use for it.
func (g *group) hungry() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return !g.caughtUp && g.hasRoom()
}

// wantsMore tells whether to read. If not, there may be more to read later.
func (g *group) wantsMore() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	room := g.hasRoom()
	g.caughtUp = g.caughtUp && room
	return room
}

func (g *group) hasRoom() bool {
	return len(g.consumers) > 0 && len(g.buffer) < int(g.config.HistoryBufferSize)
}

// fill reads the next events into the buffer, if there is room for them.
func (g *group) fill(source pager) {
	if !g.wantsMore() {
		return
	}
	limit, _ := g.node.writer.tail()
	read, end, err := g.node.nextPage(source, uint64(g.config.ReadBatchSize), limit)
	if err != nil {
		end = true
		if f, ok := errors.AsType[*failure](err); !ok || f.exception() != "stream-deleted" {
			g.log("group can't read its source", err)
		}
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.caughtUp = end
	for _, s := range read.steps {
		d := &delivery{event: s.event, number: g.numberOf(s.event.original())}
		g.buffer = append(g.buffer, d)
	}
	g.read = max(g.read, considered(source))
}

func (g *group) numberOf(r *record) int64 {
	if g.config.Stream == allStream {
		return int64(r.position)
	}
	return r.revision
}

// considered is the number up to which the pager has read.
func considered(source pager) int64 {
	switch p := source.(type) {
	case *allPager:
		return int64(p.next) - 1
	case *streamPager:
		return p.next - 1
	}
	return noEvents
}

// writeParked puts events aside. One that can't be written stays outstanding and is
// tried again.
func (g *group) writeParked(ctx context.Context) {
	g.mu.Lock()
	parking := g.parking
	g.parking = nil
	g.mu.Unlock()
	for i, d := range parking {
		if err := g.writeLink(ctx, d); err != nil {
			g.log("event can't be parked", err)
			g.mu.Lock()
			g.parking = append(parking[i:], g.parking...)
			g.mu.Unlock()
			return
		}
		g.mu.Lock()
		g.settled++
		g.mu.Unlock()
	}
}

// parkedMetadata is the server's description of a parked event.
type parkedMetadata struct {
	Added  time.Time `json:"added"`
	Reason string    `json:"reason"`
	Number int64     `json:"subscriptionEventNumber"`
}

// writeLink writes the link by which a parked event is kept.
func (g *group) writeLink(ctx context.Context, d *delivery) error {
	metadata, err := json.Marshal(parkedMetadata{Added: g.node.config.Now().UTC(), Reason: d.reason, Number: d.number})
	if err != nil {
		return err
	}
	target := d.source()
	return g.node.writeEvent(ctx, g.config.parkedStream(), newEvent{
		id: uuid.New(), typ: linkType, metadata: metadata,
		data: fmt.Appendf(nil, "%d@%s", target.revision, target.stream),
	})
}

// writeEvent appends an event of the node's own.
func (n *Node) writeEvent(ctx context.Context, stream string, e newEvent) error {
	request := appendRequest{stream: stream, expected: expectAny, events: []newEvent{e}}
	return n.writer.submit(ctx, func(d *draft) error {
		_, err := planAppend(d, request)
		return err
	})
}
