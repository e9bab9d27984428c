//go:build unix && !linux

package postgres

import "syscall"

// attributes cannot ask for a signal at the parent's death here: after a SIGKILL
// of the parent the server lives on, and the next Start says so.
func attributes(as account, _ syscall.Signal) *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Credential: as.credential(), Setpgid: true}
}

// serves cannot tell whose process it is here, and so believes the file.
func serves(int, string) bool { return true }
