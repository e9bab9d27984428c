package node

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/google/uuid"
	"go.etcd.io/bbolt"
)

// eachStorage runs a test over every implementation. open gives the same storage again
// after a close only if durable.
func eachStorage(t *testing.T, test func(t *testing.T, s storage)) {
	t.Run("memory", func(t *testing.T) { test(t, newMemoryStorage()) })
	t.Run("bolt", func(t *testing.T) {
		s := mustOpenBolt(t, filepath.Join(t.TempDir(), "events.db"))
		t.Cleanup(func() { _ = s.close() })
		test(t, s)
	})
	for name, options := range map[string]logOptions{"log": stillLog, "log that is moved": busyLog} {
		t.Run(name, func(t *testing.T) {
			s := mustOpenLogged(t, filepath.Join(t.TempDir(), "events.db"), options)
			t.Cleanup(func() { _ = s.close() })
			test(t, s)
		})
	}
}

func mustOpenBolt(t *testing.T, path string) *boltStorage {
	t.Helper()
	s, err := openBolt(path)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func testRecord(position uint64, stream string, revision int64) record {
	return record{
		position: position, stream: stream, revision: revision, id: uuid.New(), typ: "happened",
		created: 17, json: position%2 == 0, data: fmt.Appendf(nil, "data of %d", position), metadata: []byte("m"),
	}
}

// scanned collects what a scan yields.
func scanned(t *testing.T, s storage, scan func(snapshot, func(record, error) bool)) []record {
	t.Helper()
	var all []record
	err := s.view(func(snap snapshot) error {
		var failed error
		scan(snap, func(r record, err error) bool {
			failed = err
			all = append(all, r.clone())
			return err == nil
		})
		return failed
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func sameRecord(a, b record) bool {
	return a.position == b.position && a.stream == b.stream && a.revision == b.revision && a.id == b.id &&
		a.typ == b.typ && a.created == b.created && a.json == b.json &&
		slices.Equal(a.data, b.data) && slices.Equal(a.metadata, b.metadata)
}

// TestStorageScans compares every scan from every point with one over a plain slice.
// The names are such that keys without care would mix them up.
func TestStorageScans(t *testing.T) {
	names := []string{"a", "a\x00", "a\x00\x00\x00\x00\x00\x00\x00\x01", "ab", "b", "", "\xff"}
	eachStorage(t, func(t *testing.T, s storage) {
		random := rand.New(rand.NewPCG(1, 2))
		next := map[string]int64{}
		var log []record
		for len(log) < 120 {
			var group []record
			for range 1 + random.IntN(4) {
				name := names[random.IntN(len(names))]
				if next[name] == 20 {
					continue // its tombstone was its last
				}
				r := testRecord(uint64(len(log)+1), name, next[name])
				if next[name]++; next[name] == 20 {
					r.revision = tombstoneRevision
				}
				group, log = append(group, r), append(log, r)
			}
			if err := s.commit(group); err != nil {
				t.Fatal(err)
			}
		}
		compareAll(t, s, log)
		for _, name := range append(names, "absent") {
			compareStream(t, s, log, name)
		}
	})
}

func compareAll(t *testing.T, s storage, log []record) {
	for _, from := range []uint64{0, 1, 2, 60, 120, 121, 122, 1000, lastPosition} {
		for _, dir := range []direction{forwards, backwards} {
			want := expectScan(log, dir, func(r record) bool {
				return dir == forwards && r.position >= from || dir == backwards && r.position <= from
			})
			got := scanned(t, s, func(snap snapshot, yield func(record, error) bool) { snap.all(from, dir)(yield) })
			if !slices.EqualFunc(got, want, sameRecord) {
				t.Errorf("all from %d, backwards %v: %d records, want %d", from, dir, len(got), len(want))
			}
		}
	}
}

func compareStream(t *testing.T, s storage, log []record, name string) {
	for _, from := range []int64{-1, 0, 1, 5, 18, 19, 30, tombstoneRevision - 1, lastRevision} {
		for _, dir := range []direction{forwards, backwards} {
			want := expectScan(log, dir, func(r record) bool {
				return r.stream == name && (dir == forwards && r.revision >= from || dir == backwards && r.revision <= from)
			})
			got := scanned(t, s, func(snap snapshot, yield func(record, error) bool) { snap.stream(name, from, dir)(yield) })
			if !slices.EqualFunc(got, want, sameRecord) {
				t.Errorf("stream %q from %d, backwards %v: %d records, want %d", name, from, dir, len(got), len(want))
			}
		}
	}
}

func expectScan(log []record, dir direction, wanted func(record) bool) []record {
	var found []record
	for _, r := range log {
		if wanted(r) {
			found = append(found, r)
		}
	}
	if dir == backwards {
		slices.Reverse(found)
	}
	return found
}

// TestStorageViewIsOneMoment commits while a view is open.
func TestStorageViewIsOneMoment(t *testing.T) {
	eachStorage(t, func(t *testing.T, s storage) {
		if err := s.commit([]record{testRecord(1, "a", 0)}); err != nil {
			t.Fatal(err)
		}
		committed := make(chan error)
		err := s.view(func(snap snapshot) error {
			started := make(chan struct{})
			go func() {
				close(started)
				committed <- s.commit([]record{testRecord(2, "a", 1)})
			}()
			<-started
			count := 0
			for range 3 {
				for range snap.all(0, forwards) {
					count++
				}
			}
			if count != 3 {
				return fmt.Errorf("three scans of one record gave %d", count)
			}
			return nil
		})
		if err := errors.Join(err, <-committed); err != nil {
			t.Fatal(err)
		}
		if got := scanned(t, s, func(snap snapshot, yield func(record, error) bool) { snap.all(0, forwards)(yield) }); len(got) != 2 {
			t.Errorf("after the commit there are %d records, want 2", len(got))
		}
	})
}

func TestBoltKeepsWhatWasCommitted(t *testing.T) {
	path := filepath.Join(t.TempDir(), "events.db")
	s := mustOpenBolt(t, path)
	id := s.identity()
	want := []record{testRecord(1, "a", 0), testRecord(2, "b", 0)}
	if err := errors.Join(s.commit(want), s.close()); err != nil {
		t.Fatal(err)
	}
	s = mustOpenBolt(t, path)
	defer s.close()
	got := scanned(t, s, func(snap snapshot, yield func(record, error) bool) { snap.all(0, forwards)(yield) })
	if !slices.EqualFunc(got, want, sameRecord) {
		t.Errorf("after opening again: %+v, want %+v", got, want)
	}
	if s.identity() != id || id == uuid.Nil {
		t.Errorf("store id changed from %v to %v", id, s.identity())
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("file has mode %v (%v), want 0600", info.Mode(), err)
	}
}

func TestBoltRefusesForeignFiles(t *testing.T) {
	text := filepath.Join(t.TempDir(), "text")
	if err := os.WriteFile(text, []byte("this is no database, but it is long enough to look at"), 0o600); err != nil {
		t.Fatal(err)
	}
	foreign := filepath.Join(t.TempDir(), "foreign")
	changeBolt(t, foreign, func(tx *bbolt.Tx) error {
		_, err := tx.CreateBucket([]byte("someone else's"))
		return err
	})
	newer := filepath.Join(t.TempDir(), "newer")
	if err := mustOpenBolt(t, newer).close(); err != nil {
		t.Fatal(err)
	}
	changeBolt(t, newer, func(tx *bbolt.Tx) error {
		return tx.Bucket(metaBucket).Put(formatKey, []byte{0, 0, 0, 99})
	})
	for _, path := range []string{text, foreign, newer} {
		if s, err := openBolt(path); !errors.Is(err, ErrFormat) {
			t.Errorf("open %s: %v, want ErrFormat", filepath.Base(path), err)
			if err == nil {
				_ = s.close()
			}
		}
	}
}

func changeBolt(t *testing.T, path string, change func(*bbolt.Tx) error) {
	t.Helper()
	db, err := bbolt.Open(path, 0o600, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(db.Update(change), db.Close()); err != nil {
		t.Fatal(err)
	}
}

// TestBoltNoticesDamage changes one stored byte.
func TestBoltNoticesDamage(t *testing.T) {
	path := filepath.Join(t.TempDir(), "events.db")
	s := mustOpenBolt(t, path)
	if err := errors.Join(s.commit([]record{testRecord(1, "a", 0)}), s.close()); err != nil {
		t.Fatal(err)
	}
	changeBolt(t, path, func(tx *bbolt.Tx) error {
		key := []byte{0, 0, 0, 0, 0, 0, 0, 1}
		value := slices.Clone(tx.Bucket(eventsBucket).Get(key))
		value[40] ^= 1
		return tx.Bucket(eventsBucket).Put(key, value)
	})
	s = mustOpenBolt(t, path)
	defer s.close()
	err := s.view(func(snap snapshot) error {
		for _, err := range snap.stream("a", 0, forwards) {
			return err
		}
		return nil
	})
	if !errors.Is(err, errCorrupt) {
		t.Errorf("reading the damaged record: %v, want errCorrupt", err)
	}
}
