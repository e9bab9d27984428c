package app_test

import (
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"

	"daybook/domain"
	"daybook/internal/eventstore"
	"daybook/internal/testkit"
)

// TestEventStoreBackupWhileItRuns backs up the event store of another process, into
// which 32 writers append. What was acknowledged before is in the copy, under the same
// revisions.
func TestEventStoreBackupWhileItRuns(t *testing.T) {
	file, addr := filepath.Join(t.TempDir(), "events.db"), closedPort(t)
	m := &member{tb: t, arguments: []string{"eventstore", "--addr", addr, "--file", file}}
	m.start()
	t.Cleanup(m.stop)
	client := storeClient(t, eventstore.Config{URL: "esdb://" + addr + "?tls=false"})
	load := appendTo(t, client, 32)
	testkit.Await(t, 20*time.Second, "appends", func() bool { return load.total() > 300 })
	before := load.acknowledged()
	target := filepath.Join(t.TempDir(), "backup.db")
	out, err := command(t, "eventstore", "backup", "--file", file, target)
	if err != nil || !strings.Contains(out, "is sound") {
		t.Fatalf("%v %s", err, out)
	}
	load.stop()
	if _, err := command(t, "eventstore", "backup", "--file", file, target); err == nil || !strings.Contains(err.Error(), "exist") {
		t.Errorf("over a file: %v", err)
	}
	restored, addr := &member{tb: t}, closedPort(t)
	restored.arguments = []string{"eventstore", "--addr", addr, "--file", target}
	restored.start()
	t.Cleanup(restored.stop)
	copied := storeClient(t, eventstore.Config{URL: "esdb://" + addr + "?tls=false"})
	for w, count := range before {
		last := int64(-1)
		for e, err := range copied.ReadStream(t.Context(), writerStream(w), 0) {
			if err != nil || e.ID != writerEvent(w, e.Revision) {
				t.Fatalf("event %d of writer %d is %+v (%v)", e.Revision, w, e, err)
			}
			last = e.Revision
		}
		if last < count-1 {
			t.Errorf("the copy has %d events of writer %d, who had %d acknowledged", last+1, w, count)
		}
	}
}

func storeClient(t *testing.T, config eventstore.Config) *eventstore.Client {
	t.Helper()
	client, err := eventstore.NewClient(config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	return client
}

// storeLoad is writers that append one by one, and how many events each had acknowledged.
type storeLoad struct {
	acked []atomic.Int64
	ended atomic.Bool
	work  sync.WaitGroup
}

func writerStream(w int) string { return fmt.Sprintf("account-%d", w) }

func writerEvent(w int, revision int64) uuid.UUID {
	return uuid.NewSHA1(uuid.NameSpaceOID, fmt.Appendf(nil, "%d/%d", w, revision))
}

func appendTo(t *testing.T, client *eventstore.Client, writers int) *storeLoad {
	l := &storeLoad{acked: make([]atomic.Int64, writers)}
	for w := range writers {
		l.work.Go(func() {
			for next := int64(0); !l.ended.Load(); next++ {
				e := eventstore.Proposed{ID: writerEvent(w, next), Type: "Noted", Data: []byte("{}"), Metadata: []byte("{}")}
				expected := next - 1
				if next == 0 {
					expected = domain.NoStream
				}
				if _, err := client.Append(t.Context(), writerStream(w), expected, e); err != nil {
					t.Error(err)
					return
				}
				l.acked[w].Store(next + 1)
			}
		})
	}
	t.Cleanup(l.stop)
	return l
}

func (l *storeLoad) acknowledged() []int64 {
	counts := make([]int64, len(l.acked))
	for w := range l.acked {
		counts[w] = l.acked[w].Load()
	}
	return counts
}

func (l *storeLoad) total() (sum int64) {
	for _, count := range l.acknowledged() {
		sum += count
	}
	return sum
}

func (l *storeLoad) stop() {
	l.ended.Store(true)
	l.work.Wait()
}

// TestBackupOfARunningService: the event store that a service runs for itself.
func TestBackupOfARunningService(t *testing.T) {
	s := settings(t)
	service := start(t, s)
	service.signedIn("kept@example.com")
	target := filepath.Join(t.TempDir(), "backup.db")
	t.Setenv("DAYBOOK_DATA_DIR", s.DataDir)
	out, err := command(t, "eventstore", "backup", target)
	if err != nil || !strings.Contains(out, "is sound") {
		t.Fatalf("%v %s", err, out)
	}
	service.signedIn("later@example.com")
	if out, err := command(t, "eventstore", "verify", "--file", target); err != nil {
		t.Errorf("%v %s", err, out)
	}
}
