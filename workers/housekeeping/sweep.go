package housekeeping

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"

	"daybook/commands"
	"daybook/domain"
)

// Bounds of a run.
const (
	pageSize    = 500
	runFor      = 30 * time.Second
	maxFailures = 10
)

// sweep goes through candidates page by page, in the order of their keys. A run that
// reached its bound goes on there the next time, so that candidates which fail again
// and again do not keep others from their turn.
type sweep[K comparable, C any] struct {
	// find returns the first candidates behind the key.
	find func(ctx context.Context, after K, limit int) ([]C, error)
	key  func(C) K
	// each reports whether it did something.
	each func(ctx context.Context, c C) (did bool, err error)

	after K
}

func (s *sweep[K, C]) run(ctx context.Context) (done int, err error) {
	var failed failures
	for began := time.Now(); time.Since(began) < runFor; {
		page, err := s.find(ctx, s.after, pageSize)
		if err != nil {
			return done, err
		}
		for _, candidate := range page {
			did, err := s.each(ctx, candidate)
			if failed.end(ctx, err) {
				return done, failed.err()
			}
			if did {
				done++
			}
			s.after = s.key(candidate)
		}
		if len(page) < pageSize {
			var start K
			s.after = start
			break
		}
	}
	return done, failed.err()
}

// failures are those of single candidates.
type failures struct {
	n     int
	first error
}

// end notes the error, if any, and reports whether the run has to end with it: the
// context is over, a server does not answer, or too much fails.
func (f *failures) end(ctx context.Context, err error) bool {
	if err == nil {
		return false
	}
	f.n++
	if f.first == nil {
		f.first = err
	}
	return ctx.Err() != nil || domain.IsKind(err, domain.KindUnavailable) || f.n > maxFailures
}

func (f *failures) err() error {
	if f.n > 1 {
		return fmt.Errorf("%d of them failed, first: %w", f.n, f.first)
	}
	return f.first
}

// caller is the house itself, as commands see it.
func caller(command uuid.UUID) commands.Caller {
	return commands.Caller{CommandID: command, Actor: domain.SystemActor("housekeeping")}
}
