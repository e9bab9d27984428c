package node

import "time"

// run moves full segments into the bbolt file until close or a failure. A failure is
// final, as one of a commit is.
func (s *loggedStorage) run() {
	defer close(s.stopped)
	ticker := time.NewTicker(s.options.moveAfter)
	defer ticker.Stop()
	for {
		select {
		case full := <-s.full:
			if s.failure = s.move(full); s.failure != nil {
				return
			}
		case <-ticker.C:
			s.changeIfUsed()
		case <-s.stop:
			return
		}
	}
}

// move takes a segment's records into the bbolt file, and then gives the segment free.
func (s *loggedStorage) move(full *segment) error {
	if err := s.bolt.commit(full.table.records); err != nil {
		return err
	}
	s.mu.Lock()
	s.moving = nil
	s.mu.Unlock()
	if err := full.reset(s.bolt.id); err != nil {
		return err
	}
	s.spare <- full
	return nil
}

// changeIfUsed has a segment moved that is not full, so that what is in the log doesn't
// stay there when nothing more comes. It doesn't wait for a commit, which may be waiting
// for the mover.
func (s *loggedStorage) changeIfUsed() {
	if !s.writing.TryLock() {
		return
	}
	defer s.writing.Unlock()
	if s.active.empty() {
		return
	}
	select {
	case next := <-s.spare:
		s.change(next)
	default: // the other one is on its way and this one is next
	}
}
