package projections

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"daybook/domain"
)

// Entry is one line of a person's history. Empty texts are "not known" or "does
// not apply".
type Entry struct {
	ID   uuid.UUID `json:"id"` // of the event
	At   time.Time `json:"at"`
	What string    `json:"what"` // name of the event, such as ProfileUpdated
	// Actor is self, anonymous, operator or system.
	Actor   string `json:"actor"`
	Session string `json:"session"` // public id
	// ClientAddress and UserAgent are of the event, or of the sign-in of its
	// session.
	ClientAddress string `json:"client_address"`
	UserAgent     string `json:"user_agent"`
	Cause         string `json:"cause"` // of sign-ins, their ends and password changes
	Tries         int    `json:"tries"` // of refused sign-ins
	// Erased says that personal values are gone for ever, not empty.
	Erased bool `json:"erased"`
	// Changes of the profile and the address, by field name; of a change of address
	// that was asked for, what is to change.
	Changes []Change `json:"changes"`
}

// Change is a field of the profile with its values before and after; empty is
// "not given". A thumbnail is an object key.
type Change struct {
	Field string `json:"field"`
	Old   string `json:"old"`
	New   string `json:"new"`
}

// accessShown is for how long a person sees sign-ins and sign-outs.
const accessShown = 180 * 24 * time.Hour

// The old value of a field is in the newest earlier row that set it: an address
// that was only asked for never was the account's. Where a
// change came from is known from the sign-in of its session.
const historySQL = `
WITH shown AS (
	SELECT * FROM readmodel.activity
	WHERE account_id = $1 AND (stream = 'account' OR at > now() - $4::interval)
), origins AS (
	SELECT DISTINCT ON (session) session, client_address, user_agent FROM shown WHERE type = 'SignedIn' ORDER BY session, position
), page AS (
	SELECT * FROM shown
	WHERE $2::uuid IS NULL OR position < (SELECT position FROM readmodel.activity WHERE event_id = $2 AND account_id = $1)
	ORDER BY position DESC LIMIT $3
)
SELECT jsonb_build_object('id', p.event_id, 'at', p.at, 'what', p.type, 'actor', p.actor, 'session', p.session,
	'client_address', CASE WHEN p.stream = 'access' THEN p.client_address ELSE coalesce(s.client_address, '') END,
	'user_agent', CASE WHEN p.stream = 'access' THEN p.user_agent ELSE coalesce(s.user_agent, '') END,
	'cause', p.cause, 'tries', p.tries, 'erased', p.erased, 'changes', c.changes)
FROM page p
LEFT JOIN origins s ON s.session = p.session
LEFT JOIN LATERAL (
	SELECT jsonb_agg(jsonb_build_object('field', f.key, 'old', coalesce(o.value, ''), 'new', f.value) ORDER BY f.key) AS changes
	FROM jsonb_each_text(p.fields) f
	LEFT JOIN LATERAL (SELECT e.fields ->> f.key AS value FROM readmodel.activity e
		WHERE e.account_id = p.account_id AND e.stream = 'account' AND e.revision < p.revision AND e.fields ? f.key
			AND e.type <> 'AddressChangeRequested'
		ORDER BY e.revision DESC LIMIT 1) o ON true
	WHERE p.type <> 'AccountRegistered' AND (p.erased OR coalesce(o.value, '') <> f.value)
) c ON true
ORDER BY p.position DESC`

// Activity returns a person's history, newest first: at most limit entries that
// came before the entry with the id, or the newest when it is uuid.Nil. Before
// an entry that is not there, there is nothing. Sign-ins and sign-outs of the
// last 180 days are in it.
func (q *Queries) Activity(ctx context.Context, account, before uuid.UUID, limit int) ([]Entry, error) {
	cursor := &before
	if before == uuid.Nil {
		cursor = nil
	}
	rows, err := q.Pool.Query(ctx, historySQL, account, cursor, limit, accessShown)
	if err != nil {
		return nil, fmt.Errorf("read the history of %s: %w", account, err)
	}
	entries, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (entry Entry, err error) {
		var encoded json.RawMessage
		if err = row.Scan(&encoded); err == nil {
			err = json.Unmarshal(encoded, &entry)
		}
		entry.At = entry.At.UTC()
		return entry, err
	})
	if err != nil {
		return nil, fmt.Errorf("read the history of %s: %w", account, err)
	}
	return entries, nil
}

// AccountAt returns the account as it was: the fold of its stream up to the
// first event that occurred after the time. Before it was registered it has no
// status.
func AccountAt(history []domain.Recorded, at time.Time) Account {
	if len(history) == 0 {
		return AccountOf(domain.NewAccount(uuid.Nil))
	}
	past := history
	for i, r := range history {
		if r.Metadata.OccurredAt.After(at) {
			past = history[:i]
			break
		}
	}
	id, _ := domain.StreamSubject(history[0].Stream)
	return AccountOf(domain.Fold(domain.NewAccount(id), past...))
}
