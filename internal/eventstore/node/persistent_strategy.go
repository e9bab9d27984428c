package node

import (
	"encoding/json"
	"hash/fnv"
)

// pinnedBuckets is how many buckets pinned events are spread over, as on the server.
const pinnedBuckets = 1024

// choose picks the consumer for an event. full tells that there is none for any other
// event either; without that, nil means that this one has to wait for its own consumer.
func (g *group) choose(d *delivery) (c *consumer, full bool) {
	if len(g.consumers) == 0 {
		return nil, true
	}
	switch g.config.Strategy {
	case strategyPinned:
		return g.pinned(d.source().stream)
	case strategyCorrelation:
		return g.pinned(correlationOf(d.source()))
	case strategySingle:
		return g.firstFree(0)
	default:
		c, full = g.firstFree(g.turn)
		g.turn++
		return c, full
	}
}

// firstFree tries one consumer after another.
func (g *group) firstFree(from int) (*consumer, bool) {
	for i := range g.consumers {
		if c := g.consumers[(from+i)%len(g.consumers)]; c.free() {
			return c, false
		}
	}
	return nil, true
}

// pinned gives events that have the key in common to one consumer, as long as the
// consumers stay the same.
func (g *group) pinned(key string) (*consumer, bool) {
	hash := fnv.New32a()
	hash.Write([]byte(key))
	c := g.consumers[int(hash.Sum32()%pinnedBuckets)%len(g.consumers)]
	if c.free() {
		return c, false
	}
	return nil, false
}

// source is the event itself, behind a link if it came by one.
func (d *delivery) source() *record {
	if d.event.event != nil {
		return d.event.event
	}
	return d.event.link
}

// correlationOf is the event's correlation id, or its stream without one.
func correlationOf(r *record) string {
	var keys struct {
		Correlation string `json:"$correlationId"`
	}
	if json.Unmarshal(r.metadata, &keys) != nil || keys.Correlation == "" {
		return r.stream
	}
	return keys.Correlation
}
