package node

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/google/uuid"
)

// logOptions are the measures of a store's log.
type logOptions struct {
	// segmentSize is the size in bytes of each log file. It bounds what is held in
	// memory and what a start after a crash has to move.
	segmentSize int64
	// moveAfter is about how long events stay in a log that doesn't fill.
	moveAfter time.Duration
}

// defaultLog: 4 MiB are some 10,000 of Daybook's events, which is enough for bbolt's
// price of a commit to vanish among them, and are moved in a few hundredths of a second.
var defaultLog = logOptions{segmentSize: 4 << 20, moveAfter: time.Second}

// loggedStorage is a bbolt file with a log in front of it. A commit is one write and one
// sync of a log file; its records are also kept in memory. When the log file is full a
// goroutine moves them into the bbolt file, many in one commit, while the other log file
// is written to. bbolt alone has two syncs for each commit, and pages to write around
// each event.
//
// Views show the bbolt file and what is not moved yet as one.
type loggedStorage struct {
	path    string
	options logOptions
	bolt    *boltStorage
	// segments are the two log files, which take turns.
	segments [2]*segment

	// writing is held while the active segment is written to or changed for the other.
	writing sync.Mutex
	// mu guards which segments there are to be seen.
	mu sync.Mutex
	// active is written to. moving is full and on its way into the bbolt file, or nil.
	active, moving *segment
	// full hands a segment to the mover, spare hands it back empty.
	full, spare chan *segment
	// stop is closed to end the mover, stopped when it has ended.
	stop, stopped chan struct{}
	// failure is why the mover has ended, to be read once stopped is closed.
	failure error
}

// openLogged opens or makes the store, and moves what was left in its log.
func openLogged(path string, options logOptions) (*loggedStorage, error) {
	bolt, err := openBolt(path)
	if err != nil {
		return nil, err
	}
	s := &loggedStorage{
		path: path, options: options, bolt: bolt,
		full: make(chan *segment, 1), spare: make(chan *segment, 1),
		stop: make(chan struct{}), stopped: make(chan struct{}),
	}
	err = s.recover()
	if err == nil {
		err = s.begin()
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("open %s: %w", path, err), s.release())
	}
	go s.run()
	return s, nil
}

// unmoved reads what is in the log and not in the bbolt file.
func unmoved(path string, bolt *boltStorage) ([]record, error) {
	last, err := bolt.last()
	if err != nil {
		return nil, err
	}
	records, whole, err := replay(path, bolt.id, last)
	switch {
	case err != nil:
		return nil, err
	case bolt.logged && !whole:
		return nil, fmt.Errorf("%w: a file of it is missing, and the store was not closed", ErrLog)
	case !bolt.logged && len(records) > 0:
		return nil, fmt.Errorf("%w: it goes on behind the end of the file, which was closed at event %d", ErrLog, last)
	}
	return records, nil
}

// recover moves what a process left in the log that ended without closing the store.
func (s *loggedStorage) recover() error {
	records, err := unmoved(s.path, s.bolt)
	if err != nil || len(records) == 0 {
		return err
	}
	return s.bolt.commit(records)
}

// begin makes the log files empty, and then notes that they belong to the store.
func (s *loggedStorage) begin() error {
	for i := range s.segments {
		one, err := openSegment(segmentPath(s.path, i), s.options.segmentSize)
		if err != nil {
			return err
		}
		s.segments[i] = one
		if err := one.reset(s.bolt.id); err != nil {
			return err
		}
	}
	s.active = s.segments[0]
	s.spare <- s.segments[1]
	if err := syncDirectory(filepath.Dir(s.path)); err != nil {
		return err
	}
	return s.bolt.commitAs(formatLogged, nil)
}

func (s *loggedStorage) identity() uuid.UUID { return s.bolt.id }

func (s *loggedStorage) commit(records []record) error {
	s.writing.Lock()
	defer s.writing.Unlock()
	select {
	case <-s.stopped:
		return s.ended()
	default:
	}
	if !s.active.hasRoom(records) {
		select {
		case next := <-s.spare:
			s.change(next)
		case <-s.stopped:
			return s.ended()
		}
	}
	return s.active.append(records)
}

// ended is why nothing can be committed any more.
func (s *loggedStorage) ended() error {
	if s.failure != nil {
		return fmt.Errorf("move events from the log into the file: %w", s.failure)
	}
	return os.ErrClosed
}

// change hands the active segment to the mover and goes on with the next.
func (s *loggedStorage) change(next *segment) {
	s.mu.Lock()
	s.active, s.moving = next, s.active
	s.mu.Unlock()
	s.full <- s.moving
}

func (s *loggedStorage) view(read func(snapshot) error) error {
	// The tables are taken first: what is moved in between is in the file as well.
	tables := s.tables()
	return s.bolt.view(func(file snapshot) error { return read(layered(file, tables...)) })
}

// tables are those of the segments, the older one first.
func (s *loggedStorage) tables() []tableSnapshot {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.moving == nil {
		return []tableSnapshot{s.active.table.snapshot()}
	}
	return []tableSnapshot{s.moving.table.snapshot(), s.active.table.snapshot()}
}

// close moves what is left in the log, so that the bbolt file is the whole store, and
// removes the log files. If that fails they stay, and are moved at the next start.
func (s *loggedStorage) close() error {
	close(s.stop)
	<-s.stopped
	if s.failure != nil {
		return errors.Join(s.ended(), s.release())
	}
	return errors.Join(s.finish(), s.release())
}

func (s *loggedStorage) finish() error {
	var records []record
	for _, t := range s.tables() {
		records = append(records, t.records...)
	}
	if err := s.bolt.commitAs(formatComplete, records); err != nil {
		return err
	}
	return errors.Join(os.Remove(segmentPath(s.path, 0)), os.Remove(segmentPath(s.path, 1)))
}

// release closes the files that are open.
func (s *loggedStorage) release() error {
	var errs []error
	for _, one := range s.segments {
		if one != nil {
			errs = append(errs, one.file.Close())
		}
	}
	return errors.Join(append(errs, s.bolt.close())...)
}
