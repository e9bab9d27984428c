package node

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"
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

// TestViewsDuringMoves reads while events are written and moved. Each view has all that
// was acknowledged when it began, without a gap and nothing twice, wherever it lies.
func TestViewsDuringMoves(t *testing.T) {
	s := mustOpenLogged(t, filepath.Join(t.TempDir(), "events.db"), busyLog)
	defer s.close()
	groups, log := testGroups(600)
	var acknowledged atomic.Int64
	var reading sync.WaitGroup
	for range 3 {
		reading.Go(func() {
			for before := acknowledged.Load(); before < int64(len(log)); before = acknowledged.Load() {
				if err := s.view(func(v snapshot) error { return checkView(v, log, before) }); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	for _, group := range groups {
		mustCommit(t, s, group)
		acknowledged.Add(int64(len(group)))
	}
	reading.Wait()
}

// checkView reads the log and a stream, either way.
func checkView(v snapshot, log []record, least int64) error {
	var found []record
	for r, err := range v.all(0, forwards) {
		if err != nil {
			return err
		}
		found = append(found, r)
	}
	if len(found) < int(least) || !slices.EqualFunc(found, log[:len(found)], sameRecord) {
		return fmt.Errorf("%d events of the log, %d were acknowledged", len(found), least)
	}
	want := expectScan(found, backwards, func(r record) bool { return r.stream == "b" })
	var stream []record
	for r, err := range v.stream("b", lastRevision, backwards) {
		if err != nil {
			return err
		}
		stream = append(stream, r)
	}
	if !slices.EqualFunc(stream, want, sameRecord) {
		return fmt.Errorf("%d events of the stream, want %d", len(stream), len(want))
	}
	return nil
}
