package node

import "github.com/google/uuid"

// memoryStorage keeps the log in memory, for tests and for trying things out.
type memoryStorage struct {
	id    uuid.UUID
	table *table
}

func newMemoryStorage() *memoryStorage { return &memoryStorage{id: uuid.New(), table: newTable()} }

func (m *memoryStorage) identity() uuid.UUID { return m.id }

func (m *memoryStorage) close() error { return nil }

func (m *memoryStorage) commit(records []record) error {
	m.table.add(records)
	return nil
}

func (m *memoryStorage) view(read func(snapshot) error) error { return read(m.table.snapshot()) }
