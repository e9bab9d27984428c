package node

import (
	"iter"
	"math"
)

const (
	// lastPosition and lastRevision are beyond every real one; a search from the end
	// begins there.
	lastPosition = math.MaxUint64
	lastRevision = math.MaxInt64
)

// reader gives the events of streams as they are at one moment. view is what the public
// may see; draft is what the writer sees.
type reader interface {
	// at returns the event of a stream with that revision.
	at(stream string, revision int64) (record, bool, error)
	// last returns the newest event of a stream.
	last(stream string) (record, bool, error)
}

// view is a snapshot cut off at a position: the published one for readers, since a storage
// shows a commit before the writer has published it.
type view struct {
	snapshot
	limit uint64
}

func (v view) at(stream string, revision int64) (record, bool, error) {
	for r, err := range v.snapshot.stream(stream, revision, forwards) {
		return r, err == nil && r.revision == revision && r.position <= v.limit, err
	}
	return record{}, false, nil
}

func (v view) last(stream string) (record, bool, error) {
	for r, err := range v.stream(stream, lastRevision, backwards) {
		return r, err == nil, err
	}
	return record{}, false, nil
}

func (v view) all(from uint64, dir direction) iter.Seq2[record, error] {
	if dir == backwards {
		from = min(from, v.limit)
	}
	return v.cut(dir, v.snapshot.all(from, dir))
}

func (v view) stream(name string, from int64, dir direction) iter.Seq2[record, error] {
	return v.cut(dir, v.snapshot.stream(name, from, dir))
}

func (v view) cut(dir direction, records iter.Seq2[record, error]) iter.Seq2[record, error] {
	return func(yield func(record, error) bool) {
		for r, err := range records {
			if err == nil && r.position > v.limit {
				if dir == forwards {
					return // so are all that follow
				}
				continue
			}
			if !yield(r, err) || err != nil {
				return
			}
		}
	}
}
