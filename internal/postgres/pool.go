package postgres

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
)

// MinVersion is the oldest server that is known to work.
const MinVersion = 14

// Config says which database to use.
type Config struct {
	// Setting names the variable that the URL came from, for error sentences.
	Setting string
	// URL is postgres://…
	URL string
	// MaxConns bounds the pool; defaults to 16.
	MaxConns int32
	// Role, when set, is the one that all connections work as, if who connects may
	// take it; else they work as who connects. See WorksAs.
	Role string
	// Tracer, when set, sees every statement.
	Tracer pgx.QueryTracer
}

// Open connects, and checks that the server answers and is not too old. Its
// errors are one sentence each, naming the setting, without the password.
func Open(ctx context.Context, config Config) (*pgxpool.Pool, error) {
	parsed, err := pgxpool.ParseConfig(config.URL)
	if err != nil {
		return nil, fmt.Errorf("%s is not a valid postgres:// URL", config.Setting)
	}
	parsed.MaxConns = cmp.Or(config.MaxConns, 16)
	parsed.ConnConfig.Tracer = config.Tracer
	if config.Role != "" {
		parsed.AfterConnect = workAs(config.Role)
	}
	pool, err := pgxpool.NewWithConfig(ctx, parsed)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", config.Setting, err)
	}
	if err := checkVersion(ctx, pool); err != nil {
		pool.Close()
		return nil, fmt.Errorf("%s: the database at %s cannot be used: %w", config.Setting, parsed.ConnConfig.Host, err)
	}
	return pool, nil
}

func checkVersion(ctx context.Context, pool *pgxpool.Pool) error {
	var version int
	if err := pool.QueryRow(ctx, `SELECT current_setting('server_version_num')::int`).Scan(&version); err != nil {
		return err
	}
	if version/10000 < MinVersion {
		return fmt.Errorf("it is PostgreSQL %d, at least %d is needed", version/10000, MinVersion)
	}
	return nil
}

// Codes of errors that our own SQL functions raise.
const (
	codeNotOwner = "DB001"
	codeHole     = "DB002"
	codeUnparked = "DB003"
)

// ErrNotOwner says that another process owns the checkpoint now, or that it is
// not where this one left it.
var ErrNotOwner = errors.New("the checkpoint belongs to another owner")

// ErrHole says that a view would have skipped an event. It is an alarm.
var ErrHole = errors.New("events are missing before this one")

// ErrNotParked says that an account is not parked, or not as it was.
var ErrNotParked = errors.New("the account is not parked")

// Explain turns errors of our own SQL functions into ErrNotOwner, ErrHole and
// ErrNotParked.
func Explain(err error) error {
	pgErr, ok := errors.AsType[*pgconn.PgError](err)
	if !ok {
		return err
	}
	switch pgErr.Code {
	case codeNotOwner:
		return fmt.Errorf("%w: %s", ErrNotOwner, pgErr.Message)
	case codeHole:
		return fmt.Errorf("%w: %s", ErrHole, pgErr.Message)
	case codeUnparked:
		return fmt.Errorf("%w: %s", ErrNotParked, pgErr.Message)
	}
	return err
}

// Refused returns the SQLSTATE of an error that says that the database does not
// take the values themselves: a data exception (class 22) or a violated
// constraint (class 23). It is empty for every other error.
func Refused(err error) string {
	pgErr, ok := errors.AsType[*pgconn.PgError](err)
	if !ok || !strings.HasPrefix(pgErr.Code, "22") && !strings.HasPrefix(pgErr.Code, "23") {
		return ""
	}
	return pgErr.Code
}

// Transient reports whether trying the same again later may help: the server is
// away, restarting, a standby, or out of something. An error that is not of the
// database, or that the same statement would meet again, is not transient.
func Transient(err error) bool {
	if pgErr, ok := errors.AsType[*pgconn.PgError](err); ok {
		return slices.ContainsFunc(transientCodes, func(code string) bool { return strings.HasPrefix(pgErr.Code, code) })
	}
	if err == nil || errors.Is(err, context.Canceled) {
		return false
	}
	if _, ok := errors.AsType[net.Error](err); ok {
		return true
	}
	_, connecting := errors.AsType[*pgconn.ConnectError](err)
	return connecting || pgconn.SafeToRetry(err) || errors.Is(err, context.DeadlineExceeded) ||
		errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, net.ErrClosed)
}

// transientCodes are classes of SQLSTATE (PostgreSQL, appendix A): connection,
// rollback, resources, object not in the needed state, operator intervention;
// and the one code of a server that has become a standby.
var transientCodes = []string{"08", "40", "53", "55", "57", "25006"}
