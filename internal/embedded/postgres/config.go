package postgres

import (
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
)

// Config says which cluster to run.
type Config struct {
	// DataDir is the directory of the cluster (PGDATA); it is created when it is
	// absent. A lock file and, for a moment, an unfinished cluster lie beside it.
	// When root runs this, the directories above it must be open (o+x) to the
	// server's user; missing ones are created so. Empty is allowed with Unsafe
	// only: a temporary directory, removed by Stop, or by the next such Start when
	// the process ended without one.
	DataDir string

	// Logger gets the server's own messages at level debug. Default: none.
	// Statements, their values and the errors of clients are not among them.
	Logger *slog.Logger

	// Unsafe trades durability for speed (no fsync): for tests only.
	Unsafe bool

	// Binaries is the server to use. Default: an installed one of the version of
	// the cluster, else that of Find.
	Binaries Binaries
}

// complete fills in defaults and makes DataDir the one true path: the working
// directory of a living server is compared with it.
func (c Config) complete() (Config, error) {
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.DataDir == "" {
		return c, errors.New("a Postgres cluster needs a data directory")
	}
	absolute, err := filepath.Abs(c.DataDir)
	if err != nil {
		return c, fmt.Errorf("find the data directory: %w", err)
	}
	if err := makeParents(absolute); err != nil {
		return c, err
	}
	parent, err := filepath.EvalSymlinks(filepath.Dir(absolute))
	if err != nil {
		return c, fmt.Errorf("find the data directory: %w", err)
	}
	c.DataDir = filepath.Join(parent, filepath.Base(absolute))
	if resolved, err := filepath.EvalSymlinks(c.DataDir); err == nil {
		c.DataDir = resolved
	}
	return c, nil
}
