package app_test

import (
	"fmt"
	"io"
	"math"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
)

// pairs is how many interleaved pairs are measured.
func pairs(b *testing.B) int {
	given := os.Getenv("DAYBOOK_BENCH_PAIRS")
	if given == "" {
		b.Skip("takes minutes; set DAYBOOK_BENCH_PAIRS, such as to 2000")
	}
	n, err := strconv.Atoi(given)
	if err != nil || n < 10 {
		b.Fatal("DAYBOOK_BENCH_PAIRS must be a number of at least 10")
	}
	return n
}

// knownOwners is how many known addresses take turns.
const knownOwners = 20

// BenchmarkUniformAnswers measures how well the time of an answer hides whether an
// address is known (C23, C49), and what a mailed link was refused for (C59):
// interleaved pairs of a known and an unknown one, reported as medians in ms and as
// Welch's t (below 4.5 nothing shows). Run it on an idle machine with -benchtime 1x.
func BenchmarkUniformAnswers(b *testing.B) {
	n := pairs(b)
	set := settings(b)
	set.SignInTries = 1 << 20 // a locked address answers without a hash
	s := start(b, set)
	tokens := make([]string, knownOwners)
	for i := range tokens {
		tokens[i], _, _ = strings.Cut(s.register(owner(i)).requestReset(owner(i), 1), ":")
	}
	address := func(body string) func(bool, int) string {
		return func(known bool, i int) string {
			if known {
				return fmt.Sprintf(body, owner(i%knownOwners))
			}
			return fmt.Sprintf(body, fmt.Sprintf("nobody-%d-%d@example.com", i, time.Now().UnixNano()))
		}
	}
	token := func(known bool, i int) string {
		id := encoded(uuid.New())
		if known { // an account with an open reset, and a wrong token
			id = tokens[i%knownOwners]
		}
		return `{"token":"` + id + `:k.AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA","password":"SomeOther123456"}`
	}
	for _, way := range []struct {
		name, path string
		body       func(known bool, i int) string
		clients    int // at once; a hash wants a core of its own
	}{
		{"register", "/users/register/", address(`{"email":%q,"first_name":"Ann","last_name":"Lee","password":"12345SomeData"}`), 4},
		{"regenerate", "/users/regenerate-token/", address(`{"email":%q}`), 8},
		{"token", "/users/password-change/change-user-password/", token, 8},
		{"reset", "/users/password-change/request-password-change/", address(`{"email":%q}`), 8},
		{"sign-in", "/users/login/", address(`{"email":%q,"password":"wrong-wrong"}`), 2},
	} {
		b.Run(way.name, func(b *testing.B) {
			for b.Loop() {
				known, unknown := s.measurePairs(b, n, way.clients, way.path, way.body)
				b.ReportMetric(median(known), "known-ms")
				b.ReportMetric(median(unknown), "unknown-ms")
				b.ReportMetric(math.Abs(welch(known, unknown)), "welch-t")
			}
		})
	}
}

func owner(i int) string { return fmt.Sprintf("owner-%d@example.com", i) }

// measurePairs returns the times of known and unknown addresses in ms. Which of a
// pair comes first alternates.
func (s *service) measurePairs(b *testing.B, n, clients int, path string, body func(known bool, i int) string) (known, unknown []float64) {
	var mu sync.Mutex
	var all sync.WaitGroup
	for client := range clients {
		all.Go(func() {
			http := &http.Client{}
			for i := client; i < n; i += clients {
				took := [2]float64{}
				for j := range 2 {
					which := (i/clients + j) % 2
					took[which] = timed(b, http, s.URL+path, body(which == 0, i))
				}
				mu.Lock()
				known, unknown = append(known, took[0]), append(unknown, took[1])
				mu.Unlock()
			}
		})
	}
	all.Wait()
	return known, unknown
}

// timed makes one request and returns how long its answer took, in ms.
func timed(b *testing.B, client *http.Client, url, body string) float64 {
	began := time.Now()
	response, err := client.Post(url, "application/json", strings.NewReader(body))
	if err != nil {
		b.Error(err)
		return 0
	}
	_, _ = io.Copy(io.Discard, response.Body)
	took := time.Since(began)
	_ = response.Body.Close()
	if response.StatusCode >= http.StatusTooManyRequests {
		b.Errorf("status %d", response.StatusCode)
	}
	return float64(took) / float64(time.Millisecond)
}

func median(values []float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	return sorted[len(sorted)/2]
}

// welch is the t of Welch's test.
func welch(a, b []float64) float64 {
	meanA, squareA := moments(a)
	meanB, squareB := moments(b)
	return (meanA - meanB) / math.Sqrt(squareA+squareB)
}

// moments returns the mean and the square of its standard error.
func moments(values []float64) (mean, square float64) {
	for _, v := range values {
		mean += v / float64(len(values))
	}
	for _, v := range values {
		square += (v - mean) * (v - mean)
	}
	n := float64(len(values))
	return mean, square / (n - 1) / n
}
