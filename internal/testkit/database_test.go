package testkit_test

import (
	"testing"

	"daybook/internal/testkit"
)

func TestDatabasesAreMigratedAndApart(t *testing.T) {
	one, two := testkit.Database(t), testkit.Database(t)
	if _, err := one.Exec(t.Context(), `INSERT INTO app.idempotency (command_id, fingerprint) VALUES (gen_random_uuid(), 'x')`); err != nil {
		t.Fatal(err)
	}
	var rows int
	if err := two.QueryRow(t.Context(), `SELECT count(*) FROM app.idempotency`).Scan(&rows); err != nil || rows != 0 {
		t.Fatalf("%d rows of another test's database, %v", rows, err)
	}
}
