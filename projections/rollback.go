package projections

import (
	"context"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"

	"daybook/internal/pause"
	"daybook/internal/postgres"
)

// Times of going back.
const (
	// reachedWithin is for how long the previous version's projector is waited for, at
	// last while the shown version is held.
	reachedWithin = time.Second
	reachedEvery  = 2 * time.Millisecond
)

// errBehind says that nobody brings the previous version up to date.
var errBehind = errors.New("the previous version is behind")

// Rollback shows the previous version again, in one transaction: it is up to date,
// because its projector goes on behind a switch. Where none runs, it is brought up to
// date first. The one that was shown is then the previous. The error is ErrNoPrevious
// when there is none.
func (r *Rebuild) Rollback(ctx context.Context) error {
	return r.alone(ctx, func(ctx context.Context) error {
		if there, err := Previous.exists(ctx, r.Pool, r.View); err != nil || !there {
			return orElse(err, ErrNoPrevious)
		}
		reach, err := r.keeper(ctx)
		if err != nil {
			return err
		}
		for range switchTries {
			err = pgx.BeginFunc(ctx, r.Pool, func(tx pgx.Tx) error { return r.showPrevious(ctx, tx, reach) })
			switch {
			case errors.Is(err, errBehind):
				if reach, err = r.bringUp(ctx); err != nil {
					return err
				}
			case errors.Is(err, postgres.ErrNotOwner): // its projector is there again
				reach = r.await
			case err == nil || !postgres.Transient(err):
				return err
			}
		}
		return err
	})
}

// showPrevious holds the owner of the shown version at its checkpoint until the
// previous one is there, so that no row goes back.
func (r *Rebuild) showPrevious(ctx context.Context, tx pgx.Tx, reach func(context.Context, int64) error) error {
	shown, err := r.hold(ctx, tx, Shown)
	if err != nil {
		return err
	}
	if err := reach(ctx, shown); err != nil {
		return err
	}
	if _, err := r.hold(ctx, tx, Previous); err != nil {
		return err
	}
	return r.shift(ctx, tx, func() error {
		for _, step := range [][2]Version{{Shown, swap}, {Previous, Shown}, {swap, Previous}} {
			if err := r.rename(ctx, tx, step[0], step[1]); err != nil {
				return err
			}
		}
		return r.exchangeCheckpoints(ctx, tx)
	})
}

// exchangeCheckpoints leaves them to their owners, except that who was ahead must
// begin anew: the events in between are not in the table that it has now.
func (r *Rebuild) exchangeCheckpoints(ctx context.Context, tx pgx.Tx) error {
	_, err := tx.Exec(ctx, `UPDATE app.checkpoints c SET position = o.position,
			epoch = CASE WHEN o.position < c.position THEN nextval('app.epochs') ELSE c.epoch END
		FROM app.checkpoints o WHERE c.name = ANY($1) AND o.name = ANY($1) AND c.name <> o.name`,
		[]string{Shown.checkpoint(r.View), Previous.checkpoint(r.View)})
	return err
}

// keeper finds out who brings the previous version to where the shown one is: its own
// projector, or else this.
func (r *Rebuild) keeper(ctx context.Context) (reach func(context.Context, int64) error, err error) {
	var shown int64
	if err := r.Pool.QueryRow(ctx, `SELECT position FROM app.checkpoints WHERE name = $1`, Shown.checkpoint(r.View)).Scan(&shown); err != nil {
		return nil, err
	}
	if err = r.await(ctx, shown); errors.Is(err, errBehind) {
		return r.bringUp(ctx)
	}
	return r.await, err
}

// await waits for the previous version's own projector. It asks on a connection of
// its own: what the transaction holds is not in its way.
func (r *Rebuild) await(ctx context.Context, position int64) error {
	for began := time.Now(); time.Since(began) < reachedWithin; pause.For(ctx, reachedEvery) {
		var reached bool
		err := r.Pool.QueryRow(ctx, `SELECT position >= $2 FROM app.checkpoints WHERE name = $1`, Previous.checkpoint(r.View), position).Scan(&reached)
		if err != nil || reached {
			return err
		}
	}
	return errBehind
}

// bringUp takes the previous version over and returns what applies the rest.
func (r *Rebuild) bringUp(ctx context.Context) (reach func(context.Context, int64) error, err error) {
	p, err := r.start(ctx, Previous)
	if err != nil {
		return nil, err
	}
	reach = func(ctx context.Context, _ int64) error {
		_, err := r.catchUp(ctx, p)
		return err
	}
	return reach, reach(ctx, 0)
}
