package node

import (
	"cmp"
	"slices"
	"sync"
	"time"

	"github.com/google/uuid"
)

// delivery is an event on its way through a group.
type delivery struct {
	event   resolved
	retries int
	// number is the event's place in the source: its position in $all, its revision in
	// a stream. Events replayed from the parked ones have none that counts.
	number   int64
	replayed bool
	// consumer has the event since it was sent, until deadline, zero for no limit.
	consumer *consumer
	deadline time.Time
	// reason is why it is to be parked.
	reason string
}

func (d *delivery) id() uuid.UUID { return d.event.original().id }

// sent is a delivery as a consumer gets it.
type sent struct {
	event   resolved
	retries int
}

// consumer is one connection to a group.
type consumer struct {
	from     string
	size     int
	out      chan sent
	dropped  chan error
	inFlight int
	total    int64
}

func (c *consumer) free() bool { return c.inFlight < c.size && len(c.out) < cap(c.out) }

// group hands the events of a source to competing consumers and keeps account of what is
// settled. Everything behind mu is changed by calls and by the group's own goroutine
// (persistent_run.go), which does all reading and writing of the log.
type group struct {
	node   *Node
	config groupConfig
	// wake tells the goroutine that there is something to do.
	wake          chan struct{}
	stop, stopped chan struct{}
	// replaying lets one replay of parked events run at a time.
	replaying sync.Mutex

	mu        sync.Mutex
	consumers []*consumer
	// turn is the consumer to try first, by RoundRobin.
	turn int
	// buffer holds events read and not sent yet, retries those to be sent again, parking
	// those to be put aside; all of them and inFlight are outstanding.
	buffer, retries, parking []*delivery
	inFlight                 map[uuid.UUID]*delivery
	// read is the number up to which the source was read, caughtUp that there was no more.
	read     int64
	caughtUp bool
	// checkpointed is the number up to which everything was settled when that was last
	// written down, noEvents if never; settled counts what was settled since.
	checkpointed int64
	settled      int
	wroteAt      time.Time
	total        int64
	// ended tells that what was replayed has been parked for the last time.
	ended bool
}

func (g *group) signal() {
	select {
	case g.wake <- struct{}{}:
	default:
	}
}

// connect adds a consumer that can have size events at a time.
func (g *group) connect(from string, size int) (*consumer, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if limit := int(g.config.MaxSubscriberCount); limit > 0 && len(g.consumers) >= limit {
		return nil, groupFull(g.config.groupKey)
	}
	c := &consumer{from: from, size: size, out: make(chan sent, size), dropped: make(chan error, 1)}
	g.consumers = append(g.consumers, c)
	g.signal()
	return c, nil
}

// disconnect removes a consumer. What it had goes to the others, in order.
func (g *group) disconnect(c *consumer) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.consumers = slices.DeleteFunc(g.consumers, func(other *consumer) bool { return other == c })
	g.giveBack("consumer disconnected", func(d *delivery) bool { return d.consumer == c })
}

// drop ends all connections.
func (g *group) drop(reason error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, c := range g.consumers {
		select {
		case c.dropped <- reason:
		default:
		}
	}
}

// giveBack takes the chosen events from their consumers, to be sent again.
func (g *group) giveBack(reason string, chosen func(*delivery) bool) {
	var back []*delivery
	for _, d := range g.inFlight {
		if chosen(d) {
			back = append(back, d)
		}
	}
	slices.SortFunc(back, func(a, b *delivery) int { return cmp.Compare(a.number, b.number) })
	for _, d := range back {
		g.take(d.id())
		g.retry(d, reason)
	}
	if len(back) > 0 {
		g.signal()
	}
}

// take removes an event from those in flight. Settling goes by id over the whole group:
// who sent the ack doesn't matter, and an id that isn't in flight is passed over.
func (g *group) take(id uuid.UUID) *delivery {
	d := g.inFlight[id]
	if d != nil {
		delete(g.inFlight, id)
		d.consumer.inFlight--
	}
	return d
}

// retry has the event sent again, or parked if that was done often enough.
func (g *group) retry(d *delivery, reason string) {
	if d.retries++; d.retries > int(g.config.MaxRetryCount) {
		g.park(d, reason)
		return
	}
	g.retries = append(g.retries, d)
}

func (g *group) park(d *delivery, reason string) {
	d.reason = reason
	g.parking = append(g.parking, d)
}

// nackAction is what a consumer wants done with an event it can't process.
type nackAction int

const (
	nackRetry nackAction = iota
	nackPark
	nackSkip
)

// nack settles events by the action.
func (g *group) nack(ids []uuid.UUID, action nackAction, reason string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, id := range ids {
		d := g.take(id)
		switch {
		case d == nil:
		case action == nackRetry:
			g.retry(d, reason)
		case action == nackPark:
			g.park(d, reason)
		default:
			g.settled++
		}
	}
	g.signal()
}

// expire gives back events whose consumers took too long.
func (g *group) expire(now time.Time) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.giveBack("message timed out", func(d *delivery) bool { return !d.deadline.IsZero() && now.After(d.deadline) })
}

// dispatch sends what there are free consumers for; events to be sent again first.
func (g *group) dispatch(now time.Time) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.retries = g.dispatchQueue(g.retries, now)
	g.buffer = g.dispatchQueue(g.buffer, now)
}

// dispatchQueue sends from the queue and returns what is left of it.
func (g *group) dispatchQueue(queue []*delivery, now time.Time) []*delivery {
	left := queue[:0:0]
	for i, d := range queue {
		if g.inFlight[d.id()] != nil {
			// Another event with the same id is out: the two can't be told apart when
			// one is settled. The server passes over the second.
			g.settled++
			continue
		}
		c, full := g.choose(d)
		switch {
		case full && len(left) == 0:
			return queue[i:]
		case full:
			return append(left, queue[i:]...)
		}
		if c == nil {
			left = append(left, d)
			continue
		}
		g.send(d, c, now)
	}
	return left
}

func (g *group) send(d *delivery, c *consumer, now time.Time) {
	d.consumer, d.deadline = c, time.Time{}
	if timeout := g.config.MessageTimeout; timeout > 0 {
		d.deadline = now.Add(time.Duration(timeout) * time.Millisecond)
	}
	g.inFlight[d.id()] = d
	c.inFlight++
	c.total++
	g.total++
	c.out <- sent{event: d.event, retries: d.retries} // has room: see free
}
