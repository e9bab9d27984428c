package projections

import (
	"encoding/json"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"daybook/domain"
)

// Resets is the view readmodel.resets: one row per password reset, so that
// nothing counts twice. It holds nothing personal.
type Resets struct{}

// Name implements View.
func (Resets) Name() string { return "resets" }

// Wants implements View.
func (Resets) Wants(stream string) bool { return domain.IsAccountStream(stream) }

// Personal implements View.
func (Resets) Personal() bool { return false }

func (Resets) whose() string { return "account_id" }

// reset is a row as a fold says it.
type reset struct {
	ResetID           uuid.UUID  `json:"reset_id"`
	AccountID         uuid.UUID  `json:"account_id"`
	RequestedRevision int64      `json:"requested_revision"`
	MailRevision      int64      `json:"mail_revision"`
	MailRequests      int        `json:"mail_requests"`
	RequestedAt       time.Time  `json:"requested_at"`
	ExpiresAt         time.Time  `json:"expires_at"`
	LinkOpenedAt      *time.Time `json:"link_opened_at"`
	ChangedAt         *time.Time `json:"changed_at"`
	SupersededAt      *time.Time `json:"superseded_at"`
	ClosedAt          *time.Time `json:"closed_at"`
}

func (Resets) same(account uuid.UUID, events []domain.Recorded, rows []json.RawMessage) (bool, error) {
	return sameRows(foldResets(account, events), rows, nil)
}

// foldResets walks the account's history with the one reset that can be open: the
// last one.
func foldResets(account uuid.UUID, events []domain.Recorded) (folded []reset) {
	var last *reset
	for _, r := range events {
		at := r.Metadata.OccurredAt
		open := last != nil && last.ChangedAt == nil && last.ClosedAt == nil && at.Before(last.ExpiresAt)
		switch e := r.Event.(type) {
		case domain.ResetRequested:
			if last == nil || last.ResetID != e.ResetID {
				if open {
					last.SupersededAt = &at
				}
				folded = append(folded, reset{ResetID: e.ResetID, AccountID: account, RequestedRevision: r.Revision, RequestedAt: at, ExpiresAt: e.ExpiresAt})
				last = &folded[len(folded)-1]
			}
			last.MailRequests, last.MailRevision = last.MailRequests+1, r.Revision
		case domain.ResetLinkOpened:
			if last != nil {
				last.LinkOpenedAt = &at
			}
		case domain.PasswordChanged:
			if last != nil && e.ResetID != nil {
				last.ChangedAt = &at
			} else if open {
				last.ClosedAt = &at
			}
		case domain.AddressChanged, domain.AccountDeactivated, domain.AccountErased:
			if open {
				last.ClosedAt = &at
			}
		}
	}
	return folded
}

// resetRow is what a batch says of one reset. RequestedRevision is nil when it
// was requested before the batch.
type resetRow struct {
	ResetID           uuid.UUID  `json:"reset_id"`
	AccountID         uuid.UUID  `json:"account_id"`
	RequestedRevision *int64     `json:"requested_revision"`
	RequestedAt       *time.Time `json:"requested_at"`
	ExpiresAt         *time.Time `json:"expires_at"`
	MailRevisions     []int64    `json:"mail_revisions"`
	LinkOpenedAt      *time.Time `json:"link_opened_at"`
}

// A request before mail_revision is counted already. A reset whose request is
// nowhere has no time of request, which the table refuses.
const resetsSQL = `
INSERT INTO readmodel.resets AS v (reset_id, account_id, requested_revision, requested_at, expires_at, link_opened_at, mail_revision, mail_requests)
SELECT c.reset_id, c.account_id, coalesce(o.requested_revision, c.requested_revision),
	coalesce(o.requested_at, c.requested_at), coalesce(o.expires_at, c.expires_at), coalesce(o.link_opened_at, c.link_opened_at),
	greatest(o.mail_revision, m.last), coalesce(o.mail_requests, 0) + m.requests
FROM jsonb_to_recordset($1) AS c (reset_id uuid, account_id uuid, requested_revision bigint, requested_at timestamptz,
	expires_at timestamptz, mail_revisions bigint[], link_opened_at timestamptz)
LEFT JOIN LATERAL (SELECT * FROM readmodel.resets WHERE reset_id = c.reset_id OFFSET 0) o ON true
CROSS JOIN LATERAL (SELECT max(revision) AS last, count(DISTINCT revision) AS requests
	FROM unnest(c.mail_revisions) revision WHERE revision > coalesce(o.mail_revision, -1)) m
ON CONFLICT (reset_id) DO UPDATE SET link_opened_at = excluded.link_opened_at,
	mail_revision = excluded.mail_revision, mail_requests = excluded.mail_requests`

// resetEnd is an event that ends resets of the account. ResetID is the one it
// used up, or the one that takes the place of the others.
type resetEnd struct {
	AccountID uuid.UUID  `json:"account_id"`
	Revision  int64      `json:"revision"`
	At        time.Time  `json:"at"`
	How       string     `json:"how"`
	ResetID   *uuid.UUID `json:"reset_id"`
}

const (
	resetChanged    = "changed"
	resetSuperseded = "superseded"
	resetClosed     = "closed"
)

// The first event after its request ends a reset. One that had expired by then
// is left as it is.
const resetEndsSQL = `
UPDATE readmodel.resets v SET
	changed_at    = CASE e.how WHEN 'changed' THEN e.at END,
	superseded_at = CASE e.how WHEN 'superseded' THEN e.at END,
	closed_at     = CASE e.how WHEN 'closed' THEN e.at END
FROM (
	SELECT DISTINCT ON (o.reset_id) o.reset_id, c.how, c.at
	FROM jsonb_to_recordset($1) AS c (account_id uuid, revision bigint, at timestamptz, how text, reset_id uuid)
	JOIN readmodel.resets o ON o.account_id = c.account_id AND o.requested_revision < c.revision
	WHERE num_nonnulls(o.changed_at, o.superseded_at, o.closed_at) = 0
		AND CASE c.how WHEN 'changed' THEN o.reset_id = c.reset_id
			ELSE o.reset_id IS DISTINCT FROM c.reset_id AND c.at < o.expires_at END
	ORDER BY o.reset_id, c.revision
) e WHERE v.reset_id = e.reset_id`

// Queue implements View: one statement for what happened to resets, one for
// what ended them.
func (Resets) Queue(batch *pgx.Batch, events []domain.Recorded) error {
	var b resetBatch
	for _, r := range events {
		b.apply(r)
	}
	if err := queueRows(batch, resetsSQL, b.rows); err != nil {
		return err
	}
	return queueRows(batch, resetEndsSQL, b.ends)
}

type resetBatch struct {
	rows []*resetRow
	ends []resetEnd
	byID map[uuid.UUID]*resetRow
}

func (b *resetBatch) apply(r domain.Recorded) {
	at := r.Metadata.OccurredAt
	switch e := r.Event.(type) {
	case domain.ResetRequested:
		row := b.row(e.ResetID, r)
		row.MailRevisions = append(row.MailRevisions, r.Revision)
		if row.RequestedRevision == nil {
			row.RequestedRevision, row.RequestedAt, row.ExpiresAt = &r.Revision, &at, &e.ExpiresAt
		}
		b.end(r, resetSuperseded, &e.ResetID)
	case domain.ResetLinkOpened:
		if row := b.row(e.ResetID, r); row.LinkOpenedAt == nil {
			row.LinkOpenedAt = &at
		}
	case domain.PasswordChanged:
		if e.ResetID != nil {
			b.end(r, resetChanged, e.ResetID)
			return
		}
		b.end(r, resetClosed, nil)
	case domain.AddressChanged, domain.AccountDeactivated, domain.AccountErased:
		b.end(r, resetClosed, nil)
	}
}

func (b *resetBatch) row(reset uuid.UUID, r domain.Recorded) *resetRow {
	row, found := b.byID[reset]
	if !found {
		account, _ := domain.StreamSubject(r.Stream)
		row = &resetRow{ResetID: reset, AccountID: account}
		if b.byID == nil {
			b.byID = map[uuid.UUID]*resetRow{}
		}
		b.byID[reset], b.rows = row, append(b.rows, row)
	}
	return row
}

func (b *resetBatch) end(r domain.Recorded, how string, reset *uuid.UUID) {
	account, _ := domain.StreamSubject(r.Stream)
	b.ends = append(b.ends, resetEnd{AccountID: account, Revision: r.Revision, At: r.Metadata.OccurredAt, How: how, ResetID: reset})
}
