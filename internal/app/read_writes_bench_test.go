package app_test

import (
	"net/http"
	"slices"
	"sync"
	"testing"
	"time"
)

const (
	editors        = 20
	editsPerSecond = 200
)

// BenchmarkReadYourWrites measures what reading one's own write costs at a steady rate
// of commands: a person edits their profile and looks at it at once, which may wait
// for the view, and then twice more, which need not. How much longer the first look
// took than the second is the added wait; how much longer the second took than the
// third is what the machine alone makes of it.
func BenchmarkReadYourWrites(b *testing.B) {
	s := start(b, settings(b))
	people := make([]*browser, editors)
	for i := range people {
		people[i] = s.signedIn(owner(i))
	}
	b.ResetTimer()
	looks := make([][3]float64, b.N)
	var working sync.WaitGroup
	queues := make([]chan int, editors)
	for i, person := range people {
		queues[i] = make(chan int, b.N/editors+1)
		working.Go(func() {
			for n := range queues[i] {
				looks[n] = person.editAndLook(b, n)
			}
		})
	}
	ticker := time.NewTicker(time.Second / editsPerSecond)
	defer ticker.Stop()
	for n := range b.N {
		<-ticker.C
		queues[n%editors] <- n
	}
	for _, queue := range queues {
		close(queue)
	}
	working.Wait()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "edits/s")
	reportLooks(b, looks)
}

func reportLooks(b *testing.B, looks [][3]float64) {
	for name, of := range map[string]func([3]float64) float64{
		"first":   func(look [3]float64) float64 { return look[0] },
		"second":  func(look [3]float64) float64 { return look[1] },
		"added":   func(look [3]float64) float64 { return max(0, look[0]-look[1]) },
		"control": func(look [3]float64) float64 { return max(0, look[1]-look[2]) },
	} {
		times := make([]float64, len(looks))
		for i, look := range looks {
			times[i] = of(look)
		}
		slices.Sort(times)
		b.ReportMetric(times[len(times)/2], name+"-p50-ms")
		b.ReportMetric(times[len(times)*99/100], name+"-p99-ms")
	}
}

// editAndLook returns how long three looks took, in ms. All must show the edit.
func (b *browser) editAndLook(tb testing.TB, n int) (looks [3]float64) {
	if a := b.patch(map[string]string{"first_name": name(n)}, nil); a.Status != http.StatusOK {
		tb.Errorf("edit: %d %s", a.Status, a.Body)
	}
	for i := range looks {
		began := time.Now()
		a := b.get("/users/current-user/")
		looks[i] = float64(time.Since(began).Microseconds()) / 1000
		if a.text("first_name") != name(n) {
			tb.Errorf("an own write is not seen: %d %s", a.Status, a.Body)
		}
	}
	return looks
}
