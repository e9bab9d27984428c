package node_test

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"
	"github.com/google/uuid"

	"daybook/internal/eventstore/node"
	"daybook/internal/eventstore/node/nodetest"
)

// controlled starts a node on disk whose control channel is served, and gives its file.
func controlled(t *testing.T) (*nodetest.Running, string) {
	t.Helper()
	var path string
	r := nodetest.Start(t, nodetest.OnDisk(t), nodetest.With(func(c *node.Config) { path = c.Path }))
	openControl(t, r.Node(), path)
	return r, path
}

func openControl(t *testing.T, n *node.Node, path string) {
	t.Helper()
	served := make(chan error, 1)
	go func() { served <- n.ServeControl() }()
	t.Cleanup(func() {
		if err := errors.Join(n.Close(), <-served); err != nil {
			t.Error(err)
		}
	})
	await(t, "the control channel", func() bool {
		_, err := os.Stat(filepath.Join(path+".control", "socket"))
		return err == nil
	})
}

// manyWriters append to streams of their own until stop is called, and keep the ids that
// were acknowledged.
type manyWriters struct {
	*testing.T
	mu      sync.Mutex
	acked   map[string][]uuid.UUID
	total   atomic.Int64
	stopped atomic.Bool
	work    sync.WaitGroup
}

func startWriters(t *testing.T, c *esdb.Client, count int) *manyWriters {
	t.Helper()
	w := &manyWriters{T: t, acked: map[string][]uuid.UUID{}}
	for i := range count {
		w.work.Go(func() { w.write(c, fmt.Sprintf("writer-%d", i)) })
	}
	return w
}

func (w *manyWriters) write(c *esdb.Client, stream string) {
	for !w.stopped.Load() {
		e := newEvent()
		if _, err := c.AppendToStream(w.Context(), stream, esdb.AppendToStreamOptions{}, e); err != nil {
			w.Error(err)
			return
		}
		w.mu.Lock()
		w.acked[stream] = append(w.acked[stream], e.EventID)
		w.mu.Unlock()
		w.total.Add(1)
	}
}

// acknowledged is what was acknowledged by now.
func (w *manyWriters) acknowledged() map[string][]uuid.UUID {
	w.mu.Lock()
	defer w.mu.Unlock()
	now := map[string][]uuid.UUID{}
	for stream, all := range w.acked {
		now[stream] = all[:len(all):len(all)]
	}
	return now
}

func (w *manyWriters) stop() {
	w.stopped.Store(true)
	w.work.Wait()
}

// wantEvents fails the test unless each stream begins with the events.
func wantEvents(t *testing.T, c *esdb.Client, want map[string][]uuid.UUID) {
	t.Helper()
	for stream, all := range want {
		reading, err := c.ReadStream(t.Context(), stream, esdb.ReadStreamOptions{}, uint64(len(all)))
		if err != nil {
			t.Fatal(err)
		}
		for i, id := range all {
			if e, err := reading.Recv(); err != nil || e.Event.EventID != id {
				t.Fatalf("event %d of %s is %+v (%v), want %s", i, stream, e, err, id)
			}
		}
		reading.Close()
	}
}

// TestBackupRunning backs up a running node from outside while 32 writers append: what
// was acknowledged before it began is in the copy.
func TestBackupRunning(t *testing.T) {
	r, path := controlled(t)
	writers := startWriters(t, r.Client(t), 32)
	defer writers.stop()
	await(t, "appends", func() bool { return writers.total.Load() > 500 })
	before := writers.acknowledged()
	began := writers.total.Load()
	target := filepath.Join(t.TempDir(), "backup.db")
	if err := node.BackupRunning(t.Context(), path, target); err != nil {
		t.Fatal(err)
	}
	await(t, "appends after the backup", func() bool { return writers.total.Load() > began+500 })
	writers.stop()
	report, err := node.Verify(target)
	if err != nil || report.StoreID != r.Node().StoreID() {
		t.Fatalf("backup is %+v (%v), want one of store %v", report, err, r.Node().StoreID())
	}
	restored := nodetest.Start(t, nodetest.With(func(c *node.Config) { c.Path = target }))
	wantEvents(t, restored.Client(t), before)
	if err := node.BackupRunning(t.Context(), path, target); !errors.Is(err, os.ErrExist) {
		t.Errorf("backup onto a file that is there: %v, want ErrExist", err)
	}
}

// TestBackupRunningFromDeepDown: the path of a socket is bounded, that of a file isn't.
func TestBackupRunningFromDeepDown(t *testing.T) {
	dir := filepath.Join(t.TempDir(), strings.Repeat("deep", 30))
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "events.db")
	r := nodetest.Start(t, nodetest.With(func(c *node.Config) { c.Path = path }))
	openControl(t, r.Node(), path)
	target := filepath.Join(dir, "backup.db")
	if err := node.BackupRunning(t.Context(), path, target); err != nil {
		t.Fatal(err)
	}
	if report, err := node.Verify(target); err != nil || report.StoreID != r.Node().StoreID() {
		t.Errorf("backup is %+v (%v)", report, err)
	}
}

// TestBackupRunningIsPrivate: nobody but the file's owner gets to the channel.
func TestBackupRunningIsPrivate(t *testing.T) {
	_, path := controlled(t)
	info, err := os.Stat(path + ".control")
	if err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("directory of the channel is %v (%v), want it to be its owner's only", info.Mode(), err)
	}
}

// TestBackupNotRunning: no node, one that ended, and one that was killed.
func TestBackupNotRunning(t *testing.T) {
	target := filepath.Join(t.TempDir(), "backup.db")
	absent := filepath.Join(t.TempDir(), "events.db")
	if err := node.BackupRunning(t.Context(), absent, target); !errors.Is(err, node.ErrNotRunning) {
		t.Errorf("no node: %v, want ErrNotRunning", err)
	}
	r, path := controlled(t)
	r.Stop(t)
	if err := node.BackupRunning(t.Context(), path, target); !errors.Is(err, node.ErrNotRunning) {
		t.Errorf("after it ended: %v, want ErrNotRunning", err)
	}
	leaveSocket(t, path)
	if err := node.BackupRunning(t.Context(), path, target); !errors.Is(err, node.ErrNotRunning) {
		t.Errorf("after it was killed: %v, want ErrNotRunning", err)
	}
	r.Restart(t)
	openControl(t, r.Node(), path)
	await(t, "the channel after the crash", func() bool { return node.BackupRunning(t.Context(), path, target) == nil })
}

// leaveSocket leaves what a killed node leaves.
func leaveSocket(t *testing.T, path string) {
	t.Helper()
	await(t, "the channel to be gone", func() bool {
		_, err := os.Stat(path + ".control")
		return errors.Is(err, os.ErrNotExist)
	})
	if err := os.Mkdir(path+".control", 0o700); err != nil {
		t.Fatal(err)
	}
	t.Chdir(path + ".control") // for a name short enough
	listener, err := net.ListenUnix("unix", &net.UnixAddr{Net: "unix", Name: "socket"})
	if err != nil {
		t.Fatal(err)
	}
	listener.SetUnlinkOnClose(false)
	if err := listener.Close(); err != nil {
		t.Fatal(err)
	}
}

// TestBackupRunningCutShort cuts the channel in the middle: no file appears.
func TestBackupRunningCutShort(t *testing.T) {
	r, path := controlled(t)
	c := r.Client(t)
	for range 100 {
		mustAppend(t, c, "s", esdb.Any{}, newEvent())
	}
	other := filepath.Join(t.TempDir(), "events.db")
	for _, bytes := range []int64{0, 10, 1000, 5000} {
		forwardSome(t, path, other, bytes)
		target := filepath.Join(t.TempDir(), "backup.db")
		if err := node.BackupRunning(t.Context(), other, target); err == nil {
			t.Errorf("cut after %d bytes: no error", bytes)
		}
		if left, err := os.ReadDir(filepath.Dir(target)); err != nil || len(left) != 0 {
			t.Errorf("cut after %d bytes: %v is left (%v)", bytes, left, err)
		}
	}
}

// forwardSome stands between for one request: of the answer it lets so many bytes pass.
func forwardSome(t *testing.T, path, other string, bytes int64) {
	t.Helper()
	if err := os.RemoveAll(other + ".control"); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(other+".control", 0o700); err != nil {
		t.Fatal(err)
	}
	t.Chdir(other + ".control")
	listener, err := net.Listen("unix", "socket")
	if err != nil {
		t.Fatal(err)
	}
	t.Chdir(path + ".control")
	server, err := net.Dial("unix", "socket")
	if err != nil {
		t.Fatal(err)
	}
	var work sync.WaitGroup
	work.Go(func() {
		client, err := listener.Accept()
		if err != nil {
			return
		}
		go func() { _, _ = io.Copy(server, client) }()
		_, _ = io.CopyN(client, server, bytes)
		_ = client.Close()
	})
	t.Cleanup(func() { _ = listener.Close(); _ = server.Close(); work.Wait() })
}
