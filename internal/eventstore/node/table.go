package node

import (
	"iter"
	"sort"
	"sync"
)

// table holds records that follow one another in the log, found by position and by
// stream. add is called by one goroutine only; snapshot by any number at a time, also
// during an add.
type table struct {
	mu sync.RWMutex
	// records only ever grows at its end, so a snapshot of it is a slice of it.
	records []record
	// streams holds the indices into records of each stream's events.
	streams map[string][]int32
}

func newTable() *table { return &table{streams: map[string][]int32{}} }

func (t *table) add(records []record) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, r := range records {
		t.streams[r.stream] = append(t.streams[r.stream], int32(len(t.records)))
		t.records = append(t.records, r)
	}
}

func (t *table) snapshot() tableSnapshot {
	t.mu.RLock()
	defer t.mu.RUnlock()
	return tableSnapshot{table: t, records: t.records}
}

// tableSnapshot is a table as it was at one moment. It holds no lock while it is read.
type tableSnapshot struct {
	table   *table
	records []record
}

func (s tableSnapshot) all(from uint64, dir direction) iter.Seq2[record, error] {
	at := func(i int) int { return i }
	start := sort.Search(len(s.records), func(i int) bool { return s.records[i].position >= from })
	if dir == backwards && (start == len(s.records) || s.records[start].position > from) {
		start--
	}
	return s.walk(start, dir, at)
}

func (s tableSnapshot) stream(name string, from int64, dir direction) iter.Seq2[record, error] {
	indices := s.indices(name)
	start := sort.Search(len(indices), func(i int) bool { return s.records[indices[i]].revision >= from })
	if dir == backwards && (start == len(indices) || s.records[indices[start]].revision > from) {
		start--
	}
	return s.walk(start, dir, func(i int) int {
		if i < 0 || i >= len(indices) {
			return -1
		}
		return int(indices[i])
	})
}

// indices are those of a stream's events, without the ones added since.
func (s tableSnapshot) indices(name string) []int32 {
	s.table.mu.RLock()
	defer s.table.mu.RUnlock()
	indices := s.table.streams[name]
	for n := len(indices); n > 0 && int(indices[n-1]) >= len(s.records); n-- {
		indices = indices[:n-1]
	}
	return indices
}

// walk goes from i in the direction; at translates to an index into records, which ends
// the walk when it is outside.
func (s tableSnapshot) walk(i int, dir direction, at func(int) int) iter.Seq2[record, error] {
	step := 1
	if dir == backwards {
		step = -1
	}
	return func(yield func(record, error) bool) {
		for ; ; i += step {
			index := at(i)
			if index < 0 || index >= len(s.records) || !yield(s.records[index], nil) {
				return
			}
		}
	}
}
