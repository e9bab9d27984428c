package nodetest

import (
	"bufio"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"

	"daybook/internal/eventstore/node"
)

// With these set, the test binary serves a node.
const (
	pathVariable   = "NODETEST_PATH"
	socketVariable = "NODETEST_SOCKET"
	limitVariable  = "NODETEST_LIMIT"
)

// Process is a node in a process of its own, so that it can be killed. That is the test
// binary: its TestMain must begin with ServeProcess.
type Process struct {
	// Path is the file of the store.
	Path string
	// Socket is where the node serves.
	Socket string
	// Limit, if not 0, is the size in bytes over which no file of the process may grow:
	// its disk is full then.
	Limit uint64
	// Environment is added to that of the process.
	Environment []string

	command *exec.Cmd
}

// NewProcess prepares a process with an empty store, which is killed when the test ends.
func NewProcess(tb testing.TB) *Process {
	tb.Helper()
	socket := socketPath(tb)
	p := &Process{Path: filepath.Join(filepath.Dir(socket), "events.db"), Socket: socket}
	tb.Cleanup(func() { p.Kill(tb) })
	return p
}

// Start starts the process and returns when it serves.
func (p *Process) Start(tb testing.TB) {
	tb.Helper()
	_ = os.Remove(p.Socket) // a killed process leaves it behind
	p.command = exec.CommandContext(tb.Context(), os.Args[0])
	p.command.Env = append(os.Environ(), append(p.Environment,
		pathVariable+"="+p.Path, socketVariable+"="+p.Socket, fmt.Sprintf("%s=%d", limitVariable, p.Limit))...)
	p.command.Stderr = os.Stderr
	output, err := p.command.StdoutPipe()
	if err != nil {
		tb.Fatalf("start node: %v", err)
	}
	if err := p.command.Start(); err != nil {
		tb.Fatalf("start node: %v", err)
	}
	if line, err := bufio.NewReader(output).ReadString('\n'); line != "ready\n" {
		tb.Fatalf("node said %q (%v)", line, err)
	}
}

// Kill ends the process as a crash does. One that doesn't run is left alone.
func (p *Process) Kill(tb testing.TB) {
	tb.Helper()
	if p.command == nil {
		return
	}
	if err := p.command.Process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
		tb.Errorf("kill node: %v", err)
	}
	_ = p.command.Wait() // says only that it was killed
	p.command = nil
}

// ServeProcess serves a node if this process is to be one, and doesn't return then.
func ServeProcess(options ...Option) {
	config := node.Config{Path: os.Getenv(pathVariable)}
	if config.Path == "" {
		return
	}
	for _, o := range options {
		o(&config)
	}
	if err := serveProcess(config, os.Getenv(socketVariable), os.Getenv(limitVariable)); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
}

// serveProcess serves until it is killed. It tells on standard output when it is ready.
func serveProcess(config node.Config, socket, limit string) error {
	n, err := node.Open(config)
	if err != nil {
		return err
	}
	if err := limitFiles(limit); err != nil {
		return err
	}
	listener, err := net.Listen("unix", socket) //nolint:noctx // it ends with the process
	if err != nil {
		return err
	}
	fmt.Println("ready")
	return n.Serve(listener)
}

// limitFiles makes writes beyond the limit fail, as they do on a full disk.
func limitFiles(limit string) error {
	size, err := strconv.ParseUint(limit, 10, 64)
	if err != nil || size == 0 {
		return err
	}
	signal.Ignore(syscall.SIGXFSZ) // the write shall fail, not the process end
	return syscall.Setrlimit(syscall.RLIMIT_FSIZE, &syscall.Rlimit{Cur: size, Max: size})
}
