package postgres

import (
	"fmt"
	"os"
	"path/filepath"
)

const (
	socketPrefix = "pg"
	socketName   = ".s.PGSQL.5432"
	// socketPathLimit is the room for a path in sockaddr_un, one byte of which
	// ends it: 108 bytes on Linux, 104 on macOS.
	socketPathLimit = 103
)

// makeSocketDirectory creates a short private directory for the socket, in the
// directory for temporary files or, where that is too deep or closed, in /tmp.
func makeSocketDirectory(owner account) (string, error) {
	base := os.TempDir()
	longest := filepath.Join(base, socketPrefix+"0123456789", socketName)
	if len(longest) > socketPathLimit || owner.reaches(filepath.Join(base, "entry")) != nil {
		base = "/tmp"
	}
	directory, err := os.MkdirTemp(base, socketPrefix) // mode 0700
	if err != nil {
		return "", fmt.Errorf("create the socket directory: %w", err)
	}
	if err := owner.give(directory); err != nil {
		return "", err
	}
	return directory, nil
}

// removeSocketDirectory leaves a directory alone that holds anything unexpected.
func removeSocketDirectory(directory string) {
	for _, name := range []string{socketName, socketName + ".lock"} {
		_ = os.Remove(filepath.Join(directory, name)) // the server has usually done it
	}
	_ = os.Remove(directory) // at worst an empty directory stays behind
}
