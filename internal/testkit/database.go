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
	exec(tb, server.url("postgres"), server.copyTemplate(name))
	tb.Cleanup(func() { exec(tb, server.url("postgres"), "DROP DATABASE "+name+" WITH (FORCE)") })
	return server.url(name)
}

// SharedDatabaseURL returns the URL of one migrated database for all tests of the
// package that ask for it: for those that look only at accounts of their own, since
// a database takes longer to make than most of them run.
func SharedDatabaseURL(tb testing.TB) string {
	tb.Helper()
	server, err := startServer()
	if err != nil {
		tb.Fatalf("start Postgres for the tests: %v", err)
	}
	shared.Do(func() { exec(tb, server.url("postgres"), server.copyTemplate(server.shared)) })
	return server.url(server.shared)
}

var shared sync.Once

// Main runs the tests of a package and then removes what they shared: databases on
// a server that was given, else the private cluster with its files.
//
//	func TestMain(m *testing.M) { os.Exit(testkit.Main(m)) }
//
// Without it the cluster ends with the process, but its files stay.
func Main(m *testing.M) int {
	code := m.Run()
	if used := running.Load(); used != nil {
		ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
		defer cancel()
		if err := used.remove(ctx); err != nil {
			fmt.Fprintln(os.Stderr, "clean up Postgres after the tests:", err)
			return max(code, 1)
		}
	}
	return code
}

// running is the server of this process.
var running atomic.Pointer[server]

type server struct {
	cluster  *embedded.Cluster // nil when the server was given
	url      func(database string) string
	template string
	shared   string
	strategy string
}

func (s *server) copyTemplate(name string) string {
	return fmt.Sprintf("CREATE DATABASE %s TEMPLATE %s %s", name, s.template, s.strategy)
}

func (s *server) remove(ctx context.Context) error {
	if s.cluster != nil {
		return s.cluster.Stop(ctx)
	}
	conn, err := pgx.Connect(ctx, s.url("postgres"))
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close(ctx) }()
	for _, name := range []string{s.shared, s.template} {
		if _, err := conn.Exec(ctx, "DROP DATABASE IF EXISTS "+name+" WITH (FORCE)"); err != nil {
			return err
		}
	}
	return nil
}

// startServer starts or finds the server once per test binary and migrates the
// template of all databases.
var startServer = sync.OnceValues(func() (*server, error) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	s := &server{template: "template_" + randomName(), shared: "shared_" + randomName()}
	if given := os.Getenv("DAYBOOK_TEST_DATABASE_URL"); given != "" {
		s.url = func(database string) string { return withDatabase(given, database) }
	} else {
		// The cluster ends with this process: it is told to by the kernel.
		cluster, err := embedded.Start(ctx, embedded.Config{Unsafe: true})
		if err != nil {
			return nil, err
		}
		s.cluster, s.url = cluster, cluster.DSN
	}
	running.Store(s)
	return s, s.createTemplate(ctx)
})

func (s *server) createTemplate(ctx context.Context) error {
	conn, err := pgx.Connect(ctx, s.url("postgres"))
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close(ctx) }()
	// Copying files is faster than logging every page; it was the only way before 15.
	if err := conn.QueryRow(ctx, `SELECT CASE WHEN current_setting('server_version_num')::int >= 150000 THEN 'STRATEGY file_copy' ELSE '' END`).
		Scan(&s.strategy); err != nil {
		return err
	}
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
