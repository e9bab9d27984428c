package node

import (
	"errors"
	"fmt"

	"go.etcd.io/bbolt"
)

// stoppedStorage is a store that no node runs on, to be read only: the bbolt file, and in
// a table what a process left in the log that ended without closing it.
type stoppedStorage struct {
	*boltStorage
	table *table
}

// openStopped opens a store for reading. It changes neither file nor log.
func openStopped(path string, options *bbolt.Options) (*stoppedStorage, error) {
	options.ReadOnly = true
	bolt, err := openBoltWith(path, options)
	if err != nil {
		return nil, err
	}
	records, err := unmoved(path, bolt)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("open %s: %w", path, err), bolt.close())
	}
	s := &stoppedStorage{boltStorage: bolt, table: newTable()}
	s.table.add(records)
	return s, nil
}

func (s *stoppedStorage) view(read func(snapshot) error) error {
	return s.boltStorage.view(func(file snapshot) error { return read(layered(file, s.table.snapshot())) })
}
