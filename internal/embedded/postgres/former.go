package postgres

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

const (
	// formerPatience is how long a former server may take to end; it writes a
	// checkpoint first.
	formerPatience = 30 * time.Second
	pollInterval   = 5 * time.Millisecond
)

// awaitFormer waits for the server of a killed parent to end, and removes its
// pid file if no such server lives: after a crash of the machine the number in
// it may be that of any process, for which Postgres would refuse to start. The
// caller holds the lock, so no living parent runs this cluster.
func awaitFormer(ctx context.Context, dataDir string) error {
	ctx, cancel := context.WithTimeout(ctx, formerPatience)
	defer cancel()
	ticker := time.NewTicker(pollInterval)
	defer ticker.Stop()
	for {
		pid, err := formerServer(dataDir)
		if err != nil || pid == 0 {
			return err
		}
		if !alive(pid) || !serves(pid, dataDir) {
			return removePidFile(dataDir)
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return fmt.Errorf("process %d still serves %s: end it with kill -INT %d: %w", pid, dataDir, pid, ctx.Err())
		}
	}
}

// formerServer returns the pid in postmaster.pid, 0 if there is no such file.
func formerServer(dataDir string) (int, error) {
	content, err := os.ReadFile(filepath.Join(dataDir, "postmaster.pid"))
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, fmt.Errorf("read the pid file of the former server: %w", err)
	}
	first, _, _ := strings.Cut(string(content), "\n")
	pid, err := strconv.Atoi(strings.TrimSpace(first))
	if err != nil || pid <= 0 {
		return 0, nil //nolint:nilerr // Postgres has its own sentence for a damaged file
	}
	return pid, nil
}

// alive takes a process that we may not signal for a stranger, as Postgres does.
func alive(pid int) bool { return syscall.Kill(pid, 0) == nil }

func removePidFile(dataDir string) error {
	err := os.Remove(filepath.Join(dataDir, "postmaster.pid"))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("remove the pid file of the former server: %w", err)
	}
	return nil
}
