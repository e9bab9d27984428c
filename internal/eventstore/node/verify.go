package node

import (
	"errors"
	"fmt"

	"github.com/google/uuid"
	"go.etcd.io/bbolt"
)

// Report is what Verify found in a sound store.
type Report struct {
	StoreID uuid.UUID
	// Events is how many events there are, and the position of the last.
	Events uint64
	// Streams is how many streams have events, metadata streams included.
	Streams uint64
}

// Verify reads the whole store in the file and, of a store that was not closed, in its
// log. It checks pages, checksums, that positions and revisions have no gap, and that
// each event is found under its stream. It changes nothing. The error is ErrInUse while
// a node has the file open; any other error but one of opening it says what is wrong
// with the file.
func Verify(path string) (report Report, err error) {
	s, err := openStopped(path, &bbolt.Options{PreLoadFreelist: true})
	if err != nil {
		return Report{}, err
	}
	defer func() { err = errors.Join(err, s.close()) }()
	report.StoreID = s.id
	err = s.db.View(func(tx *bbolt.Tx) error {
		for damage := range tx.Check() {
			err = errors.Join(err, damage)
		}
		if err != nil {
			return err
		}
		file := boltSnapshot{events: tx.Bucket(eventsBucket), streams: tx.Bucket(streamsBucket)}
		return errors.Join(report.check(file), report.checkLog(file, s.table.snapshot()))
	})
	if err != nil {
		return report, fmt.Errorf("verify %s: %w", path, err)
	}
	return report, nil
}

// check reads the log and then the index. An index entry for each record, and none
// besides, means that both say the same.
func (r *Report) check(s boltSnapshot) error {
	for rec, err := range s.all(0, forwards) {
		r.Events++
		if err != nil || rec.position != r.Events {
			return fmt.Errorf("event at position %d: %w", r.Events, errors.Join(errCorrupt, err))
		}
	}
	entries := uint64(0)
	var last record
	err := s.streams.ForEach(func(key, position []byte) error {
		entries++
		rec, err := s.indexed(position)
		if err != nil || string(streamKey(rec.stream, rec.revision)) != string(key) {
			return fmt.Errorf("index entry %x: %w", key, errors.Join(errCorrupt, err))
		}
		if err := r.follows(last, rec, entries == 1); err != nil {
			return err
		}
		last = rec
		return nil
	})
	if err != nil {
		return err
	}
	if entries != r.Events {
		return fmt.Errorf("%d index entries for %d events: %w", entries, r.Events, errCorrupt)
	}
	return nil
}

// checkLog reads what is only in the log.
func (r *Report) checkLog(file snapshot, log tableSnapshot) error {
	for _, rec := range log.records {
		before := view{snapshot: layered(file, log), limit: rec.position - 1}
		last, found, err := before.last(rec.stream)
		if err == nil {
			err = r.follows(last, rec, !found)
		}
		if err != nil {
			return err
		}
		r.Events++
	}
	return nil
}

// follows checks that a record comes next in its stream.
func (r *Report) follows(last, next record, first bool) error {
	due := int64(0)
	if first || next.stream != last.stream {
		r.Streams++
	} else {
		due = last.revision + 1
		if next.position <= last.position {
			return fmt.Errorf("stream of event %d goes back: %w", next.position, errCorrupt)
		}
	}
	if next.revision != due && !next.isTombstone() {
		return fmt.Errorf("event %d has revision %d where %d is due: %w", next.position, next.revision, due, errCorrupt)
	}
	return nil
}
