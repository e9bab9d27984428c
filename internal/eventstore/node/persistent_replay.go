package node

import (
	"cmp"
	"context"
	"slices"

	"github.com/EventStore/EventStore-Client-Go/v4/protos/persistent"
)

// ReplayParked implements persistent.PersistentSubscriptionsServer: parked events are
// sent again, before new ones, and are parked no more. stop_at is the revision in the
// parked stream to stop before.
func (s persistentServer) ReplayParked(ctx context.Context, request *persistent.ReplayParkedReq) (*persistent.ReplayParkedResp, error) {
	options := request.GetOptions()
	g, err := s.node.groups.find(keyOf(options, options.GetAll() != nil))
	if err != nil {
		return nil, err
	}
	stop := int64(lastRevision)
	if limited, ok := options.GetStopAtOption().(*persistent.ReplayParkedReq_Options_StopAt); ok {
		if stop = limited.StopAt; stop < 0 {
			return nil, subscriptionFailed(g.config.groupKey, "stop must not be negative")
		}
	}
	return &persistent.ReplayParkedResp{}, g.replay(ctx, stop)
}

// replay queues the parked events and then truncates their stream. An event that is
// parked meanwhile stays parked.
func (g *group) replay(ctx context.Context, stop int64) error {
	g.replaying.Lock()
	defer g.replaying.Unlock()
	source := &streamPager{
		presentation: presentation{follow: true, now: g.node.config.Now},
		stream:       g.config.parkedStream(),
	}
	var found []*delivery
	limit, _ := g.node.writer.tail()
	for end := false; !end; {
		var read page
		var err error
		if read, end, err = g.node.nextPage(source, unlimited, limit); err != nil {
			return err
		}
		for _, s := range read.steps {
			if s.event.original().revision >= stop {
				end = true
				break
			}
			found = append(found, &delivery{event: s.event, replayed: true})
		}
	}
	if len(found) == 0 {
		return nil
	}
	return g.unpark(ctx, found)
}

// parkReplayed parks again what was replayed and isn't settled: its former link is gone,
// and no checkpoint stands for it.
func (g *group) parkReplayed() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.ended = true
	g.giveBack("stopped during a replay", func(d *delivery) bool { return d.replayed })
	slices.SortStableFunc(g.retries, func(a, b *delivery) int {
		return cmp.Compare(a.event.original().position, b.event.original().position)
	})
	left := g.retries[:0:0]
	for _, d := range g.retries {
		if d.replayed {
			g.park(d, "stopped during a replay")
		} else {
			left = append(left, d)
		}
	}
	g.retries = left
}

func (g *group) unpark(ctx context.Context, found []*delivery) error {
	next := found[len(found)-1].event.original().revision + 1
	if !g.again(found) {
		return groupDropped(g.config.groupKey)
	}
	return g.node.writer.submit(ctx, func(d *draft) error { return undelete(d, g.config.parkedStream(), next) })
}

// again has the events sent, unless the group has ended and nobody would.
func (g *group) again(found []*delivery) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if !g.ended {
		g.retries = append(g.retries, found...)
		g.signal()
	}
	return !g.ended
}
