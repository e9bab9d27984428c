package projections

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/google/uuid"
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
	// History reads the stream of an account.
	History func(ctx context.Context, account uuid.UUID) ([]domain.Recorded, error)
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

// catchUp applies what lies behind the checkpoint and returns how much that was.
func (r *Rebuild) catchUp(ctx context.Context, p *Projector) (events int, err error) {
	tail, err := r.Tail(ctx)
	if err != nil {
		return 0, err
	}
	began, from := time.Now(), p.checkpoint.Position
	batch := make([]domain.Stored, 0, rebuildBatch)
	flush := func() error {
		err := p.Apply(ctx, batch)
		if err == nil {
			events += len(batch)
			batch = batch[:0]
		}
		return err
	}
	for event, err := range r.Log(ctx, from) {
		if err != nil {
			return events, err
		}
		if batch = append(batch, event); len(batch) == rebuildBatch {
			if err := flush(); err != nil {
				return events, err
			}
			r.tell(events, began, from, p.checkpoint.Position, tail)
		}
	}
	if err := flush(); err != nil || events == 0 {
		return events, err
	}
	r.tell(events, began, from, tail, tail) // what lies behind, if anything, is not ours
	return events, nil
}

func (r *Rebuild) tell(events int, began time.Time, from, position, tail uint64) {
	if r.Progress == nil {
		return
	}
	took := time.Since(began)
	p := Progress{Events: events, Rate: float64(events) / took.Seconds(), Done: 1}
	if position < tail {
		p.Done = float64(position) / float64(tail)
		p.Left = time.Duration(float64(took) * float64(tail-position) / float64(position-from)).Round(time.Second)
	}
	r.Progress(p)
}

// Compare compares rows of the next version with fresh folds of their streams: as
// many as given, drawn at random, or all of them with 0. Only Accounts has folds
// to be compared with; of other views it compares none.
func (r *Rebuild) Compare(ctx context.Context, sample int) (compared int, err error) {
	if r.View != (Accounts{}) {
		return 0, nil
	}
	sql := `SELECT to_jsonb(v) FROM ` + Next.table(r.View) + ` v`
	if sample > 0 {
		sql += fmt.Sprintf(` ORDER BY random() LIMIT %d`, sample)
	}
	rows, err := r.Pool.Query(ctx, sql)
	if err != nil {
		return 0, err
	}
	var row json.RawMessage
	_, err = pgx.ForEachRow(rows, []any{&row}, func() error {
		compared++
		return r.compare(ctx, row)
	})
	return compared, err
}

// compare folds up to where the row is: the stream may have gone on.
func (r *Rebuild) compare(ctx context.Context, row json.RawMessage) error {
	account, err := DecodeAccount(row)
	if err != nil {
		return err
	}
	history, err := r.History(ctx, account.ID)
	if err != nil {
		return err
	}
	if int64(len(history)) <= account.Revision {
		return fmt.Errorf("%w: %s", ErrNotCompared, account.ID)
	}
	folded := AccountOf(domain.Fold(domain.NewAccount(account.ID), history[:account.Revision+1]...))
	shown, err := json.Marshal(account)
	if err != nil {
		return err
	}
	wanted, err := json.Marshal(folded)
	if err == nil && !bytes.Equal(shown, wanted) {
		err = fmt.Errorf("%w: %s", ErrNotCompared, account.ID)
	}
	return err
}
