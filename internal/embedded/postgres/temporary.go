package postgres

import (
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"time"
)

const (
	temporaryPrefix = "daybook-postgres-"
	temporaryData   = "data"
	// abandonedAge spares a directory that is being made by another process.
	abandonedAge = time.Minute
)

// makeTemporary returns a new directory that the server's user may pass through, and
// removes those of processes that ended without Stop: each is tens of megabytes.
func makeTemporary() (string, error) {
	removeAbandoned()
	directory, err := os.MkdirTemp("", temporaryPrefix)
	if err != nil {
		return "", fmt.Errorf("create a temporary directory: %w", err)
	}
	if err := os.Chmod(directory, 0o711); err != nil {
		return "", fmt.Errorf("open the temporary directory: %w", err)
	}
	return directory, nil
}

func removeAbandoned() {
	found, err := filepath.Glob(filepath.Join(escapeGlob(os.TempDir()), temporaryPrefix+"*"))
	if err != nil {
		return // the pattern is well formed
	}
	for _, directory := range found {
		removeIfAbandoned(directory)
	}
}

// removeIfAbandoned takes the directory's lock first, which a living process holds.
// What is not ours, a symbolic link included, is left alone.
func removeIfAbandoned(directory string) {
	info, err := os.Lstat(directory)
	if err != nil || !info.IsDir() {
		return
	}
	if stat, ok := info.Sys().(*syscall.Stat_t); !ok || int(stat.Uid) != os.Getuid() {
		return
	}
	dataDir := filepath.Join(directory, temporaryData)
	made, err := os.Lstat(dataDir + lockSuffix)
	if err != nil || time.Since(made.ModTime()) < abandonedAge {
		return
	}
	held, err := acquireLock(dataDir)
	if err != nil {
		return
	}
	defer held.release()
	if pid, err := formerServer(dataDir); err != nil || pid != 0 && alive(pid) && serves(pid, dataDir) {
		return // it is still writing; another Start will see to it
	}
	if held.removeFormerSocket() == nil {
		_ = os.RemoveAll(directory) // another Start will try again
	}
}
