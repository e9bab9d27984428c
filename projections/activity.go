package projections

import (
	"encoding/json"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"daybook/domain"
)

// Activity is the view readmodel.activity: a person's history, one row per
// event of the account's and the access stream. Rows hold what an event set;
// what it replaced is in an earlier row, so a row never changes, except that
// names nobody can be called by any more are dropped, and that all rows of an
// erased account go but the one which says so.
type Activity struct{}

// Name implements View.
func (Activity) Name() string { return "activity" }

// Wants implements View.
func (Activity) Wants(stream string) bool {
	_, ok := domain.StreamSubject(stream)
	return ok
}

// Personal implements View.
func (Activity) Personal() bool { return true }

func (Activity) whose() string { return "account_id" }

// same goes by what each event sets, and by the account's fold for the names that
// count. Positions are not told by every store, and an erased person's fields are
// blank or absent, depending on when it was.
func (Activity) same(account uuid.UUID, events []domain.Recorded, rows []json.RawMessage) (bool, error) {
	folded := domain.NewAccount(account)
	var want []activityRow
	seen := map[uuid.UUID]bool{} // a sign-in may be stored twice
	for _, r := range events {
		if seen[r.ID] {
			continue
		}
		seen[r.ID] = true
		if !domain.IsAccountStream(r.Stream) {
			want = append(want, *newActivityRow(r, accessActivity))
			continue
		}
		row := newActivityRow(r, accountActivity)
		folded = domain.Evolve(folded, r)
		if row.Type == domain.NameOf(domain.AccountActivated{}) {
			row.Fields = namedFields(domain.Names{FirstName: folded.Profile.FirstName, LastName: folded.Profile.LastName})
		}
		want = append(want, *row)
	}
	if folded.Status == domain.StatusErased {
		want = slices.DeleteFunc(want, func(row activityRow) bool { return row.Type != domain.NameOf(domain.AccountErased{}) })
	}
	pending := folded.Status == domain.StatusPending
	return sameRows(want, rows, func(row *activityRow) bool {
		row.Position, row.FirstRevision = 0, 0
		if !pending {
			row.Names = nil
		}
		if folded.Erased {
			row.erase()
		}
		return row.Stream == accountActivity || time.Since(row.At) < accessKept
	})
}

// erase leaves what of an erased person's row is not the same whenever it was made:
// anything that is not blank stays.
func (row *activityRow) erase() {
	row.Erased = false
	for field, value := range row.Fields {
		if value == "" {
			delete(row.Fields, field)
		}
	}
	if len(row.Fields) == 0 {
		row.Fields = nil
	}
}

const (
	accountActivity = "account"
	accessActivity  = "access"
)

// activityRow is an event as a row.
type activityRow struct {
	EventID   uuid.UUID `json:"event_id"`
	AccountID uuid.UUID `json:"account_id"`
	Stream    string    `json:"stream"`
	// FirstRevision is of the run that the event is in: nothing may be missing
	// before it. Access streams lose their old events, so theirs is 0.
	FirstRevision int64             `json:"first_revision"`
	Revision      int64             `json:"revision"`
	Position      uint64            `json:"position"`
	At            time.Time         `json:"at"`
	Type          string            `json:"type"`
	Actor         string            `json:"actor"`
	Session       string            `json:"session"`
	ClientAddress string            `json:"client_address"`
	UserAgent     string            `json:"user_agent"`
	Cause         string            `json:"cause"`
	Tries         int               `json:"tries"`
	Fields        map[string]string `json:"fields"`
	Attempt       *uuid.UUID        `json:"attempt"`
	Names         *domain.Names     `json:"names"`
	Erased        bool              `json:"erased"`
}

// An activation sets the names of its attempt, which is an earlier row. The next
// revision is the event's own unless there is a row for it, or later ones, already.
// Nothing is added to an erased account: its access stream may go on for a moment.
const activitySQL = `
INSERT INTO readmodel.activity (event_id, account_id, stream, revision, position, at, type, actor, session,
	client_address, user_agent, cause, tries, fields, attempt, names, erased)
SELECT c.event_id, c.account_id, c.stream, c.revision, c.position, c.at, c.type, c.actor, c.session,
	c.client_address, c.user_agent, c.cause, c.tries,
	CASE WHEN c.type <> 'AccountActivated' THEN c.fields ELSE coalesce(c.fields, (SELECT a.names FROM readmodel.activity a
		WHERE a.account_id = c.account_id AND a.stream = c.stream AND a.attempt = c.attempt AND a.type = 'ActivationRequested'
		ORDER BY a.revision LIMIT 1)) END,
	c.attempt, c.names, c.erased
FROM jsonb_to_recordset($1) AS c (event_id uuid, account_id uuid, stream text, first_revision bigint, revision bigint,
	position bigint, at timestamptz, type text, actor text, session text, client_address text, user_agent text,
	cause text, tries integer, fields jsonb, attempt uuid, names jsonb, erased boolean)
CROSS JOIN LATERAL (SELECT coalesce(max(a.revision), -1) AS revision FROM readmodel.activity a
	WHERE a.account_id = c.account_id AND a.stream = c.stream) o
WHERE app.next_revision(c.account_id, o.revision, c.first_revision, c.revision) = c.revision
	AND NOT EXISTS (SELECT FROM (SELECT a.type FROM readmodel.activity a
		WHERE a.account_id = c.account_id AND a.stream = 'account' ORDER BY a.revision DESC LIMIT 1) last WHERE last.type = 'AccountErased')
ON CONFLICT DO NOTHING`

const activityNamesSQL = `UPDATE readmodel.activity SET names = NULL
WHERE account_id = ANY($1) AND stream = 'account' AND names IS NOT NULL`

const activityErasedSQL = `UPDATE readmodel.activity SET client_address = '', user_agent = '', names = NULL, erased = true,
	fields = (SELECT jsonb_object_agg(field, '') FROM jsonb_object_keys(fields) field)
WHERE account_id = ANY($1) AND (client_address <> '' OR user_agent <> '' OR names IS NOT NULL OR fields IS NOT NULL)`

const activityGoneSQL = `DELETE FROM readmodel.activity WHERE account_id = ANY($1) AND type <> 'AccountErased'`

// Queue implements View: one statement for all rows, and one each for the rare
// drop of names, of what does not open any more and of erased accounts.
func (Activity) Queue(batch *pgx.Batch, events []domain.Recorded) error {
	var rows []*activityRow
	var named, erased, gone []uuid.UUID
	for _, c := range runs[activityChange](events) {
		rows = append(rows, c.Rows...)
		if c.NamesSettled {
			named = append(named, c.ID)
		}
		if c.Gone {
			gone = append(gone, c.ID)
		}
	}
	for _, r := range events {
		if !domain.IsAccountStream(r.Stream) {
			rows = append(rows, newActivityRow(r, accessActivity))
		}
	}
	for _, row := range rows {
		if row.Erased {
			erased = append(erased, row.AccountID)
		}
	}
	err := queueRows(batch, activitySQL, rows)
	if len(named) > 0 {
		batch.Queue(activityNamesSQL, named)
	}
	if len(erased) > 0 {
		batch.Queue(activityErasedSQL, erased)
	}
	if len(gone) > 0 {
		batch.Queue(activityGoneSQL, gone)
	}
	return err
}

// activityChange is a run of an account's events as rows.
type activityChange struct {
	run
	Rows []*activityRow
	// NamesSettled says that names of attempts are of no more use.
	NamesSettled bool
	Gone         bool // the account was erased
}

func (c *activityChange) apply(r domain.Recorded) {
	row := newActivityRow(r, accountActivity)
	row.FirstRevision = c.FirstRevision
	c.Rows = append(c.Rows, row)
	switch e := r.Event.(type) {
	case domain.AccountActivated:
		c.NamesSettled = true
		row.Fields = c.namesOf(e.ActivationID)
	case domain.RegistrationExpired:
		c.NamesSettled = true
	case domain.AccountErased:
		row.Erased, c.Gone = true, true
	}
}

// namesOf returns the names of an attempt of this run; nil leaves looking for
// them to the database.
func (c *activityChange) namesOf(attempt uuid.UUID) map[string]string {
	for _, row := range c.Rows {
		if row.Names != nil && *row.Attempt == attempt {
			return namedFields(*row.Names)
		}
	}
	return nil
}

func newActivityRow(r domain.Recorded, stream string) *activityRow {
	id, _ := domain.StreamSubject(r.Stream)
	row := &activityRow{
		EventID: r.ID, AccountID: id, Stream: stream, Revision: r.Revision, Position: r.Position,
		At: r.Metadata.OccurredAt, Type: domain.NameOf(r.Event), Actor: actorOf(r.Metadata.Actor, id), Session: r.Metadata.Session,
	}
	switch e := r.Event.(type) {
	case domain.AccountRegistered:
		value := e.Personal.Value
		row.Fields, row.Erased = namedFields(domain.Names{FirstName: value.FirstName, LastName: value.LastName}), e.Personal.Erased
		row.Fields[fieldEmail] = value.Email
	case domain.ActivationRequested:
		row.Attempt, row.Erased = &e.ActivationID, e.Personal.Erased
		if !row.Erased {
			row.Names = &e.Personal.Value
		}
	case domain.AccountActivated:
		row.Attempt = &e.ActivationID
	case domain.ProfileUpdated:
		row.Fields, row.Erased = updatedFields(e), e.Personal.Erased
	case domain.AddressChangeRequested:
		row.addressed(e.Personal)
	case domain.AddressChanged:
		row.addressed(e.Personal)
	case domain.PasswordChanged:
		row.Cause = e.Cause
	case domain.SignedIn:
		row.accessed(e.SessionID, e.Cause, e.Personal)
	case domain.SignedOut:
		row.accessed(e.SessionID, e.Cause, e.Personal)
	case domain.SessionEnded:
		row.accessed(e.SessionID, e.Cause, e.Personal)
	case domain.SignInRefused:
		row.Tries = e.Count
	}
	return row
}

func (row *activityRow) accessed(session uuid.UUID, cause string, origin domain.Personal[domain.Origin]) {
	row.Session, row.Cause, row.Erased = session.String(), cause, origin.Erased
	row.ClientAddress, row.UserAgent = origin.Value.ClientAddress, origin.Value.UserAgent
}

// fieldEmail is the address among the fields of rows.
const fieldEmail = "email"

// addressed sets the new address, also where it was only asked for.
func (row *activityRow) addressed(to domain.Personal[domain.NewAddress]) {
	row.Fields, row.Erased = map[string]string{fieldEmail: to.Value.Email}, to.Erased
}

// actorOf tells a person whether it was they: the ids of others are not theirs
// to see.
func actorOf(actor string, id uuid.UUID) string {
	if actor == domain.AccountActor(id) {
		return "self"
	}
	kind, _, _ := strings.Cut(actor, ":")
	return kind
}

func namedFields(n domain.Names) map[string]string {
	return map[string]string{domain.FieldFirstName: n.FirstName, domain.FieldLastName: n.LastName}
}

// updatedFields has every changed field: cleared and erased ones are empty.
func updatedFields(e domain.ProfileUpdated) map[string]string {
	profile := domain.Fold(domain.Account{}, domain.Recorded{Event: e}).Profile
	values := map[string]string{
		domain.FieldFirstName: profile.FirstName, domain.FieldLastName: profile.LastName,
		domain.FieldPhoneNumber: profile.PhoneNumber, domain.FieldGithubLink: profile.GithubLink,
		domain.FieldBirthDate: profile.BirthDate, domain.FieldThumbnail: profile.Thumbnail,
	}
	changed := map[string]string{}
	for _, field := range e.Changed {
		changed[field] = values[field]
		if e.Personal.Erased {
			changed[field] = ""
		}
	}
	return changed
}
