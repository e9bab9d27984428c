package pause

import (
	"context"
	"time"
)

// For waits for d and reports whether it has passed while ctx lived. It returns
// false at once when ctx ends, or has ended before.
func For(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return ctx.Err() == nil
	case <-ctx.Done():
		return false
	}
}
