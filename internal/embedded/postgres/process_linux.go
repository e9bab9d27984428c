package postgres

import (
	"os"
	"strconv"
	"syscall"
)

func attributes(as account, atParentsDeath syscall.Signal) *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Credential: as.credential(), Setpgid: true, Pdeathsig: atParentsDeath}
}

// serves reports whether the process pid, which exists, is the server of dataDir:
// its working directory is there. After a crash of the machine or in a new
// container the number may belong to anyone.
func serves(pid int, dataDir string) bool {
	directory, err := os.Readlink("/proc/" + strconv.Itoa(pid) + "/cwd")
	return err == nil && directory == dataDir
}
