package node_test

import (
	"errors"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"
	"go.etcd.io/bbolt"

	"daybook/internal/eventstore/node"
	"daybook/internal/eventstore/node/nodetest"
)

// TestBackupWhileWriting backs up under writers and starts a node on the copy: it must
// be the same store, with everything that was acknowledged when the backup began.
func TestBackupWhileWriting(t *testing.T) {
	r := nodetest.Start(t, nodetest.OnDisk(t))
	c := r.Client(t)
	var acknowledged uint64
	for range 50 {
		acknowledged = mustAppend(t, c, "before", esdb.Any{}, newEvent()).CommitPosition
	}
	stop := make(chan struct{})
	var writing sync.WaitGroup
	for range 4 {
		writing.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				if _, err := c.AppendToStream(t.Context(), "during", esdb.AppendToStreamOptions{}, newEvent()); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	path := filepath.Join(t.TempDir(), "backup.db")
	err := r.Node().Backup(path)
	close(stop)
	writing.Wait()
	if err != nil {
		t.Fatal(err)
	}
	report, err := node.Verify(path)
	if err != nil || report.Events < acknowledged || report.StoreID != r.Node().StoreID() {
		t.Fatalf("backup is %+v (%v), want %d events or more of store %v", report, err, acknowledged, r.Node().StoreID())
	}
	restored := nodetest.Start(t, nodetest.With(func(c *node.Config) { c.Path = path }))
	if next := mustAppend(t, restored.Client(t), "after", esdb.NoStream{}, newEvent()); next.CommitPosition != report.Events+1 {
		t.Errorf("first position in the copy is %d, want %d", next.CommitPosition, report.Events+1)
	}
}

func TestBackupOfMemory(t *testing.T) {
	r := nodetest.Start(t)
	mustAppend(t, r.Client(t), "s", esdb.NoStream{}, newEvent(), newEvent())
	path := filepath.Join(t.TempDir(), "backup.db")
	if err := r.Node().Backup(path); err != nil {
		t.Fatal(err)
	}
	if report, err := node.Verify(path); err != nil || report.Events != 3 || report.Streams != 2 {
		t.Errorf("backup is %+v (%v), want 2 events of 1 stream, and $users", report, err)
	}
	if err := r.Node().Backup(path); !errors.Is(err, os.ErrExist) {
		t.Errorf("backup onto a file that is there: %v, want ErrExist", err)
	}
	left, err := os.ReadDir(filepath.Dir(path))
	if err != nil || len(left) != 1 {
		t.Errorf("beside the backup there are %v (%v)", left, err)
	}
}

func TestCompact(t *testing.T) {
	dir := t.TempDir()
	source, target := filepath.Join(dir, "source.db"), filepath.Join(dir, "target.db")
	r := nodetest.Start(t, nodetest.With(func(c *node.Config) { c.Path = source }))
	c := r.Client(t)
	for range 100 {
		mustAppend(t, c, "s", esdb.Any{}, newEvent())
	}
	if err := node.Compact(source, target); !errors.Is(err, node.ErrInUse) {
		t.Errorf("compacting a store in use: %v, want ErrInUse", err)
	}
	if _, err := node.Verify(source); !errors.Is(err, node.ErrInUse) {
		t.Errorf("verifying a store in use: %v, want ErrInUse", err)
	}
	r.Stop(t)
	if err := node.Compact(source, target); err != nil {
		t.Fatal(err)
	}
	before, errBefore := node.Verify(source)
	after, errAfter := node.Verify(target)
	if err := errors.Join(errBefore, errAfter); err != nil || before != after || after.Events != 101 {
		t.Errorf("source is %+v, target %+v (%v)", before, after, err)
	}
}

// TestVerifyNoticesDamage damages copies of one store, each in another way.
func TestVerifyNoticesDamage(t *testing.T) {
	r := nodetest.Start(t)
	c := r.Client(t)
	mustAppend(t, c, "a", esdb.NoStream{}, newEvent(), newEvent())
	mustAppend(t, c, "b", esdb.NoStream{}, newEvent())
	if _, err := c.TombstoneStream(t.Context(), "b", esdb.TombstoneStreamOptions{}); err != nil {
		t.Fatal(err)
	}
	events, index := []byte("events"), []byte("streams")
	second, third := []byte{0, 0, 0, 0, 0, 0, 0, 2}, []byte{0, 0, 0, 0, 0, 0, 0, 3}
	for name, damage := range map[string]func(*bbolt.Tx) error{
		"none": func(*bbolt.Tx) error { return nil },
		"event changed": func(tx *bbolt.Tx) error {
			value := append([]byte{}, tx.Bucket(events).Get(second)...)
			value[30] ^= 1
			return tx.Bucket(events).Put(second, value)
		},
		"event missing": func(tx *bbolt.Tx) error { return tx.Bucket(events).Delete(second) },
		"event moved": func(tx *bbolt.Tx) error {
			return tx.Bucket(events).Put(second, tx.Bucket(events).Get([]byte{0, 0, 0, 0, 0, 0, 0, 1}))
		},
		"index entry missing": func(tx *bbolt.Tx) error {
			key, _ := tx.Bucket(index).Cursor().First()
			return tx.Bucket(index).Delete(key)
		},
		"index entry to another event": func(tx *bbolt.Tx) error {
			key, _ := tx.Bucket(index).Cursor().First()
			return tx.Bucket(index).Put(key, third)
		},
		"index entry to nothing": func(tx *bbolt.Tx) error {
			return tx.Bucket(index).Put([]byte("\x00\x00\x00\x01z\x00\x00\x00\x00\x00\x00\x00\x00"), []byte{0, 0, 0, 0, 0, 0, 0, 99})
		},
	} {
		path := filepath.Join(t.TempDir(), "copy.db")
		if err := r.Node().Backup(path); err != nil {
			t.Fatal(err)
		}
		db, err := bbolt.Open(path, 0o600, nil)
		if err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(db.Update(damage), db.Close()); err != nil {
			t.Fatal(err)
		}
		if _, err := node.Verify(path); (err == nil) != (name == "none") {
			t.Errorf("%s: Verify says %v", name, err)
		}
	}
}
