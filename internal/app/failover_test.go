package app_test

import (
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"daybook/internal/app"
	"daybook/internal/testkit"
)

// standbyTime is within what time a projector that stands by must show new events
// after the owner is gone.
const standbyTime = 2 * time.Second

// leases is how many projectors a process runs.
const leases = 5

// projectors are an API in this process and projectors in processes of their own.
type projectors struct {
	*service
	settings app.Settings
	db       *pgx.Conn
}

func newProjectors(t *testing.T) *projectors {
	t.Helper()
	settings := settings(t)
	keys := testkit.KeySet("k").String()
	settings.MasterKeys, settings.TokenKeys, settings.AddressKeys = keys, keys, keys
	settings.EventStoreURL = "esdb://" + startNode(t) + "?tls=false"
	db, err := pgx.Connect(t.Context(), settings.DatabaseURL)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close(t.Context()) })
	return &projectors{service: startRoles(t, settings, app.Roles{API: true, Email: true, Migrate: true}), settings: settings, db: db}
}

// projector starts a process and returns what kills it.
func (c *projectors) projector(t *testing.T) (kill func()) {
	t.Helper()
	command := exec.Command(os.Args[0], "projector")
	command.Env = append(os.Environ(), serveVariable+"=1", "DAYBOOK_METRICS_ADDR=off", "DAYBOOK_DATA_DIR="+t.TempDir(),
		"DAYBOOK_DATABASE_URL="+c.settings.DatabaseURL, "DAYBOOK_EVENTSTORE_URL="+c.settings.EventStoreURL,
		"DAYBOOK_MASTER_KEYS="+c.settings.MasterKeys, "DAYBOOK_TOKEN_KEYS="+c.settings.TokenKeys, "DAYBOOK_ADDRESS_KEYS="+c.settings.AddressKeys)
	output := &logBuffer{}
	command.Stdout, command.Stderr = output, output
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	kill = func() {
		_ = command.Process.Kill() // it may have ended
		_ = command.Wait()         // it was killed
	}
	t.Cleanup(func() {
		kill()
		if t.Failed() {
			t.Logf("a projector printed\n%s", output)
		}
	})
	return kill
}

// The key of a lease as pg_locks has it: in two halves.
const leaseSQL = ` FROM pg_locks l JOIN app.checkpoints c ON (l.classid::bigint << 32 | l.objid::bigint) = hashtextextended(c.name, 0)
	WHERE l.locktype = 'advisory' AND c.name LIKE 'projection:%' AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())`

func (c *projectors) awaitLeases(t *testing.T, granted bool) {
	t.Helper()
	testkit.Await(t, 30*time.Second, fmt.Sprintf("leases granted: %t", granted), func() bool {
		var n int
		if err := c.db.QueryRow(t.Context(), `SELECT count(*)`+leaseSQL+` AND l.granted = $1`, granted).Scan(&n); err != nil {
			t.Fatal(err)
		}
		return n == leases
	})
}

// epoch is the newest that a projector took a checkpoint over in.
func (c *projectors) epoch(t *testing.T) (newest int64) {
	t.Helper()
	if err := c.db.QueryRow(t.Context(), `SELECT max(epoch) FROM app.checkpoints WHERE name LIKE 'projection:%'`).Scan(&newest); err != nil {
		t.Fatal(err)
	}
	return newest
}

// taken counts the checkpoints that were taken over after an epoch.
func (c *projectors) taken(t *testing.T, epoch int64) (n int) {
	t.Helper()
	if err := c.db.QueryRow(t.Context(), `SELECT count(*) FROM app.checkpoints WHERE name LIKE 'projection:%' AND epoch > $1`, epoch).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

// TestTakeover kills the process that owns the projectors, and then the
// connections of the next owner's leases: what stands by must show new events in
// time, and one projector at a time does the work.
func TestTakeover(t *testing.T) {
	if testing.Short() {
		t.Skip("starts processes; not with -short")
	}
	c := newProjectors(t)
	b := c.signedIn("takeover@example.com")
	kill := c.projector(t)
	c.awaitLeases(t, true)
	want(t, b.patch(map[string]string{"first_name": "Before"}, nil), http.StatusOK, "", "")
	c.awaitRow(t, "takeover@example.com", "Before")
	loss := map[string]func(){
		"process": kill,
		"connections": func() {
			if _, err := c.db.Exec(t.Context(), `SELECT pg_terminate_backend(l.pid)`+leaseSQL+` AND l.granted`); err != nil {
				t.Fatal(err)
			}
		},
	}
	for _, lost := range []string{"process", "connections"} {
		c.projector(t)
		c.awaitLeases(t, false)
		former := c.epoch(t)
		loss[lost]()
		began := time.Now()
		testkit.Await(t, 30*time.Second, "a new owner of every view", func() bool { return c.taken(t, former) == leases })
		want(t, b.patch(map[string]string{"first_name": lost}, nil), http.StatusOK, "", "")
		c.awaitRow(t, "takeover@example.com", lost)
		took := time.Since(began)
		if took > standbyTime {
			t.Errorf("%s lost: new events were shown after %v", lost, took)
		}
		t.Logf("%s lost: new events were shown after %v", lost, took)
	}
}
