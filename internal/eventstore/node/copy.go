package node

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"go.etcd.io/bbolt"
)

// copyGroup is how many bytes of events are copied in one step.
const copyGroup = 4 << 20

// Backup writes a copy of the store to a new file, which must not exist yet. It may run
// while the node serves: the copy holds what was acknowledged when it began, and is
// compact and checked, for every event is read and written anew. The file appears under
// its name only when it is complete and on disk. Restoring is starting on the copy.
func (n *Node) Backup(path string) error {
	limit, _ := n.writer.tail()
	if err := copyLog(n.storage, limit, path); err != nil {
		return fmt.Errorf("back up to %s: %w", path, err)
	}
	return nil
}

// Compact copies the store in the file source, and in its log if it was not closed, to
// the new file target without the room that bbolt keeps free. The error is ErrInUse while
// a node has the source open, ErrLog when the log is damaged or lost.
func Compact(source, target string) error {
	s, err := openStopped(source, &bbolt.Options{})
	if err != nil {
		return err
	}
	return errors.Join(compact(s, target), s.close())
}

// CompactWithoutLog is Compact of the file alone, the way out for a store whose log is
// damaged or lost and of which there is no backup. What was acknowledged in the last
// second or so before its process ended is not in the copy.
func CompactWithoutLog(source, target string) error {
	s, err := openBoltWith(source, &bbolt.Options{ReadOnly: true})
	if err != nil {
		return err
	}
	return errors.Join(compact(s, target), s.close())
}

func compact(source storage, target string) error {
	if err := copyLog(source, lastPosition, target); err != nil {
		return fmt.Errorf("compact to %s: %w", target, err)
	}
	return nil
}

// copyLog writes the log up to the limit to a file of its own, by way of a temporary one
// beside it.
func copyLog(source storage, limit uint64, path string) error {
	if _, err := os.Lstat(path); !errors.Is(err, os.ErrNotExist) {
		return errors.Join(os.ErrExist, err)
	}
	dir, err := os.MkdirTemp(filepath.Dir(path), ".copy-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	unfinished := filepath.Join(dir, "events.db")
	if err := fillCopy(source, limit, unfinished); err != nil {
		return err
	}
	if err := os.Rename(unfinished, path); err != nil {
		return err
	}
	return syncDirectory(filepath.Dir(path))
}

// fillCopy makes the file and syncs it once, at the end.
func fillCopy(source storage, limit uint64, path string) (err error) {
	target, err := openBoltWith(path, &bbolt.Options{NoSync: true})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, target.close()) }()
	id := source.identity()
	err = target.db.Update(func(tx *bbolt.Tx) error { return tx.Bucket(metaBucket).Put(storeIDKey, id[:]) })
	if err != nil {
		return err
	}
	for next := uint64(1); ; {
		records, err := copiedGroup(source, next, limit)
		if err != nil {
			return err
		}
		if len(records) == 0 {
			return target.db.Sync()
		}
		if err := target.commit(records); err != nil {
			return err
		}
		next = records[len(records)-1].position + 1
	}
}

// copiedGroup reads some records in a view of its own, so that no view is open for long.
func copiedGroup(source storage, next, limit uint64) ([]record, error) {
	var records []record
	size := 0
	err := source.view(func(s snapshot) error {
		for r, err := range (view{snapshot: s, limit: limit}).all(next, forwards) {
			if err != nil {
				return err
			}
			if r.position != next+uint64(len(records)) {
				return fmt.Errorf("position %d: %w", next+uint64(len(records)), errCorrupt)
			}
			records = append(records, r.clone())
			if size += r.size(); size >= copyGroup {
				break
			}
		}
		return nil
	})
	return records, err
}

// syncDirectory makes a new name in the directory durable.
func syncDirectory(path string) (err error) {
	dir, err := os.Open(path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, dir.Close()) }()
	return dir.Sync()
}
