package telemetry_test

import (
	"os"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"daybook/internal/postgres"
	"daybook/internal/telemetry"
	"daybook/internal/testkit"
)

func TestMain(m *testing.M) { os.Exit(testkit.Main(m)) }

// TestSQL: statements and batches are spans of the trace at hand. Neither their
// arguments nor what Postgres quotes of them is exported.
func TestSQL(t *testing.T) {
	tracing, collector, flush := traced(t)
	pool, err := postgres.Open(t.Context(), postgres.Config{Setting: "test", URL: testkit.DatabaseURL(t), Tracer: telemetry.SQL{Tracing: tracing}})
	if err != nil {
		t.Fatal(err)
	}
	defer pool.Close()
	if _, err := pool.Exec(t.Context(), `SELECT 'background'`); err != nil {
		t.Fatal(err)
	}
	ctx, span := tracing.Start(t.Context(), "request")
	var text string
	if err := pool.QueryRow(ctx, "-- name: x\n  select $1::text", "secret-argument").Scan(&text); err != nil || text != "secret-argument" {
		t.Fatal(text, err)
	}
	if _, err := pool.Exec(ctx, `INSERT INTO app.store (store_id, namespace) VALUES ($1::text::uuid, '')`, "secret-value"); err == nil || !strings.Contains(err.Error(), "secret-value") {
		t.Fatalf("Postgres does not quote the value: %v", err)
	}
	batch := &pgx.Batch{}
	batch.Queue(`SELECT $1::text`, "secret-batch")
	batch.Queue(`SELECT 2`)
	if err := pool.SendBatch(ctx, batch).Close(); err != nil {
		t.Fatal(err)
	}
	span.End()
	spans := flush()
	if len(collector.Spans()) != 4 {
		t.Errorf("%d spans", len(collector.Spans()))
	}
	for name, attribute := range map[string][2]string{
		"SELECT": {"db.query.text", "select $1::text"},
		"INSERT": {"db.response.status_code", "22P02"},
		"BATCH":  {"db.query.text", "SELECT 2"},
	} {
		if s := spans[name]; s.Parent != spans["request"].ID || s.Parent == "" || !strings.Contains(s.Attributes[attribute[0]], attribute[1]) {
			t.Errorf("%s: %+v", name, s)
		}
	}
	if strings.Contains(collector.Raw(), "secret") || strings.Contains(collector.Raw(), "-- name") {
		t.Error("an argument was exported")
	}
}
