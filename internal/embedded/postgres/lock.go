package postgres

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

// ErrInUse is returned when another process runs the same data directory.
var ErrInUse = errors.New("the Postgres data directory is in use by another process")

const lockSuffix = ".lock"

// lock is held for the life of a cluster, in a file beside the data directory;
// the kernel releases it when the process ends in any way. The file names the
// socket directory, so that the one of a killed process can be removed.
type lock struct{ file *os.File }

func acquireLock(dataDir string) (*lock, error) {
	file, err := os.OpenFile(dataDir+lockSuffix, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open the lock of the data directory: %w", err)
	}
	err = syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if err == nil {
		return &lock{file}, nil
	}
	file.Close()
	if errors.Is(err, syscall.EWOULDBLOCK) {
		return nil, fmt.Errorf("%w: %s", ErrInUse, dataDir)
	}
	return nil, fmt.Errorf("lock the data directory: %w", err)
}

// removeFormerSocket removes the socket directory that a killed process left.
// Only what we put there is removed, whatever the file says.
func (l *lock) removeFormerSocket() error {
	content, err := io.ReadAll(io.NewSectionReader(l.file, 0, 4096))
	if err != nil {
		return fmt.Errorf("read the lock of the data directory: %w", err)
	}
	directory := strings.TrimSpace(string(content))
	if filepath.IsAbs(directory) && strings.HasPrefix(filepath.Base(directory), socketPrefix) {
		removeSocketDirectory(directory)
	}
	return nil
}

func (l *lock) recordSocket(directory string) error {
	if err := l.file.Truncate(0); err != nil {
		return fmt.Errorf("empty the lock of the data directory: %w", err)
	}
	if _, err := l.file.WriteAt([]byte(directory+"\n"), 0); err != nil {
		return fmt.Errorf("write the lock of the data directory: %w", err)
	}
	return nil
}

func (l *lock) release() { l.file.Close() }
