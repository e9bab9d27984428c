package app_test

import (
	"fmt"
	"net/http"
	"runtime/metrics"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// heap is how many bytes of memory hold objects, dead ones included.
func heap() uint64 {
	sample := []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}}
	metrics.Read(sample)
	return sample[0].Value.Uint64()
}

// watchHeap samples the heap until stopped, and returns the most that it grew by.
func watchHeap() (stop func() (grown uint64)) {
	before, most, end, ended := heap(), uint64(0), make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		ticker := time.NewTicker(5 * time.Millisecond)
		defer ticker.Stop()
		for {
			select {
			case <-ticker.C:
				if now := heap(); now > before {
					most = max(most, now-before)
				}
			case <-end:
				return
			}
		}
	}()
	return func() uint64 { close(end); <-ended; return most }
}

// TestManySignInsAtOnce (C27): of 64 at once as many are hashed as memory allows, and
// the rest is shed soon with 503 and Retry-After, while everybody else is served.
// Without the queue the hashes would take 1.2 GiB. DAYBOOK_TEST_LONG makes it 20
// storms, and holds the times to what is promised on a machine of its own.
func TestManySignInsAtOnce(t *testing.T) {
	s := start(t, settings(t))
	member := s.signedIn("member@example.com")
	storms, soon := 2, time.Second
	if long() {
		storms, soon = 20, 50*time.Millisecond
	}
	stop := watchHeap()
	var shed, answered, served []time.Duration
	for storm := range storms {
		took := s.signInStorm(t, storm)
		shed, answered = append(shed, took[http.StatusServiceUnavailable]...), append(answered, took[http.StatusBadRequest]...)
		began := time.Now()
		want(t, member.get("/users/current-user/"), http.StatusOK, "", "")
		served = append(served, time.Since(began))
	}
	if grown := stop(); grown > 384<<20 {
		t.Errorf("the heap grew by %d MiB", grown>>20)
	}
	if len(shed) == 0 || len(answered) == 0 {
		t.Fatalf("%d shed, %d answered", len(shed), len(answered))
	}
	t.Logf("%d shed in %v, %d answered in %v, others served in %v (medians)", len(shed), middle(shed), len(answered), middle(answered), middle(served))
	if middle(shed) > soon || middle(served) > soon {
		t.Errorf("shed after %v, others served after %v", middle(shed), middle(served))
	}
}

func middle(took []time.Duration) time.Duration {
	slices.Sort(took)
	return took[len(took)/2].Round(time.Millisecond)
}

// signInStorm sends 64 sign-ins of different addresses at once, and returns how long
// each took, by status.
func (s *service) signInStorm(t *testing.T, storm int) map[int][]time.Duration {
	t.Helper()
	var mu sync.Mutex
	var all sync.WaitGroup
	took := map[int][]time.Duration{}
	begin := make(chan struct{})
	for i := range 64 {
		all.Go(func() {
			body := fmt.Sprintf(`{"email":"storm-%d-%d@example.com","password":"wrong-wrong"}`, storm, i)
			<-begin
			began := time.Now()
			a, err := s.browser().try(http.MethodPost, "/users/login/", strings.NewReader(body), "application/json")
			if err != nil || a.Status != http.StatusBadRequest && a.Status != http.StatusServiceUnavailable {
				t.Errorf("%d %s, %v", a.Status, a.Body, err)
			}
			if a.Status == http.StatusServiceUnavailable && (a.Header.Get("Retry-After") == "" || !isProblem(a)) {
				t.Errorf("shed with %v: %s", a.Header, a.Body)
			}
			mu.Lock()
			defer mu.Unlock()
			took[a.Status] = append(took[a.Status], time.Since(began))
		})
	}
	close(begin)
	all.Wait()
	return took
}
