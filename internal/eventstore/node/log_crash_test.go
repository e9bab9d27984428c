package node

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"go.etcd.io/bbolt"
)

// crashed copies the files of a store as a process that ends now would leave them. The
// store must not be moving anything.
func crashed(t *testing.T, path string) string {
	t.Helper()
	to := filepath.Join(t.TempDir(), "events.db")
	for _, suffix := range []string{"", ".log0", ".log1"} {
		copyFile(t, path+suffix, to+suffix)
	}
	return to
}

func copyFile(t *testing.T, from, to string) {
	t.Helper()
	content, err := os.ReadFile(from)
	if err == nil {
		err = os.WriteFile(to, content, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// logAfterCrash opens a store as it was left and reads it.
func logAfterCrash(t *testing.T, path string) []record {
	t.Helper()
	s := mustOpenLogged(t, path, stillLog)
	defer s.close()
	return wholeLog(t, s)
}

func TestLogIsKeptOverCrash(t *testing.T) {
	path := filepath.Join(t.TempDir(), "events.db")
	s := mustOpenLogged(t, path, stillLog)
	defer s.close()
	groups, log := testGroups(20)
	mustCommit(t, s, groups...)
	left := crashed(t, path)
	if last, err := s.bolt.last(); err != nil || last != 0 {
		t.Fatalf("the file ends with event %d (%v): the test is to find all of them in the log", last, err)
	}
	before := readFiles(t, left)
	report, err := Verify(left)
	if err != nil || report.Events != uint64(len(log)) || report.Streams != 5 {
		t.Errorf("Verify of what was left: %+v (%v), want %d events of 5 streams", report, err, len(log))
	}
	compact := filepath.Join(t.TempDir(), "compact.db")
	if err := Compact(left, compact); err != nil {
		t.Error(err)
	}
	if after := readFiles(t, left); after != before {
		t.Error("Verify or Compact changed the files")
	}
	for _, path := range []string{left, compact} {
		if got := logAfterCrash(t, path); !slices.EqualFunc(got, log, sameRecord) {
			t.Errorf("%s has %d records, want %d", filepath.Base(path), len(got), len(log))
		}
	}
}

// readFiles returns what is in all files of a store.
func readFiles(t *testing.T, path string) (content [3]string) {
	t.Helper()
	for i, suffix := range []string{"", ".log0", ".log1"} {
		b, err := os.ReadFile(path + suffix)
		if err != nil {
			t.Fatal(err)
		}
		content[i] = string(b)
	}
	return content
}

// TestCrashBetweenSteps opens what a crash leaves between two steps of a move or a close.
func TestCrashBetweenSteps(t *testing.T) {
	path := filepath.Join(t.TempDir(), "events.db")
	s := mustOpenLogged(t, path, stillLog)
	groups, log := testGroups(10)
	mustCommit(t, s, groups...)
	inLog := crashed(t, path)
	for name, step := range map[string]func(path string) error{
		"in the file, and the log not emptied": func(path string) error {
			return changed(path, func(b *boltStorage) error { return b.commit(log) })
		},
		"a part in the file": func(path string) error {
			return changed(path, func(b *boltStorage) error { return b.commit(log[:4]) })
		},
		"closed, and the log not removed": func(path string) error {
			return changed(path, func(b *boltStorage) error { return b.commitAs(formatComplete, log) })
		},
		"closed, and half of the log removed": func(path string) error {
			return errors.Join(os.Remove(path+".log1"), changed(path, func(b *boltStorage) error { return b.commitAs(formatComplete, log) }))
		},
		"in the file, and the log being emptied": func(path string) error {
			file, err := os.OpenFile(path+".log0", os.O_RDWR, 0)
			if err != nil {
				return err
			}
			_, err = file.WriteAt(segmentHeader(s.identity(), stillLog.segmentSize, 0), 0)
			_, zeroing := file.WriteAt(make([]byte, 1000), 700)
			return errors.Join(err, zeroing, file.Close(), changed(path, func(b *boltStorage) error { return b.commit(log) }))
		},
		"a new log file without content": func(path string) error { return os.Truncate(path+".log1", 0) },
	} {
		left := crashed(t, inLog)
		if err := step(left); err != nil {
			t.Fatal(err)
		}
		if got := logAfterCrash(t, left); !slices.EqualFunc(got, log, sameRecord) {
			t.Errorf("%s: %d records, want %d", name, len(got), len(log))
		}
		if _, err := Verify(left); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := s.close(); err != nil {
		t.Error(err)
	}
}

// changed changes the bbolt file alone.
func changed(path string, change func(*boltStorage) error) error {
	b, err := openBolt(path)
	if err != nil {
		return err
	}
	return errors.Join(change(b), b.close())
}

// TestLogThatDoesNotFitIsRefused: by the node, and by what reads a stopped store.
func TestLogThatDoesNotFitIsRefused(t *testing.T) {
	path := filepath.Join(t.TempDir(), "events.db")
	s := mustOpenLogged(t, path, stillLog)
	groups, log := testGroups(10)
	mustCommit(t, s, groups...)
	inLog := crashed(t, path)
	if err := s.close(); err != nil {
		t.Fatal(err)
	}
	for name, step := range map[string]func(path string) error{
		"first log file missing":  func(path string) error { return os.Remove(path + ".log0") },
		"second log file missing": func(path string) error { return os.Remove(path + ".log1") },
		"log file empty":          func(path string) error { return os.Truncate(path+".log0", sectorSize) },
		"log file is text":        func(path string) error { return os.WriteFile(path+".log0", []byte("text"), 0o600) },
		"log of another store": func(path string) error {
			return changeMeta(path, func(meta *bbolt.Bucket) error { return meta.Put(storeIDKey, make([]byte, 16)) })
		},
		"log is ahead of the file": func(path string) error {
			return os.WriteFile(path+".log0", logFile(s, 7, log[3:]), 0o600)
		},
		"log files don't follow each other": func(path string) error {
			return os.WriteFile(path+".log1", logFile(s, 7, []record{testRecord(uint64(len(log)+2), "a", 9)}), 0o600)
		},
		"file closed earlier": func(path string) error {
			return changed(path, func(b *boltStorage) error { return b.commitAs(formatComplete, log[:6]) })
		},
	} {
		left := crashed(t, inLog)
		if err := step(left); err != nil {
			t.Fatal(err)
		}
		opened, err := openLogged(left, stillLog)
		if !errors.Is(err, ErrLog) {
			t.Errorf("%s: open says %v, want ErrLog", name, err)
		}
		if err == nil {
			_ = opened.close()
		}
		if _, err := Verify(left); !errors.Is(err, ErrLog) {
			t.Errorf("%s: Verify says %v, want ErrLog", name, err)
		}
		copied := filepath.Join(t.TempDir(), "compact.db")
		if err := Compact(left, copied); !errors.Is(err, ErrLog) {
			t.Errorf("%s: Compact says %v, want ErrLog", name, err)
		}
		last, err := lastInFile(left)
		if err := errors.Join(err, CompactWithoutLog(left, copied)); err != nil {
			t.Fatal(err)
		}
		if got := logAfterCrash(t, copied); uint64(len(got)) != last {
			t.Errorf("%s: without the log the copy has %d records, want %d", name, len(got), last)
		}
	}
}

// lastInFile is the last position in the bbolt file alone.
func lastInFile(path string) (last uint64, err error) {
	err = changed(path, func(b *boltStorage) (err error) {
		last, err = b.last()
		return err
	})
	return last, err
}

func changeMeta(path string, change func(*bbolt.Bucket) error) error {
	return changed(path, func(b *boltStorage) error {
		return b.db.Update(func(tx *bbolt.Tx) error { return change(tx.Bucket(metaBucket)) })
	})
}

// logFile is a log file with one group in it.
func logFile(s *loggedStorage, salt uint64, group []record) []byte {
	content := make([]byte, stillLog.segmentSize)
	copy(content, segmentHeader(s.identity(), stillLog.segmentSize, salt))
	copy(content[sectorSize:], appendFrame(nil, salt, group))
	return content
}
