package commands_test

import (
	"errors"
	"math"
	"slices"
	"testing"
	"time"

	"github.com/google/uuid"

	"daybook/commands"
	"daybook/internal/vault"
)

// BenchmarkSignInKnownAndUnknown compares the work that sign-ins of known and unknown
// addresses make, interleaved and with a hash that costs next to nothing, so that
// what the hash would hide is seen: medians in µs, and Welch's t.
func BenchmarkSignInKnownAndUnknown(b *testing.B) {
	w := newWorld(b)
	w.Credentials = &vault.Credentials{Vault: w.pool, App: w.pool, Tries: math.MaxInt32, TryWindow: time.Hour}
	known := make([]string, 20)
	for i := range known {
		known[i] = uuid.NewString() + "@example.com"
		w.active(known[i])
	}
	took := [2][]float64{}
	for n := 0; b.Loop(); n++ {
		for j := range 2 {
			which := (n + j) % 2
			address := [2]string{known[n%len(known)], uuid.NewString() + "@example.com"}[which]
			began := time.Now()
			if _, err := w.SignIn(b.Context(), caller(), address, "wrong"); !errors.Is(err, commands.ErrCredentials) {
				b.Fatal(err)
			}
			took[which] = append(took[which], float64(time.Since(began))/float64(time.Microsecond))
		}
	}
	b.ReportMetric(middle(took[0]), "known-µs")
	b.ReportMetric(middle(took[1]), "unknown-µs")
	b.ReportMetric(math.Abs(welch(took[0], took[1])), "welch-t")
}

func middle(values []float64) float64 {
	return slices.Sorted(slices.Values(values))[len(values)/2]
}

// welch is the t of Welch's test.
func welch(a, b []float64) float64 {
	meanA, squareA := moments(a)
	meanB, squareB := moments(b)
	return (meanA - meanB) / math.Sqrt(squareA+squareB)
}

// moments returns the mean and the square of its standard error.
func moments(values []float64) (mean, square float64) {
	n := float64(len(values))
	for _, v := range values {
		mean += v / n
	}
	for _, v := range values {
		square += (v - mean) * (v - mean)
	}
	return mean, square / (n - 1) / n
}
