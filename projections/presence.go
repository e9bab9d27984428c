package projections

import (
	"encoding/json"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"daybook/domain"
)

// Presence is the view readmodel.presence: one row per sign-in and per thing
// that people did while signed in, without what it was about. Access streams
// keep 400 days, so building it again forgets what is older.
type Presence struct{}

// Name implements View.
func (Presence) Name() string { return "presence" }

// Wants implements View.
func (Presence) Wants(stream string) bool {
	_, ok := domain.StreamSubject(stream)
	return ok
}

// Personal implements View.
func (Presence) Personal() bool { return false }

func (Presence) whose() string { return "account_id" }

func (Presence) same(account uuid.UUID, events []domain.Recorded, rows []json.RawMessage) (bool, error) {
	var want []presenceRow
	seen := map[uuid.UUID]bool{} // a sign-in may be stored twice
	for _, r := range events {
		_, signedIn := r.Event.(domain.SignedIn)
		if (signedIn || r.Metadata.Actor == domain.AccountActor(account)) && !seen[r.ID] {
			seen[r.ID] = true
			want = append(want, presenceRow{r.ID, account, r.Metadata.OccurredAt, domain.NameOf(r.Event)})
		}
	}
	return sameRows(want, rows, func(row *presenceRow) bool { return !isAccess(row.Type) || time.Since(row.At) < accessKept })
}

// isAccess tells events of access streams, of which old ones disappear.
func isAccess(name string) bool {
	switch name {
	case domain.NameOf(domain.SignedIn{}), domain.NameOf(domain.SignedOut{}), domain.NameOf(domain.SessionEnded{}), domain.NameOf(domain.SignInRefused{}):
		return true
	}
	return false
}

type presenceRow struct {
	EventID   uuid.UUID `json:"event_id"`
	AccountID uuid.UUID `json:"account_id"`
	At        time.Time `json:"at"`
	Type      string    `json:"type"`
}

const presenceSQL = `
INSERT INTO readmodel.presence (event_id, account_id, at, type)
SELECT event_id, account_id, at, type FROM jsonb_to_recordset($1) AS c (event_id uuid, account_id uuid, at timestamptz, type text)
ON CONFLICT DO NOTHING`

// Queue implements View: one statement for all rows.
func (Presence) Queue(batch *pgx.Batch, events []domain.Recorded) error {
	var rows []presenceRow
	for _, r := range events {
		if id, present := presentIn(r); present {
			rows = append(rows, presenceRow{r.ID, id, r.Metadata.OccurredAt, domain.NameOf(r.Event)})
		}
	}
	return queueRows(batch, presenceSQL, rows)
}

// presentIn returns whose person the event shows to have been there.
func presentIn(r domain.Recorded) (uuid.UUID, bool) {
	id, _ := domain.StreamSubject(r.Stream)
	if _, ok := r.Event.(domain.SignedIn); ok {
		return id, true
	}
	return id, r.Metadata.Actor == domain.AccountActor(id)
}
