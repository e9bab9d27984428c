package node

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"go.etcd.io/bbolt"
)

// stillLog moves nothing before close, busyLog always.
var (
	stillLog = logOptions{segmentSize: 1 << 20, moveAfter: time.Hour}
	busyLog  = logOptions{segmentSize: 4 << 10, moveAfter: time.Millisecond}
)

func mustOpenLogged(t *testing.T, path string, options logOptions) *loggedStorage {
	t.Helper()
	s, err := openLogged(path, options)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func mustCommit(t *testing.T, s storage, groups ...[]record) {
	t.Helper()
	for _, group := range groups {
		if err := s.commit(group); err != nil {
			t.Fatal(err)
		}
	}
}

// testGroups are groups of one to three records each, of a few streams.
func testGroups(count int) (groups [][]record, log []record) {
	revisions := map[string]int64{}
	for i := range count {
		var group []record
		for range i%3 + 1 {
			stream := string(rune('a' + len(log)%5))
			group = append(group, testRecord(uint64(len(log)+1), stream, revisions[stream]))
			revisions[stream]++
			log = append(log, group[len(group)-1])
		}
		groups = append(groups, group)
	}
	return groups, log
}

func wholeLog(t *testing.T, s storage) []record {
	t.Helper()
	return scanned(t, s, func(snap snapshot, yield func(record, error) bool) { snap.all(0, forwards)(yield) })
}

func wantLog(t *testing.T, s storage, want []record) {
	t.Helper()
	if got := wholeLog(t, s); !slices.EqualFunc(got, want, sameRecord) {
		t.Errorf("there are %d records, want %d, or others", len(got), len(want))
	}
}

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

// TestClosedStoreIsOneFile: after a close there is no log, and what a bbolt file alone
// was always read by reads it.
func TestClosedStoreIsOneFile(t *testing.T) {
	for name, options := range map[string]logOptions{"not moved before": stillLog, "moved before": busyLog} {
		path := filepath.Join(t.TempDir(), "events.db")
		s := mustOpenLogged(t, path, options)
		groups, log := testGroups(200)
		mustCommit(t, s, groups...)
		wantLog(t, s, log)
		if err := s.close(); err != nil {
			t.Fatal(err)
		}
		left, err := os.ReadDir(filepath.Dir(path))
		if err != nil || len(left) != 1 {
			t.Errorf("%s: closed, there are %v (%v)", name, left, err)
		}
		b := mustOpenBolt(t, path)
		wantLog(t, b, log)
		if b.logged {
			t.Errorf("%s: the file still asks for its log", name)
		}
		if err := b.close(); err != nil {
			t.Error(err)
		}
	}
}

// TestIdleLogIsMoved: what is in the log doesn't wait there for more.
func TestIdleLogIsMoved(t *testing.T) {
	s := mustOpenLogged(t, filepath.Join(t.TempDir(), "events.db"), logOptions{segmentSize: 1 << 20, moveAfter: time.Millisecond})
	defer s.close()
	groups, log := testGroups(3)
	mustCommit(t, s, groups...)
	await(t, "the log to be moved", func() bool {
		last, err := s.bolt.last()
		return err == nil && last == uint64(len(log))
	})
	wantLog(t, s, log)
}

// TestLogHoldsWritersBack: what is in memory is bounded, however much is written.
func TestLogHoldsWritersBack(t *testing.T) {
	s := mustOpenLogged(t, filepath.Join(t.TempDir(), "events.db"), busyLog)
	defer s.close()
	groups, log := testGroups(1000)
	for _, group := range groups {
		mustCommit(t, s, group)
		waiting := 0
		for _, table := range s.tables() {
			for _, r := range table.records {
				waiting += r.size()
			}
		}
		if waiting > 2*int(busyLog.segmentSize) {
			t.Fatalf("%d bytes of events wait in memory, with two log files of %d", waiting, busyLog.segmentSize)
		}
	}
	wantLog(t, s, log)
}

// TestLogTakesGroupOfAnySize: one that no log file has room for makes one grow.
func TestLogTakesGroupOfAnySize(t *testing.T) {
	path := filepath.Join(t.TempDir(), "events.db")
	s := mustOpenLogged(t, path, logOptions{segmentSize: 4 << 10, moveAfter: time.Hour})
	small, big := testRecord(1, "a", 0), testRecord(2, "a", 1)
	big.data = slices.Repeat([]byte("x"), 1<<20)
	mustCommit(t, s, []record{small}, []record{big})
	await(t, "the first log file to be moved", func() bool { return len(s.spare) == 1 })
	if got := logAfterCrash(t, crashed(t, path)); !slices.EqualFunc(got, []record{small, big}, sameRecord) {
		t.Errorf("after a crash there are %d records, want 2", len(got))
	}
	next := testRecord(3, "a", 2)
	mustCommit(t, s, []record{next})
	if err := s.close(); err != nil {
		t.Fatal(err)
	}
	if got := logAfterCrash(t, path); !slices.EqualFunc(got, []record{small, big, next}, sameRecord) {
		t.Errorf("after a close there are %d records, want 3", len(got))
	}
}

// TestFileOfBeforeTheLog opens what was written without one.
func TestFileOfBeforeTheLog(t *testing.T) {
	path := filepath.Join(t.TempDir(), "events.db")
	b := mustOpenBolt(t, path)
	groups, log := testGroups(10)
	mustCommit(t, b, groups[:5]...)
	if err := b.close(); err != nil {
		t.Fatal(err)
	}
	s := mustOpenLogged(t, path, stillLog)
	mustCommit(t, s, groups[5:]...)
	if s.identity() != b.identity() {
		t.Errorf("store id changed from %v to %v", b.identity(), s.identity())
	}
	if err := s.close(); err != nil {
		t.Fatal(err)
	}
	if got := logAfterCrash(t, path); !slices.EqualFunc(got, log, sameRecord) {
		t.Errorf("there are %d records, want %d", len(got), len(log))
	}
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
		if err := Compact(left, filepath.Join(t.TempDir(), "compact.db")); !errors.Is(err, ErrLog) {
			t.Errorf("%s: Compact says %v, want ErrLog", name, err)
		}
	}
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
