package postgres

import (
	"cmp"
	"context"
	"errors"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
)

// OldestMajor is the oldest major version that Find accepts.
const OldestMajor = 14

// ErrNotInstalled is returned when no usable server is installed.
var ErrNotInstalled = errors.New("no Postgres server of version 14 or newer is installed: " +
	"install one (apt-get install postgresql, brew install postgresql@17) or set DAYBOOK_DATABASE_URL")

// Binaries names one installed server.
type Binaries struct {
	Initdb   string // absolute path, symlinks resolved
	Postgres string // absolute path, symlinks resolved
	Major    int    // major version, as in the file PG_VERSION of a data directory
}

// globs are the places where packages put a server that is not on PATH: Debian,
// the PostgreSQL yum repository, Alpine, a build from source, Homebrew on Apple
// and on Intel processors, Postgres.app.
var globs = []string{
	"/usr/lib/postgresql/*/bin",
	"/usr/pgsql-*/bin",
	"/usr/libexec/postgresql*",
	"/usr/local/pgsql/bin",
	"/opt/homebrew/opt/postgresql@*/bin",
	"/usr/local/opt/postgresql@*/bin",
	"/Applications/Postgres.app/Contents/Versions/*/bin",
}

// Find returns the server on PATH, else the one of the highest major version in
// the usual places, or ErrNotInstalled.
func Find() (Binaries, error) {
	installed := Installed()
	if len(installed) == 0 {
		return Binaries{}, ErrNotInstalled
	}
	return installed[0], nil
}

// Installed returns all usable servers in the order of Find.
func Installed() []Binaries { return installedIn(globs) }

func installedIn(patterns []string) []Binaries {
	onPath := inspectAll(pathDirectory())
	var elsewhere []Binaries
	for _, pattern := range patterns {
		directories, err := filepath.Glob(pattern)
		if err != nil {
			continue // the patterns are constants, proved by a test
		}
		elsewhere = append(elsewhere, inspectAll(directories...)...)
	}
	slices.SortStableFunc(elsewhere, func(a, b Binaries) int { return cmp.Compare(b.Major, a.Major) })
	all := onPath
	for _, b := range elsewhere {
		if !slices.Contains(all, b) {
			all = append(all, b)
		}
	}
	return all
}

// pathDirectory returns the directory of the initdb on PATH, or "". Debian's and
// Alpine's are symlinks into the directory of one version.
func pathDirectory() string {
	found, err := exec.LookPath("initdb")
	if err != nil {
		return ""
	}
	resolved, err := filepath.EvalSymlinks(found)
	if err != nil {
		return ""
	}
	return filepath.Dir(resolved)
}

func inspectAll(directories ...string) []Binaries {
	var found []Binaries
	for _, directory := range directories {
		if b, ok := inspect(directory); ok && b.Major >= OldestMajor {
			found = append(found, b)
		}
	}
	return found
}

func inspect(directory string) (Binaries, bool) {
	if directory == "" {
		return Binaries{}, false
	}
	var paths [2]string
	for i, name := range []string{"initdb", "postgres"} {
		found, err := exec.LookPath(filepath.Join(directory, name))
		if err != nil {
			return Binaries{}, false
		}
		if paths[i], err = filepath.EvalSymlinks(found); err != nil {
			return Binaries{}, false
		}
	}
	major, ok := majorOf(paths[1])
	return Binaries{Initdb: paths[0], Postgres: paths[1], Major: major}, ok
}

// versionLine matches "postgres (PostgreSQL) 15.18 (Debian …)" and "… 18beta1".
var versionLine = regexp.MustCompile(`^postgres \(PostgreSQL\) (\d+)`)

func majorOf(postgres string) (int, bool) {
	output, err := exec.CommandContext(context.Background(), postgres, "--version").Output()
	if err != nil {
		return 0, false
	}
	match := versionLine.FindSubmatch(output)
	if match == nil {
		return 0, false
	}
	major, err := strconv.Atoi(string(match[1]))
	return major, err == nil
}
