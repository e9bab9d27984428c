package projections

import (
	"encoding/json"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"daybook/domain"
)

// Accounts is the view readmodel.accounts: one row per account, what its person
// sees of it.
type Accounts struct{}

// Name implements View.
func (Accounts) Name() string { return "accounts" }

// Wants implements View.
func (Accounts) Wants(stream string) bool { return domain.IsAccountStream(stream) }

// Personal implements View.
func (Accounts) Personal() bool { return true }

func (Accounts) whose() string { return "id" }

func (Accounts) same(account uuid.UUID, events []domain.Recorded, rows []json.RawMessage) (bool, error) {
	var want []Account
	if len(events) > 0 {
		want = append(want, AccountOf(domain.Fold(domain.NewAccount(account), events...)))
	}
	return sameRows(want, rows, nil)
}

// accountChange is what a run of an account's events changes in its row. Nil
// leaves a column as it is.
type accountChange struct {
	run
	Version     *int64                  `json:"version"`
	Status      *domain.Status          `json:"status"`
	Staff       *bool                   `json:"staff"`
	Email       *string                 `json:"email"`
	FirstName   *string                 `json:"first_name"`
	LastName    *string                 `json:"last_name"`
	PhoneNumber *string                 `json:"phone_number"`
	GithubLink  *string                 `json:"github_link"`
	BirthDate   *string                 `json:"birth_date"`
	Thumbnail   *string                 `json:"thumbnail"`
	JoinedAt    *time.Time              `json:"joined_at"`
	Attempts    map[string]domain.Names `json:"attempts"`
	// Activated is the attempt whose names count, when it lies in the row and
	// not in this run.
	Activated *uuid.UUID `json:"activated"`
	// Erased blanks the row: it may be older than the erasure.
	Erased bool `json:"erased"`
}

// OFFSET 0 has each row looked up by its key: a plan made for a batch, or for a table
// that was still empty, would read the whole table for one row.
const accountsSQL = `
INSERT INTO readmodel.accounts AS v (id, revision, version, status, staff, email, first_name, last_name,
	phone_number, github_link, birth_date, thumbnail, joined_at, attempts, erased)
SELECT c.id, app.next_revision(c.id, coalesce(o.revision, -1), c.first_revision, c.last_revision),
	coalesce(c.version, o.version, -1), coalesce(c.status, o.status, ''), coalesce(c.staff, o.staff, false),
	coalesce(c.email, o.email, ''),
	coalesce(c.first_name, o.attempts -> c.activated::text ->> 'first_name', o.first_name, ''),
	coalesce(c.last_name, o.attempts -> c.activated::text ->> 'last_name', o.last_name, ''),
	coalesce(c.phone_number, o.phone_number, ''), coalesce(c.github_link, o.github_link, ''),
	coalesce(c.birth_date, o.birth_date, ''), coalesce(c.thumbnail, o.thumbnail, ''),
	coalesce(c.joined_at, o.joined_at),
	CASE WHEN coalesce(c.status, o.status) = 'pending' AND NOT c.erased
		THEN coalesce(c.attempts, '{}') || coalesce(o.attempts, '{}') ELSE '{}' END,
	c.erased OR coalesce(o.erased, false)
FROM jsonb_to_recordset($1) AS c (id uuid, first_revision bigint, last_revision bigint, version bigint, status text,
	staff boolean, email text, first_name text, last_name text, phone_number text, github_link text, birth_date text,
	thumbnail text, joined_at timestamptz, attempts jsonb, activated uuid, erased boolean)
LEFT JOIN LATERAL (SELECT * FROM readmodel.accounts WHERE id = c.id OFFSET 0) o ON true
WHERE c.last_revision > coalesce(o.revision, -1)
ON CONFLICT (id) DO UPDATE SET revision = excluded.revision, version = excluded.version, status = excluded.status,
	staff = excluded.staff, email = excluded.email, first_name = excluded.first_name, last_name = excluded.last_name,
	phone_number = excluded.phone_number, github_link = excluded.github_link, birth_date = excluded.birth_date,
	thumbnail = excluded.thumbnail, joined_at = excluded.joined_at, attempts = excluded.attempts,
	erased = excluded.erased`

// Queue implements View: one statement for all rows.
func (Accounts) Queue(batch *pgx.Batch, events []domain.Recorded) error {
	return queueRows(batch, accountsSQL, runs[accountChange](events))
}

func (c *accountChange) apply(r domain.Recorded) {
	if c.Status != nil && *c.Status == domain.StatusErased {
		return
	}
	switch e := r.Event.(type) {
	case domain.AccountRegistered:
		c.Status, c.JoinedAt, c.Version = new(domain.StatusPending), &r.Metadata.OccurredAt, &r.Revision
		c.Email, c.FirstName, c.LastName = &e.Personal.Value.Email, &e.Personal.Value.FirstName, &e.Personal.Value.LastName
		c.blankIf(e.Personal.Erased)
	case domain.ActivationRequested:
		c.activationRequested(e)
	case domain.AccountActivated:
		c.activated(e, r.Revision)
	case domain.RegistrationAbandoned:
		c.Status = new(domain.StatusAbandoned)
	case domain.RegistrationExpired:
		c.Status = new(domain.StatusExpired)
	case domain.ProfileUpdated:
		c.profileUpdated(e, r.Revision)
	case domain.AddressChanged:
		c.Email, c.Version = &e.Personal.Value.Email, &r.Revision
		c.blankIf(e.Personal.Erased)
	case domain.AccountDeactivated:
		c.Status, c.Version = new(domain.StatusDeactivated), &r.Revision
	case domain.AccountReactivated:
		c.Status, c.Version = new(domain.StatusActive), &r.Revision
	case domain.StaffGranted:
		c.Staff, c.Version = new(true), &r.Revision
	case domain.StaffRevoked:
		c.Staff, c.Version = new(false), &r.Revision
	case domain.AccountErased:
		c.Status, c.Staff, c.Version, c.Thumbnail = new(domain.StatusErased), new(false), &r.Revision, new("")
		c.blankIf(true)
	}
}

func (c *accountChange) activationRequested(e domain.ActivationRequested) {
	if c.Attempts == nil {
		c.Attempts = map[string]domain.Names{}
	}
	if _, again := c.Attempts[e.ActivationID.String()]; !again {
		c.Attempts[e.ActivationID.String()] = e.Personal.Value
	}
	c.blankIf(e.Personal.Erased)
}

func (c *accountChange) activated(e domain.AccountActivated, revision int64) {
	c.Status, c.Version = new(domain.StatusActive), &revision
	if names, ok := c.Attempts[e.ActivationID.String()]; ok {
		c.FirstName, c.LastName = &names.FirstName, &names.LastName
	} else if c.FirstRevision > 0 && !c.Erased {
		c.FirstName, c.LastName, c.Activated = nil, nil, &e.ActivationID
	}
}

func (c *accountChange) profileUpdated(e domain.ProfileUpdated, revision int64) {
	c.Version = &revision
	columns := map[string]struct {
		column **string
		value  *string
	}{
		domain.FieldFirstName:   {&c.FirstName, e.Personal.Value.FirstName},
		domain.FieldLastName:    {&c.LastName, e.Personal.Value.LastName},
		domain.FieldPhoneNumber: {&c.PhoneNumber, e.Personal.Value.PhoneNumber},
		domain.FieldGithubLink:  {&c.GithubLink, e.Personal.Value.GithubLink},
		domain.FieldBirthDate:   {&c.BirthDate, e.Personal.Value.BirthDate},
		domain.FieldThumbnail:   {&c.Thumbnail, e.Thumbnail},
	}
	for _, field := range e.Changed {
		changed, known := columns[field]
		if !known {
			continue
		}
		if changed.value == nil {
			changed.value = new("") // cleared
		}
		*changed.column = changed.value
	}
	c.blankIf(e.Personal.Erased)
}

// blankIf empties what may stem from before an erasure, as a fold of the stream
// now would.
func (c *accountChange) blankIf(erased bool) {
	if !erased {
		return
	}
	c.Erased, c.Attempts, c.Activated = true, nil, nil
	for _, column := range []**string{&c.Email, &c.FirstName, &c.LastName, &c.PhoneNumber, &c.GithubLink, &c.BirthDate} {
		*column = new("")
	}
}
