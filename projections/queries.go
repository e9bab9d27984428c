package projections

import (
	"context"
	"encoding/json"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgxpool"
)

// awaitFor is how long a query waits for the view before its caller folds the
// stream instead.
const awaitFor = 250 * time.Millisecond

// Queries reads the views for the API. None of its answers decides anything.
type Queries struct {
	Pool    *pgxpool.Pool
	Changes *Changes
}

const accountSQL = `SELECT (SELECT to_jsonb(v) FROM readmodel.accounts v WHERE id = $1),
	EXISTS (SELECT FROM app.parked_accounts WHERE projection = 'projection:accounts' AND account_id = $1)`

// Account returns the row of the account. found is false also for a parked
// account, whose row says nothing of what came later.
func (q *Queries) Account(ctx context.Context, id uuid.UUID) (account Account, found bool, err error) {
	account, found, _, err = q.account(ctx, id)
	return account, found, err
}

func (q *Queries) account(ctx context.Context, id uuid.UUID) (account Account, found, parked bool, err error) {
	var row json.RawMessage
	if err = q.Pool.QueryRow(ctx, accountSQL, id).Scan(&row, &parked); err != nil || row == nil || parked {
		return Account{}, false, parked, err
	}
	account, err = DecodeAccount(row)
	return account, err == nil, false, err
}

// AwaitAccount waits until the row has reached the revision. found is false when
// it does not within 250 ms, and at once when the account is parked: the caller
// then folds the stream, so that an answer is right also with the projector
// stopped.
func (q *Queries) AwaitAccount(ctx context.Context, id uuid.UUID, revision int64) (account Account, found bool, err error) {
	timeout := time.NewTimer(awaitFor)
	defer timeout.Stop()
	for {
		var parked bool
		changed := q.Changes.Next()
		account, found, parked, err = q.account(ctx, id)
		if err != nil || parked || found && account.Revision >= revision {
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
