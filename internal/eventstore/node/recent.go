package node

import (
	"container/list"

	"github.com/google/uuid"
)

// recentCapacity is how many events the writer remembers by id. EventStoreDB has 8 MiB
// for this, which at its 100-odd bytes an entry is of the same order.
const recentCapacity = 1 << 16

// eventKey names an event within its stream: the same id may be in two streams.
type eventKey struct {
	stream string
	id     uuid.UUID
}

// recentEvent is where an event was written.
type recentEvent struct {
	key      eventKey
	revision int64
	position uint64
}

// recentEvents remembers the events used last, so that an append with Any that is
// repeated soon is written once. Only the writer uses it.
type recentEvents struct {
	capacity int
	entries  map[eventKey]*list.Element
	order    *list.List
}

func newRecentEvents(capacity int) *recentEvents {
	return &recentEvents{capacity: capacity, entries: map[eventKey]*list.Element{}, order: list.New()}
}

func (c *recentEvents) add(r record) {
	event := recentEvent{key: eventKey{r.stream, r.id}, revision: r.revision, position: r.position}
	if element, found := c.entries[event.key]; found {
		element.Value = event
		c.order.MoveToFront(element)
		return
	}
	c.entries[event.key] = c.order.PushFront(event)
	if c.order.Len() > c.capacity {
		oldest := c.order.Remove(c.order.Back()).(recentEvent)
		delete(c.entries, oldest.key)
	}
}

func (c *recentEvents) find(stream string, id uuid.UUID) (recentEvent, bool) {
	element, found := c.entries[eventKey{stream, id}]
	if !found {
		return recentEvent{}, false
	}
	c.order.MoveToFront(element)
	return element.Value.(recentEvent), true
}
