package node

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"github.com/google/uuid"
	"go.etcd.io/bbolt"
)

// BenchmarkOpen opens stores of different sizes and reports, beside the time, how much
// memory an open node keeps. With DAYBOOK_TEST_LONG set one has 10 million events, which
// takes minutes to write and 6 GB of disk.
func BenchmarkOpen(b *testing.B) {
	sizes := []int{10_000, 1_000_000}
	if os.Getenv("DAYBOOK_TEST_LONG") != "" {
		sizes = append(sizes, 10_000_000)
	}
	for _, events := range sizes {
		b.Run(fmt.Sprintf("events=%d", events), func(b *testing.B) {
			path := filepath.Join(b.TempDir(), "events.db")
			fillFile(b, path, events)
			before := heap()
			for b.Loop() {
				n, err := Open(Config{Path: path})
				if err != nil {
					b.Fatal(err)
				}
				b.StopTimer()
				b.ReportMetric(float64(heap()-before)/(1<<20), "MiB-heap")
				if err := n.Close(); err != nil {
					b.Fatal(err)
				}
				b.StartTimer()
			}
			if each := b.Elapsed() / time.Duration(b.N); each > time.Second {
				b.Errorf("open takes %s, want less than a second", each)
			}
		})
	}
}

func heap() int64 {
	runtime.GC()
	runtime.GC() // what pools kept goes with the second
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// fillFile writes so many events, in streams of 20 that grow side by side.
func fillFile(b *testing.B, path string, events int) {
	b.Helper()
	s, err := openBoltWith(path, &bbolt.Options{NoSync: true})
	if err != nil {
		b.Fatal(err)
	}
	const streams, length, group = 1000, 20, 10_000
	data, metadata := make([]byte, 200), make([]byte, 120)
	for written := 0; written < events; written += group {
		records := make([]record, group)
		for i := range records {
			at := written + i
			block, rest := at/(streams*length), at%(streams*length)
			records[i] = record{
				position: uint64(at + 1), revision: int64(rest / streams),
				stream: fmt.Sprintf("account-%x", block*streams+rest%streams*7919%streams),
				id:     uuid.New(), typ: "ProfileUpdated", created: 1, json: true, data: data, metadata: metadata,
			}
		}
		if err := s.commit(records); err != nil {
			b.Fatal(err)
		}
	}
	if err := s.close(); err != nil {
		b.Fatal(err)
	}
}
