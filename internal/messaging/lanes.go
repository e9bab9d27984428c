package messaging

import (
	"context"
	"hash/fnv"
	"sync"

	"daybook/domain"
)

// lanes hand out the events of one connection, those of a key always in the same
// lane, one in hand per lane.
type lanes struct {
	subscription *subscription
	source       source
	// ending is done when the connection is lost or the subscription ends.
	ending context.Context
	end    context.CancelFunc

	queues []chan laneEvent
	mark   *lowWaterMark
	work   sync.WaitGroup
}

type laneEvent struct {
	event domain.Stored
	place *place
}

func newLanes(s *subscription, source source) *lanes {
	l := &lanes{
		subscription: s, source: source,
		queues: make([]chan laneEvent, s.config.Lanes), mark: newLowWaterMark(s.config.Window),
	}
	l.ending, l.end = context.WithCancel(s.running)
	for i := range l.queues {
		// With room for all that may be out, a lane that is held up never holds up
		// who fills it.
		l.queues[i] = make(chan laneEvent, s.config.Window)
	}
	return l
}

// run returns when the connection is lost or the subscription ends, what was in
// hand is done and the mark is saved. Events that wait in a lane by then come again.
func (l *lanes) run() error {
	for _, queue := range l.queues {
		l.work.Go(func() { l.drive(queue) })
	}
	saved := make(chan struct{})
	go func() {
		defer close(saved)
		l.save()
	}()
	err := l.fill()
	l.end()
	l.work.Wait()
	l.mark.close()
	<-saved
	return err
}

// fill puts events into their lanes as they come.
func (l *lanes) fill() error {
	for {
		room, err := l.mark.room(l.ending)
		if err != nil {
			return err
		}
		items, err := l.source.NextBatch(l.ending, room)
		if err != nil {
			return err
		}
		for _, item := range items {
			switch {
			case item.Event != nil:
				l.put(*item.Event)
			case item.Checkpoint != 0:
				l.mark.done(l.mark.add(item.Checkpoint, func() {}), l.settle)
			default:
				l.mark.note(func(idle bool) {
					l.subscription.health.handled(item.CaughtUp, idle && l.source.Buffered() == 0)
				})
			}
		}
	}
}

func (l *lanes) put(event domain.Stored) {
	s := l.subscription
	place := l.mark.add(s.position(event), s.health.received)
	l.queues[l.lane(s.config.Key(event))] <- laneEvent{event, place}
}

func (l *lanes) lane(key string) uint32 {
	hash := fnv.New32a()
	_, _ = hash.Write([]byte(key)) // never fails
	return hash.Sum32() % uint32(len(l.queues))
}

// drive hands out what is in a lane, one after the other.
func (l *lanes) drive(queue <-chan laneEvent) {
	for {
		select {
		case next := <-queue:
			batch := Batch{Events: []domain.Stored{next.event}}
			if l.subscription.deliver(l.ending, batch) != nil {
				return
			}
			l.mark.done(next.place, l.settle)
		case <-l.ending.Done():
			return
		}
	}
}

// settle tells how far everything is done; idle, that nothing is out.
func (l *lanes) settle(position uint64, moved, idle bool) {
	health := &l.subscription.health
	if moved {
		health.acked(position)
	}
	if idle {
		health.handled(health.isLive(), l.source.Buffered() == 0)
	}
}

// save saves the mark whenever it has moved: once for all that moved it meanwhile.
func (l *lanes) save() {
	for {
		position, open := l.mark.next()
		if !open {
			return
		}
		l.subscription.save(position)
	}
}
