package postgres

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// unfinishedPrefix marks the sibling in which a new cluster is built.
const unfinishedPrefix = ".initdb-"

// clusterMajor returns the major version of the cluster in dataDir, 0 when there
// is none yet, and an error when the directory holds something else.
func clusterMajor(dataDir string) (int, error) {
	content, err := os.ReadFile(filepath.Join(dataDir, "PG_VERSION"))
	if errors.Is(err, fs.ErrNotExist) {
		return 0, refuseForeign(dataDir)
	}
	if err != nil {
		return 0, fmt.Errorf("read the version of the cluster: %w", err)
	}
	// Before version 10 a major version had two parts, such as 9.6.
	digits, _, _ := strings.Cut(strings.TrimSpace(string(content)), ".")
	major, err := strconv.Atoi(digits)
	if err != nil {
		return 0, fmt.Errorf("%s holds a PG_VERSION that is not a version; it was left as it is", dataDir)
	}
	return major, nil
}

func refuseForeign(dataDir string) error {
	entries, err := os.ReadDir(dataDir)
	if errors.Is(err, fs.ErrNotExist) || (err == nil && len(entries) == 0) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("read the data directory: %w", err)
	}
	return fmt.Errorf("%s is not empty and not a Postgres cluster; it was left as it is", dataDir)
}

// chooseBinaries returns the wanted server, or, when none is named, an installed
// one of the cluster's major version, else the best.
func chooseBinaries(wanted Binaries, major int, dataDir string) (Binaries, error) {
	candidates := []Binaries{wanted}
	if wanted == (Binaries{}) {
		candidates = Installed()
	}
	if len(candidates) == 0 {
		return Binaries{}, ErrNotInstalled
	}
	for _, b := range candidates {
		if major == 0 || b.Major == major {
			return b, nil
		}
	}
	return Binaries{}, fmt.Errorf("the cluster in %s was made by Postgres %d and Postgres %d is installed: "+
		"install version %d, upgrade the cluster with pg_upgrade, or choose another data directory; it was left as it is",
		dataDir, major, candidates[0].Major, major)
}

// makeParents creates the missing directories above path so that the server's
// user may pass through them; those that exist keep their modes.
func makeParents(path string) error {
	parent := filepath.Dir(path)
	if _, err := os.Stat(parent); err == nil || parent == path {
		return nil
	}
	if err := makeParents(parent); err != nil {
		return err
	}
	if err := os.Mkdir(parent, 0o711); err != nil && !errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("create %s: %w", parent, err)
	}
	// Mkdir is subject to the umask, and 077 is a common one for root.
	if err := os.Chmod(parent, 0o711); err != nil {
		return fmt.Errorf("open %s: %w", parent, err)
	}
	return nil
}

// removeUnfinished removes what initdb left when it was interrupted.
func removeUnfinished(dataDir string) error {
	left, err := filepath.Glob(escapeGlob(dataDir) + unfinishedPrefix + "*")
	if err != nil {
		return fmt.Errorf("look for unfinished clusters: %w", err)
	}
	for _, path := range left {
		if err := os.RemoveAll(path); err != nil {
			return fmt.Errorf("remove an unfinished cluster: %w", err)
		}
	}
	return nil
}

func escapeGlob(path string) string {
	return strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`, `[`, `\[`).Replace(path)
}

// commit puts a finished cluster in its place and makes that durable.
func commit(unfinished, dataDir string) error {
	// An empty directory may be there; Remove refuses any other.
	if err := os.Remove(dataDir); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("make room for the new cluster: %w", err)
	}
	if err := os.Rename(unfinished, dataDir); err != nil {
		return fmt.Errorf("put the new cluster in its place: %w", err)
	}
	parent, err := os.Open(filepath.Dir(dataDir))
	if err != nil {
		return fmt.Errorf("open the parent of the data directory: %w", err)
	}
	defer parent.Close()
	if err := parent.Sync(); err != nil {
		return fmt.Errorf("sync the parent of the data directory: %w", err)
	}
	return nil
}
