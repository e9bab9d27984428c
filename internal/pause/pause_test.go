package pause_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"daybook/internal/pause"
)

func TestFor(t *testing.T) {
	for name, c := range map[string]struct {
		life, d, took time.Duration
		passed        bool
	}{
		"the context lives on":  {life: 2 * time.Hour, d: time.Hour, took: time.Hour, passed: true},
		"the context ends":      {life: time.Minute, d: time.Hour, took: time.Minute},
		"the context has ended": {d: time.Hour},
		"both are over":         {},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { // time of its own
				ctx, cancel := context.WithTimeout(t.Context(), c.life)
				defer cancel()
				began := time.Now()
				if passed := pause.For(ctx, c.d); passed != c.passed || time.Since(began) != c.took {
					t.Errorf("%t after %v, want %t after %v", passed, time.Since(began), c.passed, c.took)
				}
			})
		})
	}
}
