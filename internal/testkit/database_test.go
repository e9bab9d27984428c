package testkit_test

import (
	"os"
	"testing"
	"time"

	"github.com/google/uuid"

	"daybook/domain"
	"daybook/internal/testkit"
)

func TestMain(m *testing.M) { os.Exit(testkit.Main(m)) }

func TestDatabasesAreMigratedAndApart(t *testing.T) {
	one, two := testkit.Database(t), testkit.Database(t)
	if _, err := one.Exec(t.Context(), `INSERT INTO app.idempotency (command_id, fingerprint) VALUES (gen_random_uuid(), 'x')`); err != nil {
		t.Fatal(err)
	}
	var rows int
	if err := two.QueryRow(t.Context(), `SELECT count(*) FROM app.idempotency`).Scan(&rows); err != nil || rows != 0 {
		t.Fatalf("%d rows of another test's database, %v", rows, err)
	}
	first, again := testkit.SharedDatabaseURL(t), testkit.SharedDatabaseURL(t)
	if first != again {
		t.Fatal("the shared database is not shared")
	}
}

func TestRepositoryIsReal(t *testing.T) {
	r := testkit.Repository(t, testkit.Database(t))
	account, err := r.Account(t.Context(), uuid.New())
	if err != nil || account.Revision != domain.NoStream {
		t.Fatalf("%+v, %v", account, err)
	}
}

// failing stands in for the test that waits in vain.
type failing struct {
	testing.TB
	said string
}

func (f *failing) Fatalf(format string, _ ...any) { f.said = format; panic(f) }

func TestAwait(t *testing.T) {
	asked := 0
	testkit.Await(t, time.Minute, "three", func() bool { asked++; return asked == 3 })
	if asked != 3 {
		t.Fatalf("asked %d times", asked)
	}
	f := &failing{TB: t}
	defer func() {
		if recover() != any(f) || f.said == "" {
			t.Error("waited in vain without failing")
		}
	}()
	testkit.Await(f, 20*time.Millisecond, "never", func() bool { return false })
}
