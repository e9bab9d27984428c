package node

import (
	"time"

	"github.com/google/uuid"
)

// newEvent is an event that has no revision and no position yet.
type newEvent struct {
	id       uuid.UUID
	typ      string
	json     bool
	data     []byte
	metadata []byte
}

// draft is a group of writes being put together: the log as it is, and the records that
// are to follow it. It reads as if they were there already, so that a second write to
// the same stream in one group sees the first.
type draft struct {
	view
	recent *recentEvents
	now    time.Time

	next    uint64
	records []record
	// pending holds the indices into records of each stream's new events.
	pending map[string][]int
	bytes   int
}

func newDraft(s snapshot, last uint64, recent *recentEvents, now time.Time) *draft {
	return &draft{
		view:    view{snapshot: s, limit: last},
		recent:  recent,
		now:     now,
		next:    last + 1,
		pending: map[string][]int{},
	}
}

func (d *draft) at(stream string, revision int64) (record, bool, error) {
	if pending := d.pending[stream]; len(pending) > 0 {
		// Revisions in a stream have no gap, so the place follows from the first.
		i := revision - d.records[pending[0]].revision
		if i >= 0 && i < int64(len(pending)) {
			r := d.records[pending[i]]
			return r, r.revision == revision, nil
		}
	}
	return d.view.at(stream, revision)
}

func (d *draft) last(stream string) (record, bool, error) {
	if pending := d.pending[stream]; len(pending) > 0 {
		return d.records[pending[len(pending)-1]], true, nil
	}
	return d.view.last(stream)
}

// add puts events at the end of a stream and returns the last record.
func (d *draft) add(stream string, after int64, events ...newEvent) record {
	var last record
	for i, e := range events {
		last = d.put(record{
			stream: stream, revision: after + 1 + int64(i), id: e.id, typ: e.typ,
			json: e.json, data: e.data, metadata: e.metadata,
		})
	}
	return last
}

// put gives the record its position and time.
func (d *draft) put(r record) record {
	r.position, r.created = d.next, ticks(d.now)
	d.next++
	d.bytes += r.size()
	d.pending[r.stream] = append(d.pending[r.stream], len(d.records))
	d.records = append(d.records, r)
	d.recent.add(r)
	return r
}
