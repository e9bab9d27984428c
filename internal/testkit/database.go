package testkit

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"net/url"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	embedded "daybook/internal/embedded/postgres"
	"daybook/internal/postgres"
)

// Database returns a pool over a migrated database of the test's own. It is
// dropped when the test ends.
func Database(tb testing.TB) *pgxpool.Pool {
	tb.Helper()
	pool, err := postgres.Open(tb.Context(), postgres.Config{Setting: "the test database", URL: DatabaseURL(tb)})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(pool.Close)
	return pool
}

// DatabaseURL returns the URL of a migrated database of the test's own.
func DatabaseURL(tb testing.TB) string {
	tb.Helper()
	server, err := startServer()
	if err != nil {
		tb.Fatalf("start Postgres for the tests: %v", err)
	}
	name := "test_" + randomName()
	exec(tb, server.url("postgres"), fmt.Sprintf("CREATE DATABASE %s TEMPLATE %s STRATEGY file_copy", name, server.template))
	tb.Cleanup(func() { exec(tb, server.url("postgres"), "DROP DATABASE "+name+" WITH (FORCE)") })
	return server.url(name)
}

// Main runs the tests of a package and then stops the private cluster, if one was
// started, and removes its files:
//
//	func TestMain(m *testing.M) { os.Exit(testkit.Main(m)) }
//
// Without it the cluster ends with the process, but its files stay.
func Main(m *testing.M) int {
	code := m.Run()
	if cluster := started.Load(); cluster != nil {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		if err := cluster.Stop(ctx); err != nil {
			fmt.Fprintln(os.Stderr, "stop Postgres after the tests:", err)
			return max(code, 1)
		}
	}
	return code
}

// started is the private cluster of this process.
var started atomic.Pointer[embedded.Cluster]

type server struct {
	url      func(database string) string
	template string
}

// startServer starts or finds the server once per test binary and migrates the
// template of all databases.
var startServer = sync.OnceValues(func() (server, error) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	s := server{template: "template_" + randomName()}
	if given := os.Getenv("DAYBOOK_TEST_DATABASE_URL"); given != "" {
		s.url = func(database string) string { return withDatabase(given, database) }
	} else {
		// The cluster ends with this process: it is told to by the kernel.
		cluster, err := embedded.Start(ctx, embedded.Config{Unsafe: true})
		if err != nil {
			return server{}, err
		}
		started.Store(cluster)
		s.url = cluster.DSN
	}
	return s, s.createTemplate(ctx)
})

func (s server) createTemplate(ctx context.Context) error {
	conn, err := pgx.Connect(ctx, s.url("postgres"))
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close(ctx) }()
	if _, err := conn.Exec(ctx, "CREATE DATABASE "+s.template); err != nil {
		return err
	}
	pool, err := pgxpool.New(ctx, s.url(s.template))
	if err != nil {
		return err
	}
	defer pool.Close()
	return postgres.Migrate(ctx, pool)
}

func exec(tb testing.TB, url, sql string) {
	tb.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	conn, err := pgx.Connect(ctx, url)
	if err != nil {
		tb.Fatal(err)
	}
	defer func() { _ = conn.Close(ctx) }()
	if _, err := conn.Exec(ctx, sql); err != nil {
		tb.Fatal(err)
	}
}

func withDatabase(server, database string) string {
	parsed, err := url.Parse(server)
	if err != nil {
		return server
	}
	parsed.Path = "/" + database
	return parsed.String()
}

func randomName() string {
	var b [8]byte
	_, _ = rand.Read(b[:]) // never fails (crypto/rand)
	return strings.ToLower(hex.EncodeToString(b[:]))
}
