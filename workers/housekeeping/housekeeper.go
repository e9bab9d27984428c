package housekeeping

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"daybook/internal/pause"
	"daybook/internal/postgres"
)

// leaseName is what one process at a time holds.
const leaseName = "housekeeping"

// retryAfter is the longest pause after a run that failed, and the one before the
// lease is asked for again.
const (
	retryAfter   = time.Minute
	reacquireGap = time.Second
)

// Task is something to do again and again.
type Task struct {
	// Name is short and stable: it is a label of metrics.
	Name string
	// Every is how long after the end of a run the next one begins.
	Every time.Duration
	// Run does a bounded piece of the work and returns how many things it did, also
	// with an error. It may be ended and repeated at any point.
	Run func(ctx context.Context) (done int, err error)
}

// Housekeeper runs tasks, one after the other, in whichever process has the lease.
// Its fields are set once.
type Housekeeper struct {
	Pool   *pgxpool.Pool // where the lease is held
	Tasks  []Task
	Logger *slog.Logger
	// Observe, when set, is told of every run.
	Observe func(task string, done int, took time.Duration, err error)
}

// Run keeps house until the context ends. All tasks run once as soon as the lease is
// had. A task that fails is logged and tried again.
func (h *Housekeeper) Run(ctx context.Context) error {
	if err := h.check(); err != nil {
		return err
	}
	for ctx.Err() == nil {
		err := postgres.Lease(ctx, h.Pool, leaseName, h.work)
		if err != nil && ctx.Err() == nil {
			h.Logger.WarnContext(ctx, "housekeeping was interrupted", slog.Any("error", err))
			pause.For(ctx, reacquireGap)
		}
	}
	return nil
}

func (h *Housekeeper) check() error {
	if len(h.Tasks) == 0 {
		return errors.New("housekeeping has no tasks")
	}
	for _, task := range h.Tasks {
		if task.Name == "" || task.Run == nil || task.Every <= 0 {
			return fmt.Errorf("housekeeping task %q needs a name, an interval and something to do", task.Name)
		}
	}
	return nil
}

func (h *Housekeeper) work(ctx context.Context) error {
	due := make([]time.Time, len(h.Tasks)) // at once
	for {
		next := soonest(due)
		if !pause.For(ctx, time.Until(due[next])) {
			return nil
		}
		due[next] = time.Now().Add(h.run(ctx, h.Tasks[next]))
	}
}

// run runs the task once and returns the pause before the next time.
func (h *Housekeeper) run(ctx context.Context, task Task) time.Duration {
	began := time.Now()
	done, err := task.Run(ctx)
	if ctx.Err() != nil {
		return task.Every
	}
	took := time.Since(began)
	if h.Observe != nil {
		h.Observe(task.Name, done, took, err)
	}
	level := slog.LevelDebug
	if done > 0 {
		level = slog.LevelInfo
	}
	attributes := []slog.Attr{slog.String("task", task.Name), slog.Int("done", done), slog.Duration("duration", took)}
	if err != nil {
		level, attributes = slog.LevelWarn, append(attributes, slog.Any("error", err))
	}
	h.Logger.LogAttrs(ctx, level, "housekeeping", attributes...)
	if err != nil {
		return min(task.Every, retryAfter)
	}
	return task.Every
}

func soonest(due []time.Time) int {
	first := 0
	for i, at := range due {
		if at.Before(due[first]) {
			first = i
		}
	}
	return first
}
