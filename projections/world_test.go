package projections

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"daybook/domain"
	"daybook/internal/eventstore"
	"daybook/internal/postgres"
	"daybook/internal/testkit"
	"daybook/internal/vault"
)

// checks is how many random histories a property is tried on; -rapid.checks asks
// for more.
const checks = "25"

func TestMain(m *testing.M) {
	if err := flag.Set("rapid.checks", checks); err != nil {
		panic(err)
	}
	os.Exit(testkit.Main(m))
}

// failer is a test or one case of a property.
type failer interface {
	Helper()
	Fatal(args ...any)
	Fatalf(format string, args ...any)
	Errorf(format string, args ...any)
}

// world is a database and an event store of the test's own.
type world struct {
	ctx     context.Context
	pool    *pgxpool.Pool
	repo    *eventstore.Repository
	masters vault.KeySet
	// seen is how far stored has read: what is before it belongs to an earlier case.
	seen uint64
}

func newWorld(t testing.TB) *world {
	t.Helper()
	return worldOver(t, testkit.Database(t))
}

func worldOver(t testing.TB, pool *pgxpool.Pool) *world {
	t.Helper()
	masters := testkit.KeySet("master")
	repo := testkit.Repository(t, pool)
	repo.Vault = vault.New(pool, masters)
	return &world{ctx: t.Context(), pool: pool, repo: repo, masters: masters}
}

// append writes events of one command as they are.
func (w *world) append(t failer, stream string, expected int64, metadata domain.Metadata, events ...domain.Event) []domain.Recorded {
	t.Helper()
	if metadata.CommandID == uuid.Nil {
		metadata.CommandID = uuid.New()
	}
	if metadata.OccurredAt.IsZero() {
		metadata.OccurredAt = domain.Micro(time.Now())
	}
	recorded, err := w.repo.Append(w.ctx, domain.Append{Stream: stream, Expected: expected, Events: events, Metadata: metadata})
	if err != nil {
		t.Fatal(err)
	}
	return recorded
}

// stored returns what was appended since it was last called.
func (w *world) stored(t failer) []domain.Stored {
	t.Helper()
	var events []domain.Stored
	for event, err := range w.repo.Client.ReadAll(w.ctx, w.seen) {
		if err != nil {
			t.Fatal(err)
		}
		events = append(events, event)
	}
	if len(events) > 0 {
		w.seen = events[len(events)-1].Position
	}
	return events
}

// projector returns a started one, as a new process would.
func (w *world) projector(t failer, view View) *Projector {
	t.Helper()
	p := &Projector{Pool: w.pool, Vault: w.repo.Vault, View: view, Logger: slog.New(slog.DiscardHandler)}
	if err := postgres.CreateCheckpoint(w.ctx, w.pool, p.CheckpointName(), uuid.UUID{}, 0); err != nil {
		t.Fatal(err)
	}
	if _, err := p.Start(w.ctx); err != nil {
		t.Fatal(err)
	}
	return p
}

// projectorAt returns one that begins after the position, wherever the rows are.
func (w *world) projectorAt(t failer, view View, position uint64) *Projector {
	t.Helper()
	w.moveCheckpoint(t, view, position)
	return w.projector(t, view)
}

// freshVault forgets cached keys, as a new process does.
func (w *world) freshVault() { w.repo.Vault = vault.New(w.pool, w.masters) }

// reset empties a view and moves its checkpoint to the position.
func (w *world) reset(t failer, view View, position uint64) {
	t.Helper()
	w.exec(t, `DELETE FROM `+table(view))
	w.exec(t, `DELETE FROM app.parked_accounts WHERE projection = $1`, (&Projector{View: view}).CheckpointName())
	w.moveCheckpoint(t, view, position)
}

func (w *world) moveCheckpoint(t failer, view View, position uint64) {
	t.Helper()
	w.exec(t, `INSERT INTO app.checkpoints (name, store_id, position) VALUES ($1, gen_random_uuid(), $2)
		ON CONFLICT (name) DO UPDATE SET position = excluded.position`, (&Projector{View: view}).CheckpointName(), int64(position))
}

func (w *world) position(t failer, view View) (position uint64) {
	t.Helper()
	var stored int64
	err := w.pool.QueryRow(w.ctx, `SELECT position FROM app.checkpoints WHERE name = $1`, (&Projector{View: view}).CheckpointName()).Scan(&stored)
	if err != nil {
		t.Fatal(err)
	}
	return uint64(stored)
}

func (w *world) exec(t failer, sql string, arguments ...any) {
	t.Helper()
	if _, err := w.pool.Exec(w.ctx, sql, arguments...); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
}

func table(view View) string { return "readmodel." + view.Name() }

// rows returns all rows of a view as JSON, in an order of their own.
func (w *world) rows(t failer, view View) []string {
	t.Helper()
	rows, err := w.pool.Query(w.ctx, `SELECT to_jsonb(v)::text FROM `+table(view)+` v ORDER BY 1`)
	if err != nil {
		t.Fatal(err)
	}
	found, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// apply applies the events as one batch.
func apply(t failer, w *world, p *Projector, events []domain.Stored) {
	t.Helper()
	if err := p.Apply(w.ctx, events); err != nil {
		t.Fatalf("%s: apply %d events: %v", p.View.Name(), len(events), err)
	}
}

func (w *world) recorded(t failer, events []domain.Stored) []domain.Recorded {
	t.Helper()
	recorded, err := w.repo.Vault.Decode(w.ctx, events...)
	if err != nil {
		t.Fatal(err)
	}
	return recorded
}

// folds returns every account of a log.
func folds(log []domain.Recorded) map[uuid.UUID]domain.Account {
	accounts := map[uuid.UUID]domain.Account{}
	for id, history := range histories(log) {
		accounts[id] = domain.Fold(domain.NewAccount(id), history...)
	}
	return accounts
}

// histories takes the account streams of a log apart.
func histories(log []domain.Recorded) map[uuid.UUID][]domain.Recorded {
	streams := map[uuid.UUID][]domain.Recorded{}
	for _, r := range log {
		if id, ok := domain.StreamSubject(r.Stream); ok && domain.IsAccountStream(r.Stream) {
			streams[id] = append(streams[id], r)
		}
	}
	return streams
}

func readable(value any) string {
	b, err := json.MarshalIndent(value, "", " ")
	if err != nil {
		return fmt.Sprintf("%+v", value)
	}
	return string(b)
}

func pointer[T any](value T) *T { return &value }
