package projections

import (
	"encoding/json"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"daybook/domain"
)

// Registrations is the view readmodel.registrations: one row per account, how
// it came to be active or not. It holds nothing personal.
type Registrations struct{}

// Name implements View.
func (Registrations) Name() string { return "registrations" }

// Wants implements View.
func (Registrations) Wants(stream string) bool { return domain.IsAccountStream(stream) }

// Personal implements View.
func (Registrations) Personal() bool { return false }

func (Registrations) whose() string { return "account_id" }

// registration is a row as a fold says it.
type registration struct {
	AccountID    uuid.UUID   `json:"account_id"`
	Revision     int64       `json:"revision"`
	AttemptIDs   []uuid.UUID `json:"attempt_ids"`
	Attempts     int         `json:"attempts"`
	MailRequests int         `json:"mail_requests"`
	RegisteredAt *time.Time  `json:"registered_at"`
	ActivatedAt  *time.Time  `json:"activated_at"`
	ExpiredAt    *time.Time  `json:"expired_at"`
	AbandonedAt  *time.Time  `json:"abandoned_at"`
	ErasedAt     *time.Time  `json:"erased_at"`
}

func (Registrations) same(account uuid.UUID, events []domain.Recorded, rows []json.RawMessage) (bool, error) {
	var want []registration
	if len(events) > 0 {
		want = append(want, foldRegistration(account, events))
	}
	return sameRows(want, rows, nil)
}

func foldRegistration(account uuid.UUID, events []domain.Recorded) registration {
	folded := registration{AccountID: account, AttemptIDs: []uuid.UUID{}}
	for _, r := range events {
		at := &r.Metadata.OccurredAt
		folded.Revision = r.Revision
		switch e := r.Event.(type) {
		case domain.AccountRegistered:
			folded.RegisteredAt = at
		case domain.ActivationRequested:
			folded.MailRequests++
			if !slices.Contains(folded.AttemptIDs, e.ActivationID) {
				folded.AttemptIDs = append(folded.AttemptIDs, e.ActivationID)
			}
		case domain.AccountActivated:
			folded.ActivatedAt = at
		case domain.RegistrationExpired:
			folded.ExpiredAt = at
		case domain.RegistrationAbandoned:
			folded.AbandonedAt = at
		case domain.AccountErased:
			folded.ErasedAt = at
		}
	}
	folded.Attempts = len(folded.AttemptIDs)
	return folded
}

// registrationChange is what a run of an account's events changes in its row.
type registrationChange struct {
	run
	RegisteredAt  *time.Time  `json:"registered_at"`
	ActivatedAt   *time.Time  `json:"activated_at"`
	ExpiredAt     *time.Time  `json:"expired_at"`
	AbandonedAt   *time.Time  `json:"abandoned_at"`
	ErasedAt      *time.Time  `json:"erased_at"`
	AttemptIDs    []uuid.UUID `json:"attempt_ids"`    // in order, perhaps repeated
	MailRevisions []int64     `json:"mail_revisions"` // of the requests for a mail
}

const registrationsSQL = `
INSERT INTO readmodel.registrations AS v (account_id, revision, attempt_ids, mail_requests, registered_at, activated_at, expired_at, abandoned_at, erased_at)
SELECT c.id, app.next_revision(c.id, coalesce(o.revision, -1), c.first_revision, c.last_revision),
	ARRAY(SELECT id FROM unnest(coalesce(o.attempt_ids, '{}') || c.attempt_ids) WITH ORDINALITY a (id, place) GROUP BY id ORDER BY min(place)),
	coalesce(o.mail_requests, 0) + (SELECT count(*) FROM unnest(c.mail_revisions) m WHERE m > coalesce(o.revision, -1)),
	coalesce(o.registered_at, c.registered_at), coalesce(o.activated_at, c.activated_at),
	coalesce(o.expired_at, c.expired_at), coalesce(o.abandoned_at, c.abandoned_at),
	coalesce(o.erased_at, c.erased_at)
FROM jsonb_to_recordset($1) AS c (id uuid, first_revision bigint, last_revision bigint, attempt_ids uuid[], mail_revisions bigint[],
	registered_at timestamptz, activated_at timestamptz, expired_at timestamptz, abandoned_at timestamptz, erased_at timestamptz)
LEFT JOIN LATERAL (SELECT * FROM readmodel.registrations WHERE account_id = c.id OFFSET 0) o ON true
WHERE c.last_revision > coalesce(o.revision, -1)
ON CONFLICT (account_id) DO UPDATE SET revision = excluded.revision, attempt_ids = excluded.attempt_ids,
	mail_requests = excluded.mail_requests, registered_at = excluded.registered_at, activated_at = excluded.activated_at,
	expired_at = excluded.expired_at, abandoned_at = excluded.abandoned_at,
	erased_at = excluded.erased_at`

// Queue implements View: one statement for all rows.
func (Registrations) Queue(batch *pgx.Batch, events []domain.Recorded) error {
	return queueRows(batch, registrationsSQL, runs[registrationChange](events))
}

func (c *registrationChange) apply(r domain.Recorded) {
	at := &r.Metadata.OccurredAt
	switch e := r.Event.(type) {
	case domain.AccountRegistered:
		c.RegisteredAt = at
	case domain.ActivationRequested:
		c.AttemptIDs = append(c.AttemptIDs, e.ActivationID)
		c.MailRevisions = append(c.MailRevisions, r.Revision)
	case domain.AccountActivated:
		c.ActivatedAt = at
	case domain.RegistrationExpired:
		c.ExpiredAt = at
	case domain.RegistrationAbandoned:
		c.AbandonedAt = at
	case domain.AccountErased:
		c.ErasedAt = at
	}
}
