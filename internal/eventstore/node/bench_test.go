package node_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"
	"github.com/google/uuid"
	"go.etcd.io/bbolt"

	"daybook/internal/eventstore/node/nodetest"
)

// The benchmarks go through the official client over a Unix socket. Each has a control in
// the same run, which does the same work without the node: what the disk can do, by
// bbolt with the same two keys per event, and what gRPC can do, by a server that sends
// messages made beforehand.

// benchEvent is about as big as one of Daybook's.
func benchEvent() esdb.EventData {
	return esdb.EventData{
		EventID: uuid.New(), EventType: "ProfileUpdated", ContentType: esdb.ContentTypeJson,
		Data: bytes.Repeat([]byte("d"), 200), Metadata: bytes.Repeat([]byte("m"), 120),
	}
}

// parallel runs do in so many goroutines, b.N times in all.
func parallel(b *testing.B, writers int, do func(writer int) error) {
	b.Helper()
	var left atomic.Int64
	left.Store(int64(b.N))
	var running sync.WaitGroup
	b.ResetTimer()
	for w := range writers {
		running.Go(func() {
			for left.Add(-1) >= 0 {
				if err := do(w); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	running.Wait()
	b.StopTimer()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "events/s")
}

func BenchmarkAppend(b *testing.B) {
	for _, writers := range []int{1, 16, 64} {
		b.Run(fmt.Sprintf("node/disk/writers=%d", writers), func(b *testing.B) {
			benchmarkAppend(b, nodetest.Start(b, nodetest.OnDisk(b)), writers)
		})
		b.Run(fmt.Sprintf("node/memory/writers=%d", writers), func(b *testing.B) {
			benchmarkAppend(b, nodetest.Start(b), writers)
		})
		b.Run(fmt.Sprintf("control/bbolt/writers=%d", writers), func(b *testing.B) { benchmarkBolt(b, writers) })
		b.Run(fmt.Sprintf("control/grpc/writers=%d", writers), func(b *testing.B) { benchmarkEcho(b, echoServer{}, writers) })
		b.Run(fmt.Sprintf("control/grpc+bbolt/writers=%d", writers), func(b *testing.B) {
			benchmarkEcho(b, echoServer{queue: controlQueue(b)}, writers)
		})
	}
}

func benchmarkAppend(b *testing.B, r *nodetest.Running, writers int) {
	c := r.Client(b)
	expected := make([]esdb.ExpectedRevision, writers)
	for i := range expected {
		expected[i] = esdb.NoStream{}
	}
	parallel(b, writers, func(w int) error {
		written, err := c.AppendToStream(b.Context(), fmt.Sprintf("account-%d", w), esdb.AppendToStreamOptions{ExpectedRevision: expected[w]}, benchEvent())
		if err == nil {
			expected[w] = esdb.Revision(written.NextExpectedVersion)
		}
		return err
	})
}

// benchmarkBolt commits what waits as one transaction, as the node does.
func benchmarkBolt(b *testing.B, writers int) {
	queue := controlQueue(b)
	parallel(b, writers, func(int) error {
		answer := make(chan error, 1)
		queue <- answer
		return <-answer
	})
}

// controlQueue is the queue of a bbolt file that is written until the benchmark ends.
func controlQueue(b *testing.B) chan<- chan error {
	b.Helper()
	db, err := bbolt.Open(filepath.Join(b.TempDir(), "control.db"), 0o600, &bbolt.Options{FreelistType: bbolt.FreelistMapType, InitialMmapSize: 256 << 20})
	if err != nil {
		b.Fatal(err)
	}
	queue, done := make(chan chan error, 1024), make(chan struct{})
	go func() {
		defer close(done)
		commitGroups(db, queue)
	}()
	b.Cleanup(func() {
		close(queue)
		<-done
		if err := db.Close(); err != nil {
			b.Error(err)
		}
	})
	return queue
}

func commitGroups(db *bbolt.DB, queue <-chan chan error) {
	value, position := bytes.Repeat([]byte("v"), 400), uint64(0)
	for first := range queue {
		group := []chan error{first}
		for waiting := len(queue); waiting > 0; waiting-- {
			group = append(group, <-queue)
		}
		err := db.Update(func(tx *bbolt.Tx) error {
			events, err := tx.CreateBucketIfNotExists([]byte("events"))
			if err != nil {
				return err
			}
			index, err := tx.CreateBucketIfNotExists([]byte("streams"))
			if err != nil {
				return err
			}
			for i := range group {
				position++
				key := binary.BigEndian.AppendUint64(nil, position)
				stream := fmt.Appendf(nil, "account-%d-%s", i, key)
				if err := errors.Join(events.Put(key, value), index.Put(stream, key)); err != nil {
					return err
				}
			}
			return nil
		})
		for _, answer := range group {
			answer <- err
		}
	}
}

// history is how many events are read in one pass.
const history = 20_000

func fillHistory(b *testing.B, r *nodetest.Running) *esdb.Client {
	b.Helper()
	c := r.Client(b)
	for i := range history / 100 {
		var batch []esdb.EventData
		for range 100 {
			batch = append(batch, benchEvent())
		}
		if _, err := c.AppendToStream(b.Context(), fmt.Sprintf("account-%d", i%50), esdb.AppendToStreamOptions{}, batch...); err != nil {
			b.Fatal(err)
		}
	}
	return c
}

func reportRead(b *testing.B) {
	b.ReportMetric(float64(b.N)*history/b.Elapsed().Seconds(), "events/s")
}

func BenchmarkReadAll(b *testing.B) {
	b.Run("node/disk", func(b *testing.B) {
		benchmarkReadAll(b, fillHistory(b, nodetest.Start(b, nodetest.OnDisk(b))))
	})
	b.Run("node/memory", func(b *testing.B) { benchmarkReadAll(b, fillHistory(b, nodetest.Start(b))) })
	b.Run("control/grpc", func(b *testing.B) {
		benchmarkReadAll(b, serveControl(b, cannedServer{messages: cannedMessages(100), repeats: history / 100}))
	})
}

func benchmarkReadAll(b *testing.B, c *esdb.Client) {
	for b.Loop() {
		reading, err := c.ReadAll(b.Context(), esdb.ReadAllOptions{From: esdb.Start{}}, history)
		if err != nil {
			b.Fatal(err)
		}
		if count := drain(b, reading); count != history {
			b.Fatalf("read %d events, want %d", count, history)
		}
	}
	reportRead(b)
}

// BenchmarkReadStream reads a stream of 20 events, the length of a usual account's.
func BenchmarkReadStream(b *testing.B) {
	b.Run("node/disk", func(b *testing.B) {
		c := nodetest.Start(b, nodetest.OnDisk(b)).Client(b)
		for range 20 {
			if _, err := c.AppendToStream(b.Context(), "account-1", esdb.AppendToStreamOptions{}, benchEvent()); err != nil {
				b.Fatal(err)
			}
		}
		benchmarkReadStream(b, c)
	})
	b.Run("control/grpc", func(b *testing.B) {
		benchmarkReadStream(b, serveControl(b, cannedServer{messages: cannedMessages(20), repeats: 1}))
	})
}

func benchmarkReadStream(b *testing.B, c *esdb.Client) {
	for b.Loop() {
		reading, err := c.ReadStream(b.Context(), "account-1", esdb.ReadStreamOptions{From: esdb.Start{}}, 100)
		if err != nil {
			b.Fatal(err)
		}
		if count := drain(b, reading); count != 20 {
			b.Fatalf("read %d events, want 20", count)
		}
	}
}

// drain reads to the end and returns how many events there were.
func drain(b *testing.B, reading *esdb.ReadStream) int {
	b.Helper()
	defer reading.Close()
	for count := 0; ; count++ {
		if _, err := reading.Recv(); errors.Is(err, io.EOF) {
			return count
		} else if err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkCatchUp follows $all with a filter from the start until it has caught up.
func BenchmarkCatchUp(b *testing.B) {
	c := fillHistory(b, nodetest.Start(b, nodetest.OnDisk(b)))
	for b.Loop() {
		sub, err := c.SubscribeToAll(b.Context(), esdb.SubscribeToAllOptions{
			From: esdb.Start{}, MaxSearchWindow: 1000,
			Filter: &esdb.SubscriptionFilter{Type: esdb.StreamFilterType, Prefixes: []string{"account-"}},
		})
		if err != nil {
			b.Fatal(err)
		}
		for message := sub.Recv(); message.CaughtUp == nil; message = sub.Recv() {
			if message.SubscriptionDropped != nil {
				b.Fatal(message.SubscriptionDropped.Error)
			}
		}
		_ = sub.Close()
	}
	reportRead(b)
}
