package projections

import (
	"encoding/json"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"daybook/domain"
)

// run is a stretch of consecutive events of an account's stream. What they
// change embeds it.
type run struct {
	ID            uuid.UUID `json:"id"`
	FirstRevision int64     `json:"first_revision"`
	LastRevision  int64     `json:"last_revision"`
}

func (r *run) place() *run { return r }

// change is what a run changes in a view.
type change[T any] interface {
	*T
	place() *run
	apply(domain.Recorded)
}

// runs folds the events of account streams per account, in the order in which
// the accounts first occur, each event once. Behind a gap a run begins anew:
// either the row has what is missing, or app.next_revision raises the alarm.
func runs[T any, C change[T]](events []domain.Recorded) []C {
	var ordered []C
	places := map[uuid.UUID]int{}
	for _, r := range events {
		id, ok := domain.StreamSubject(r.Stream)
		if !ok || !domain.IsAccountStream(r.Stream) {
			continue
		}
		at, found := places[id]
		if !found {
			at = len(ordered)
			places[id], ordered = at, append(ordered, nil)
		}
		if !found || r.Revision > ordered[at].place().LastRevision+1 {
			ordered[at] = new(T)
			*ordered[at].place() = run{ID: id, FirstRevision: r.Revision, LastRevision: r.Revision - 1}
		}
		if r.Revision > ordered[at].place().LastRevision {
			ordered[at].place().LastRevision = r.Revision
			ordered[at].apply(r)
		}
	}
	return ordered
}

// queueRows adds a statement that takes rows as one JSON array, if there are
// any.
func queueRows[R any](batch *pgx.Batch, sql string, rows []R) error {
	if len(rows) == 0 {
		return nil
	}
	encoded, err := json.Marshal(rows)
	if err != nil {
		return err
	}
	batch.Queue(sql, encoded)
	return nil
}
