package node

import (
	"iter"
	"sort"
	"sync"

	"github.com/google/uuid"
)

// memoryStorage keeps the log in memory, for tests and for trying things out.
type memoryStorage struct {
	id uuid.UUID

	mu sync.RWMutex
	// records holds position p at index p-1.
	records []record
	// streams holds the indices into records of each stream's events.
	streams map[string][]int
}

func newMemoryStorage() *memoryStorage {
	return &memoryStorage{id: uuid.New(), streams: map[string][]int{}}
}

func (m *memoryStorage) identity() uuid.UUID { return m.id }

func (m *memoryStorage) close() error { return nil }

func (m *memoryStorage) commit(records []record) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, r := range records {
		m.streams[r.stream] = append(m.streams[r.stream], len(m.records))
		m.records = append(m.records, r)
	}
	return nil
}

func (m *memoryStorage) view(read func(snapshot) error) error {
	m.mu.RLock()
	defer m.mu.RUnlock()
	return read((*memorySnapshot)(m))
}

// memorySnapshot is the storage while its lock is held for reading.
type memorySnapshot memoryStorage

func (m *memorySnapshot) all(from uint64, dir direction) iter.Seq2[record, error] {
	count := uint64(len(m.records))
	if dir == backwards {
		return m.yield(int(min(from, count))-1, -1, func(i int) int { return i })
	}
	return m.yield(int(min(max(from, 1)-1, count)), 1, func(i int) int { return i })
}

func (m *memorySnapshot) stream(name string, from int64, dir direction) iter.Seq2[record, error] {
	indices := m.streams[name]
	start := sort.Search(len(indices), func(i int) bool { return m.records[indices[i]].revision >= from })
	at := func(i int) int {
		if i < 0 || i >= len(indices) {
			return -1
		}
		return indices[i]
	}
	if dir == forwards {
		return m.yield(start, 1, at)
	}
	if i := at(start); i < 0 || m.records[i].revision > from {
		start--
	}
	return m.yield(start, -1, at)
}

// yield walks from i by step; at translates to an index into records, which ends the
// walk when it is outside.
func (m *memorySnapshot) yield(i, step int, at func(int) int) iter.Seq2[record, error] {
	return func(yield func(record, error) bool) {
		for ; ; i += step {
			index := at(i)
			if index < 0 || index >= len(m.records) || !yield(m.records[index], nil) {
				return
			}
		}
	}
}
