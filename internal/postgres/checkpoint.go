package postgres

import (
	"context"
	"errors"
	"fmt"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

// Checkpoint is how far a consumer has come in the event store.
type Checkpoint struct {
	Name     string
	Position uint64
	// Epoch is the owner's; every taking over raises it, and none is given twice.
	Epoch int64
}

// ErrNoCheckpoint says that a consumer has no checkpoint. It is never guessed:
// a reactor that began in the wrong place would mail a whole history.
var ErrNoCheckpoint = errors.New("there is no checkpoint; run daybook migrate")

// CreateCheckpoint makes a consumer's checkpoint, unless it has one.
func CreateCheckpoint(ctx context.Context, pool *pgxpool.Pool, name string, store uuid.UUID, position uint64) error {
	_, err := pool.Exec(ctx, `INSERT INTO app.checkpoints (name, store_id, position) VALUES ($1, $2, $3)
		ON CONFLICT (name) DO NOTHING`, name, store, int64(position))
	return err
}

// HasCheckpoint reports whether a consumer has a checkpoint.
func HasCheckpoint(ctx context.Context, pool *pgxpool.Pool, name string) (has bool, err error) {
	err = pool.QueryRow(ctx, `SELECT EXISTS (SELECT FROM app.checkpoints WHERE name = $1)`, name).Scan(&has)
	return has, err
}

// TakeCheckpoint makes the caller the owner: an older owner's writes fail from
// now on.
func TakeCheckpoint(ctx context.Context, pool *pgxpool.Pool, name string) (Checkpoint, error) {
	taken := Checkpoint{Name: name}
	var position int64
	err := pool.QueryRow(ctx, `UPDATE app.checkpoints SET epoch = nextval('app.epochs') WHERE name = $1
		RETURNING position, epoch`, name).Scan(&position, &taken.Epoch)
	if errors.Is(err, pgx.ErrNoRows) {
		return Checkpoint{}, fmt.Errorf("%s: %w", name, ErrNoCheckpoint)
	}
	taken.Position = uint64(position)
	return taken, err
}

// Resume finds the checkpoint where a commit left it whose answer was lost. owned
// is false when it is another owner's by now, or cannot be read.
func (c Checkpoint) Resume(ctx context.Context, pool *pgxpool.Pool) (found Checkpoint, owned bool) {
	var position int64
	err := pool.QueryRow(ctx, `SELECT position FROM app.checkpoints WHERE name = $1 AND epoch = $2`, c.Name, c.Epoch).Scan(&position)
	if err != nil {
		return c, false
	}
	c.Position = uint64(position)
	return c, true
}

// Advance queues the move of the checkpoint into the batch that does the work
// up to it. After the batch is through, the caller keeps the returned one.
func (c Checkpoint) Advance(batch *pgx.Batch, to uint64, events int) Checkpoint {
	batch.Queue(`SELECT app.advance_checkpoint($1, $2, $3, $4, $5)`, c.Name, c.Epoch, int64(c.Position), int64(to), events)
	c.Position = to
	return c
}

// AdvanceUnsynchronised moves the checkpoint without waiting for the disk: if a
// crash loses the move, what led to it is done once more.
func (c Checkpoint) AdvanceUnsynchronised(ctx context.Context, pool *pgxpool.Pool, to uint64, events int) (Checkpoint, error) {
	batch := &pgx.Batch{}
	batch.Queue(`SELECT set_config('synchronous_commit', 'off', true)`)
	moved := c.Advance(batch, to, events)
	// A batch outside of a transaction is one implicit transaction.
	if err := pool.SendBatch(ctx, batch).Close(); err != nil {
		return c, Explain(err)
	}
	return moved, nil
}

// AdvanceIn moves the checkpoint within a transaction.
func (c Checkpoint) AdvanceIn(ctx context.Context, tx pgx.Tx, to uint64, events int) (Checkpoint, error) {
	_, err := tx.Exec(ctx, `SELECT app.advance_checkpoint($1, $2, $3, $4, $5)`, c.Name, c.Epoch, int64(c.Position), int64(to), events)
	c.Position = to
	return c, Explain(err)
}
