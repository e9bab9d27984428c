package thumbnail

import (
	"errors"
	"image"
	"os"
	"runtime/metrics"
	"sync"
	"testing"
	"time"
)

// TestManyBombsAtOnce (C78): pictures of a few KB that decode to the most that is
// allowed, and such that claim far more, take no more memory together than the
// budget and what the collector leaves behind of it; whoever finds no share is told.
// Without the budget 50 of them would take some 5 GiB. DAYBOOK_TEST_LONG makes it 50
// at a time, from 12.
func TestManyBombsAtOnce(t *testing.T) {
	uploads := 12
	if os.Getenv("DAYBOOK_TEST_LONG") != "" {
		uploads = 50
	}
	bombs := [][]byte{asPNG(t, image.NewNRGBA(image.Rect(0, 0, 5000, 5000))), pngHeader(30000, 30000, 16, 6, 1), asPNG(t, image.NewGray(image.Rect(0, 0, 5000, 5000)))}
	const budget = 448 << 20 // the default
	p := New(Config{MemoryBudget: budget})
	before, end, most := heapBytes(), make(chan struct{}), make(chan uint64, 1)
	go sampleHeap(end, most)
	var wait sync.WaitGroup
	for i := range uploads {
		wait.Go(func() {
			_, err := p.Process(t.Context(), bombs[i%len(bombs)])
			var refused *RefusedError
			if err != nil && !errors.Is(err, ErrBusy) && !errors.As(err, &refused) {
				t.Error(err)
			}
		})
	}
	wait.Wait()
	close(end)
	if grown := int64(<-most) - int64(before); grown > 2*budget {
		t.Errorf("%d uploads made the heap grow by %d MiB", uploads, grown>>20)
	} else {
		t.Logf("%d uploads made the heap grow by %d MiB", uploads, grown>>20)
	}
	if !p.memory.TryAcquire(budget) {
		t.Error("a share was not given back")
	}
}

// heapBytes is how many bytes hold objects, dead ones included.
func heapBytes() uint64 {
	sample := []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}}
	metrics.Read(sample)
	return sample[0].Value.Uint64()
}

func sampleHeap(end <-chan struct{}, most chan<- uint64) {
	ticker := time.NewTicker(2 * time.Millisecond)
	defer ticker.Stop()
	peak := heapBytes()
	for {
		select {
		case <-ticker.C:
			peak = max(peak, heapBytes())
		case <-end:
			most <- peak
			return
		}
	}
}
