package projections

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"

	"daybook/internal/postgres"
)

// switchTries is how often a switch is tried while long queries hold the table.
const switchTries = 10

// Switch shows the next version from one moment to the next: no query fails, and
// none sees an older row than before. The former one is kept as Previous, which a
// projector of its own keeps up to date; what was that before is dropped.
func (r *Rebuild) Switch(ctx context.Context) error {
	return r.alone(ctx, func(ctx context.Context) error {
		if there, err := Next.exists(ctx, r.Pool, r.View); err != nil || !there {
			return orElse(err, fmt.Errorf("switch %s: nothing is built", r.View.Name()))
		}
		p, err := r.start(ctx, Next)
		if err != nil {
			return err
		}
		for range switchTries {
			if _, err = r.catchUp(ctx, p); err != nil {
				return err
			}
			err = pgx.BeginFunc(ctx, r.Pool, func(tx pgx.Tx) error { return r.showNext(ctx, tx, p) })
			if err == nil || !postgres.Transient(err) {
				break
			}
		}
		return err
	})
}

// showNext holds the owners of the others at their checkpoints while the next one
// catches up, so that no row goes back.
func (r *Rebuild) showNext(ctx context.Context, tx pgx.Tx, p *Projector) error {
	if _, err := r.hold(ctx, tx, Shown); err != nil {
		return err
	}
	if _, err := r.catchUp(ctx, p); err != nil {
		return err
	}
	if _, err := r.hold(ctx, tx, Previous); err != nil && !errors.Is(err, pgx.ErrNoRows) {
		return err
	}
	return r.shift(ctx, tx, func() error {
		if err := r.dropIn(ctx, tx, Previous); err != nil {
			return err
		}
		if err := r.rename(ctx, tx, Shown, Previous); err != nil {
			return err
		}
		if err := r.rename(ctx, tx, Next, Shown); err != nil {
			return err
		}
		return r.moveCheckpoints(ctx, tx)
	})
}

// hold keeps the owner of a version from going on until the transaction ends, and
// returns where it is. Rows of checkpoints come before tables, as in batches: else
// they would wait for each other.
func (r *Rebuild) hold(ctx context.Context, tx pgx.Tx, v Version) (position int64, err error) {
	batch := &pgx.Batch{}
	batch.Queue(`SET LOCAL lock_timeout = '2s'`)
	batch.Queue(`SELECT position FROM app.checkpoints WHERE name = $1 FOR UPDATE`, v.checkpoint(r.View)).QueryRow(func(row pgx.Row) error {
		return row.Scan(&position)
	})
	return position, tx.SendBatch(ctx, batch).Close()
}

// shift lets tables change places, with the SQL views over the shown one, and wakes
// who waits for it.
func (r *Rebuild) shift(ctx context.Context, tx pgx.Tx, places func() error) error {
	dependents, err := r.dependents(ctx, tx)
	if err != nil {
		return err
	}
	if err := places(); err != nil {
		return err
	}
	for _, definition := range dependents {
		if _, err := tx.Exec(ctx, definition); err != nil {
			return err
		}
	}
	_, err = tx.Exec(ctx, `SELECT pg_notify($1, $2)`, channel, r.View.Name())
	return err
}

// dependents returns statements that define the SQL views over the shown table as
// they are, by its name: a view follows a table that is renamed.
func (r *Rebuild) dependents(ctx context.Context, tx pgx.Tx) ([]string, error) {
	rows, err := tx.Query(ctx, `
		SELECT DISTINCT 'CREATE OR REPLACE VIEW ' || c.oid::regclass || ' AS ' || pg_get_viewdef(c.oid)
		FROM pg_depend d JOIN pg_rewrite w ON w.oid = d.objid JOIN pg_class c ON c.oid = w.ev_class
		WHERE d.classid = 'pg_rewrite'::regclass AND d.refobjid = to_regclass($1) AND c.relkind = 'v'`, Shown.table(r.View))
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowTo[string])
}

// rename makes the table of one version that of another, which has none.
func (r *Rebuild) rename(ctx context.Context, tx pgx.Tx, from, to Version) error {
	batch := &pgx.Batch{}
	batch.Queue(fmt.Sprintf(`ALTER TABLE %s SET SCHEMA %s`, from.table(r.View), to.schema()))
	batch.Queue(`UPDATE app.parked_accounts SET projection = $2 WHERE projection = $1`, from.checkpoint(r.View), to.checkpoint(r.View))
	return tx.SendBatch(ctx, batch).Close()
}

// moveCheckpoints leaves the shown one in its row: its owner stays the owner, and
// who waits for the row finds it.
func (r *Rebuild) moveCheckpoints(ctx context.Context, tx pgx.Tx) error {
	shown, next := Shown.checkpoint(r.View), Next.checkpoint(r.View)
	batch := &pgx.Batch{}
	batch.Queue(`INSERT INTO app.checkpoints (name, store_id, position) SELECT $2, store_id, position FROM app.checkpoints WHERE name = $1`,
		shown, Previous.checkpoint(r.View))
	batch.Queue(`UPDATE app.checkpoints SET position = (SELECT position FROM app.checkpoints WHERE name = $2) WHERE name = $1`, shown, next)
	batch.Queue(`DELETE FROM app.checkpoints WHERE name = $1`, next)
	return tx.SendBatch(ctx, batch).Close()
}

// Drop drops what is being built and what is kept.
func (r *Rebuild) Drop(ctx context.Context) error {
	return r.alone(ctx, func(ctx context.Context) error {
		if err := r.drop(ctx, Next); err != nil {
			return err
		}
		return r.drop(ctx, Previous)
	})
}

// DropUnlike drops versions that have not the columns of the shown one, such as
// after a migration, and returns which: code writes one shape only.
func (r *Rebuild) DropUnlike(ctx context.Context) (dropped []Version, err error) {
	for _, v := range []Version{Next, Previous} {
		var unlike bool
		if err := r.Pool.QueryRow(ctx, unlikeSQL, v.schema(), Shown.schema(), r.View.Name()).Scan(&unlike); err != nil {
			return dropped, err
		}
		if !unlike { // a rebuild that is under way is not waited for
			continue
		}
		if err := r.alone(ctx, func(ctx context.Context) error { return r.drop(ctx, v) }); err != nil {
			return dropped, err
		}
		dropped = append(dropped, v)
	}
	return dropped, nil
}

// Of a version that does not exist there are no columns.
const unlikeSQL = `
WITH columns AS (
	SELECT table_schema, array_agg(column_name || ' ' || data_type ORDER BY column_name) AS shape
	FROM information_schema.columns WHERE table_schema IN ($1, $2) AND table_name = $3 GROUP BY table_schema)
SELECT EXISTS (SELECT FROM columns v, columns s WHERE v.table_schema = $1 AND s.table_schema = $2 AND v.shape <> s.shape)`

func (r *Rebuild) drop(ctx context.Context, v Version) error {
	return pgx.BeginFunc(ctx, r.Pool, func(tx pgx.Tx) error { return r.dropIn(ctx, tx, v) })
}

func (r *Rebuild) dropIn(ctx context.Context, tx pgx.Tx, v Version) error {
	batch := &pgx.Batch{}
	batch.Queue(`DELETE FROM app.checkpoints WHERE name = $1`, v.checkpoint(r.View)) // once a batch in hand is through
	batch.Queue(`DROP TABLE IF EXISTS ` + v.table(r.View))
	batch.Queue(`DELETE FROM app.parked_accounts WHERE projection = $1`, v.checkpoint(r.View))
	return tx.SendBatch(ctx, batch).Close()
}

func orElse(err, otherwise error) error {
	if err != nil {
		return err
	}
	return otherwise
}
