package postgres_test

import (
	"os"
	"strings"
	"testing"

	"github.com/google/uuid"

	"daybook/internal/testkit"
)

// TestAddressesOfOlderHistories: rows of before addresses could change get the one that
// the account has had all along, so that a later change shows what it replaced. Rows
// of erased persons get none.
func TestAddressesOfOlderHistories(t *testing.T) {
	pool := testkit.Database(t)
	rows := map[string]struct {
		account, event uuid.UUID
		erased         bool
	}{"ada@example.com": {uuid.New(), uuid.New(), false}, "gone@example.com": {uuid.New(), uuid.New(), true}}
	for email, row := range rows {
		_, err := pool.Exec(t.Context(), `INSERT INTO readmodel.accounts (id, revision, version, status, staff, email, first_name, last_name, phone_number, github_link, birth_date, thumbnail, joined_at, attempts)
			VALUES ($1, 0, 0, 'active', false, $2, '', '', '', '', '', '', now(), '{}')`, row.account, email)
		must(t, err)
		_, err = pool.Exec(t.Context(), `INSERT INTO readmodel.activity (event_id, account_id, stream, revision, position, at, type, actor, session, client_address, user_agent, cause, tries, fields, erased)
			VALUES ($1, $2, 'account', 0, 1, now(), 'AccountRegistered', 'anonymous', '', '', '', '', 0, '{"first_name": "Ada"}', $3)`, row.event, row.account, row.erased)
		must(t, err)
	}
	migration, err := os.ReadFile("migrations/00010_address.sql")
	must(t, err)
	statements := strings.TrimPrefix(string(migration), "-- +goose Up")
	for range 2 { // it may be run again
		_, err = pool.Exec(t.Context(), statements)
		must(t, err)
	}
	for email, row := range rows {
		var first, shown string
		must(t, pool.QueryRow(t.Context(), `SELECT fields ->> 'first_name', coalesce(fields ->> 'email', '') FROM readmodel.activity WHERE event_id = $1`, row.event).Scan(&first, &shown))
		if wanted := map[bool]string{false: email, true: ""}[row.erased]; shown != wanted || first != "Ada" {
			t.Errorf("%s: the row has %q and %q", email, shown, first)
		}
	}
}
