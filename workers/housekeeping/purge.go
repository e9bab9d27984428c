package housekeeping

import (
	"context"
	"time"
)

// Purge deletes rows that are of no more use. purge deletes a bounded number at a
// time and returns how many; it is called until there are none.
func Purge(name string, every time.Duration, purge func(ctx context.Context) (int64, error)) Task {
	return Task{Name: name, Every: every, Run: func(ctx context.Context) (done int, err error) {
		for began := time.Now(); time.Since(began) < runFor; {
			n, err := purge(ctx)
			done += int(n)
			if n == 0 || err != nil {
				return done, err
			}
		}
		return done, nil
	}}
}
