package projections

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

// awaitFor is how long a query waits for the view before its caller folds the
// stream instead.
const awaitFor = 250 * time.Millisecond

// Queries reads the views.
type Queries struct {
	Pool    *pgxpool.Pool
	Changes *Changes
}

// Account returns the row of the account.
func (q *Queries) Account(ctx context.Context, id uuid.UUID) (account Account, found bool, err error) {
	var row json.RawMessage
	err = q.Pool.QueryRow(ctx, `SELECT to_jsonb(v) FROM readmodel.accounts v WHERE id = $1`, id).Scan(&row)
	if errors.Is(err, pgx.ErrNoRows) {
		return Account{}, false, nil
	}
	if err != nil {
		return Account{}, false, err
	}
	account, err = DecodeAccount(row)
	return account, err == nil, err
}

// AwaitAccount waits until the row has reached the revision. found is false when
// it does not within 250 ms: the caller then folds the stream, so that an answer
// is right also with the projector stopped.
func (q *Queries) AwaitAccount(ctx context.Context, id uuid.UUID, revision int64) (account Account, found bool, err error) {
	timeout := time.NewTimer(awaitFor)
	defer timeout.Stop()
	for {
		changed := q.Changes.Next()
		account, found, err = q.Account(ctx, id)
		if err != nil || found && account.Revision >= revision {
			return account, found, err
		}
		select {
		case <-changed:
		case <-timeout.C:
			return Account{}, false, nil
		case <-ctx.Done():
			return Account{}, false, ctx.Err()
		}
	}
}
