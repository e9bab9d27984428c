package projections

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"daybook/domain"
	"daybook/internal/postgres"
	"daybook/internal/vault"
)

// rebuildBatch is how many events a build commits at a time.
const rebuildBatch = 2000

// Errors of a rebuild.
var (
	ErrNotCompared = errors.New("rows differ from the folds of their streams")
	ErrNoPrevious  = errors.New("there is no previous version to go back to")
)

// Rebuild builds a view anew beside the one that is shown, whose projector goes
// on meanwhile, and then switches. It has no effect on the outside. One at a time
// works on a view; the others wait.
type Rebuild struct {
	Pool   *pgxpool.Pool
	Vault  *vault.Vault
	View   View
	Logger *slog.Logger
	// Log reads the event store, Tail tells where it ends now.
	Log  Log
	Tail func(ctx context.Context) (uint64, error)
	// Stream reads a stream from a revision on.
	Stream func(ctx context.Context, name string, from int64) iter.Seq2[domain.Stored, error]
	// Progress, when set, is told after each batch.
	Progress func(Progress)
}

// Progress is how far a build is.
type Progress struct {
	Events int     // in this run
	Rate   float64 // events per second in this run
	Done   float64 // share of the store, from 0 to 1
	Left   time.Duration
}

// Build fills the next version up to the end of the store. What a run before has
// built, it goes on with; restart drops that first. Accounts that would have to be
// parked are an error: they would be missing.
func (r *Rebuild) Build(ctx context.Context, restart bool) error {
	return r.alone(ctx, func(ctx context.Context) error {
		if restart {
			if err := r.drop(ctx, Next); err != nil {
				return err
			}
		}
		if err := r.prepare(ctx); err != nil {
			return err
		}
		p, err := r.start(ctx, Next)
		if err != nil {
			return err
		}
		for {
			events, err := r.catchUp(ctx, p)
			if err != nil {
				return err
			}
			if len(p.parked) > 0 {
				return fmt.Errorf("build %s: %d accounts cannot be shown: see daybook projection parked", r.View.Name(), len(p.parked))
			}
			if events < rebuildBatch {
				return nil
			}
		}
	})
}

// alone runs while nobody else works on versions of the view.
func (r *Rebuild) alone(ctx context.Context, run func(ctx context.Context) error) error {
	return postgres.Lease(ctx, r.Pool, "rebuild:"+r.View.Name(), run)
}

// prepare makes an empty table of the same shape and its checkpoint, unless they
// are there.
func (r *Rebuild) prepare(ctx context.Context) error {
	batch := &pgx.Batch{}
	batch.Queue(fmt.Sprintf(`CREATE TABLE IF NOT EXISTS %s (LIKE %s INCLUDING ALL)`, Next.table(r.View), Shown.table(r.View)))
	batch.Queue(`INSERT INTO app.checkpoints (name, store_id, position) SELECT $1, store_id, 0 FROM app.checkpoints WHERE name = $2
		ON CONFLICT (name) DO NOTHING`, Next.checkpoint(r.View), Shown.checkpoint(r.View))
	return r.Pool.SendBatch(ctx, batch).Close()
}

// start returns an owner of the version.
func (r *Rebuild) start(ctx context.Context, v Version) (*Projector, error) {
	p := &Projector{Pool: r.Pool, Vault: r.Vault, View: r.View, Logger: r.Logger, Version: v}
	_, err := p.Start(ctx)
	return p, err
}
