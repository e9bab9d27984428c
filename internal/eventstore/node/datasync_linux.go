package node

import (
	"os"
	"syscall"
)

// datasync makes what was written to the file durable. It leaves out times, and so is one
// write less than Sync where neither the size nor the place of the file's blocks changes.
func datasync(file *os.File) error {
	for {
		err := syscall.Fdatasync(int(file.Fd()))
		if err != syscall.EINTR {
			return os.NewSyscallError("fdatasync", err)
		}
	}
}
