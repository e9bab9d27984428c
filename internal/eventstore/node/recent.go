package node

import (
	"hash/maphash"

	"github.com/google/uuid"
)

// recentCapacity is how many events the writer remembers by id. EventStoreDB has 8 MiB
// for this, which at its 100-odd bytes an entry is of the same order.
const recentCapacity = 1 << 16

// eventKey names an event within its stream: the same id may be in two streams. The
// stream is named by a hash, keyed anew in each process, for what has no pointer in it
// costs the garbage collector nothing.
type eventKey struct {
	stream uint64
	id     uuid.UUID
}

// recentEvent is where an event was written.
type recentEvent struct {
	key      eventKey
	revision int64
	position uint64
}

// recentEvents remembers the events written last, so that an append with Any that is
// repeated soon is written once. Only the writer uses it.
type recentEvents struct {
	capacity int
	seed     maphash.Seed
	// places holds the indices into ring of its entries.
	places map[eventKey]int32
	// ring holds the entries in order of time; when it is full, next is the oldest.
	ring []recentEvent
	next int
}

func newRecentEvents(capacity int) *recentEvents {
	return &recentEvents{capacity: capacity, seed: maphash.MakeSeed(), places: map[eventKey]int32{}}
}

func (c *recentEvents) key(stream string, id uuid.UUID) eventKey {
	return eventKey{maphash.String(c.seed, stream), id}
}

func (c *recentEvents) entry(r record) recentEvent {
	return recentEvent{key: c.key(r.stream, r.id), revision: r.revision, position: r.position}
}

func (c *recentEvents) add(r record) { c.put(c.entry(r)) }

func (c *recentEvents) put(event recentEvent) {
	if place, found := c.places[event.key]; found {
		c.ring[place] = event
		return
	}
	if len(c.ring) < c.capacity {
		c.places[event.key] = int32(len(c.ring))
		c.ring = append(c.ring, event)
		return
	}
	delete(c.places, c.ring[c.next].key)
	c.ring[c.next], c.places[event.key] = event, int32(c.next)
	c.next = (c.next + 1) % c.capacity
}

func (c *recentEvents) find(stream string, id uuid.UUID) (recentEvent, bool) {
	place, found := c.places[c.key(stream, id)]
	if !found {
		return recentEvent{}, false
	}
	return c.ring[place], true
}
