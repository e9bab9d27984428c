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
// for the view, and then once more, which need not. Of each pair the difference is
// the added wait.
func BenchmarkReadYourWrites(b *testing.B) {
	s := start(b, settings(b))
	people := make([]*browser, editors)
	for i := range people {
		people[i] = s.signedIn(owner(i))
	}
	b.ResetTimer()
	first, again := make([]float64, b.N), make([]float64, b.N)
	var working sync.WaitGroup
	queues := make([]chan int, editors)
	for i, person := range people {
		queues[i] = make(chan int, b.N/editors+1)
		working.Go(func() {
			for n := range queues[i] {
				first[n], again[n] = person.editAndLook(b, n)
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
	added := make([]float64, b.N)
	for i := range added {
		added[i] = max(0, first[i]-again[i])
	}
	for name, times := range map[string][]float64{"first": first, "again": again, "added": added} {
		slices.Sort(times)
		b.ReportMetric(times[len(times)/2], name+"-p50-ms")
		b.ReportMetric(times[len(times)*99/100], name+"-p99-ms")
	}
}

// editAndLook returns how long the two looks took, in ms. Both must show the edit.
func (b *browser) editAndLook(tb testing.TB, n int) (first, again float64) {
	if a := b.patch(map[string]string{"first_name": name(n)}, nil); a.Status != http.StatusOK {
		tb.Errorf("edit: %d %s", a.Status, a.Body)
	}
	look := func() float64 {
		began := time.Now()
		a := b.get("/users/current-user/")
		took := time.Since(began)
		if a.text("first_name") != name(n) {
			tb.Errorf("an own write is not seen: %d %s", a.Status, a.Body)
		}
		return float64(took.Microseconds()) / 1000
	}
	return look(), look()
}
