package postgres

import (
	"os"
	"os/exec"
	"runtime"
	"syscall"
	"time"
)

// process is a child that ends with us.
type process struct {
	cmd  *exec.Cmd
	done chan struct{} // closed when the child has ended and was waited for
	err  error         // of Wait; read it after done
}

// startProcess starts cmd as the account, in a process group of its own, so that
// a Ctrl-C at the terminal reaches us first and we end it in order.
//
// The goroutine keeps its thread until the child has ended: on Linux the signal
// that a child gets at the death of its parent is bound to the parent's thread
// (prctl(2), PR_SET_PDEATHSIG).
func startProcess(cmd *exec.Cmd, as account, atParentsDeath syscall.Signal) (*process, error) {
	cmd.Env = []string{"LC_ALL=C", "TZ=UTC", "PATH=" + os.Getenv("PATH")}
	cmd.SysProcAttr = attributes(as, atParentsDeath)
	// Backends hold the standard error of the server; a stuck one must not keep
	// Wait from returning.
	cmd.WaitDelay = 5 * time.Second
	p := &process{cmd: cmd, done: make(chan struct{})}
	started := make(chan error)
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := cmd.Start()
		started <- err
		if err == nil {
			p.err = cmd.Wait()
			close(p.done)
		}
	}()
	return p, <-started
}

// signal ignores that the child may have ended: done tells.
func (p *process) signal(s syscall.Signal) { _ = p.cmd.Process.Signal(s) }

// killGroup ends the child and all it has started.
func (p *process) killGroup() { _ = syscall.Kill(-p.cmd.Process.Pid, syscall.SIGKILL) }
