//go:build !linux

package node

import "os"

// datasync makes what was written to the file durable.
func datasync(file *os.File) error { return file.Sync() }
