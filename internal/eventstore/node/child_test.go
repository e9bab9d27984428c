package node_test

import (
	"bufio"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"daybook/internal/eventstore/node"

	"github.com/EventStore/EventStore-Client-Go/v4/protos/streams"
)

// The test binary is also the process that gets killed: with these set it serves a node.
const (
	childPath   = "NODE_TEST_CHILD_PATH"
	childSocket = "NODE_TEST_CHILD_SOCKET"
	// childLimit is the size in bytes that no file of the child may grow over.
	childLimit = "NODE_TEST_CHILD_LIMIT"
	// childLog is the size in bytes of its log files, default if empty.
	childLog = "NODE_TEST_CHILD_LOG"
)

func TestMain(m *testing.M) {
	if path := os.Getenv(childPath); path != "" {
		if err := serveChild(path, os.Getenv(childSocket)); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

// serveChild serves until it is killed. It tells on standard output when it is ready.
func serveChild(path, socket string) error {
	config := node.Config{Path: path}
	if size, err := strconv.ParseInt(os.Getenv(childLog), 10, 64); err == nil {
		config = config.WithLog(size, time.Millisecond)
	}
	n, err := node.Open(config)
	if err != nil {
		return err
	}
	if err := limitFiles(os.Getenv(childLimit)); err != nil {
		return err
	}
	listener, err := net.Listen("unix", socket)
	if err != nil {
		return err
	}
	fmt.Println("ready")
	return n.Serve(listener)
}

// limitFiles makes writes beyond the limit fail, as they do on a full disk.
func limitFiles(limit string) error {
	if limit == "" {
		return nil
	}
	size, err := strconv.ParseUint(limit, 10, 64)
	if err != nil {
		return err
	}
	signal.Ignore(syscall.SIGXFSZ) // the write shall fail, not the process end
	return syscall.Setrlimit(syscall.RLIMIT_FSIZE, &syscall.Rlimit{Cur: size, Max: size})
}

// child is a node in a process of its own.
type child struct {
	*testing.T
	path, socket, limit, log string
	command                  *exec.Cmd
}

func newChild(t *testing.T) *child {
	t.Helper()
	dir, err := os.MkdirTemp("", "child") // its path must be short, for the socket
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return &child{T: t, path: filepath.Join(dir, "events.db"), socket: filepath.Join(dir, "s")}
}

// start starts the process and returns a client of it, once it serves.
func (c *child) start() streams.StreamsClient {
	c.Helper()
	_ = os.Remove(c.socket) // a killed process leaves it behind
	c.command = exec.CommandContext(c.Context(), os.Args[0])
	c.command.Env = append(os.Environ(), childPath+"="+c.path, childSocket+"="+c.socket, childLimit+"="+c.limit, childLog+"="+c.log)
	c.command.Stderr = os.Stderr
	output, err := c.command.StdoutPipe()
	if err != nil {
		c.Fatal(err)
	}
	if err := c.command.Start(); err != nil {
		c.Fatal(err)
	}
	if line, err := bufio.NewReader(output).ReadString('\n'); line != "ready\n" {
		c.Fatalf("child said %q (%v)", line, err)
	}
	conn, err := grpc.NewClient("unix:"+c.socket, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		c.Fatal(err)
	}
	c.Cleanup(func() { _ = conn.Close() })
	return streams.NewStreamsClient(conn)
}

// kill ends the process as a crash does.
func (c *child) kill() {
	c.Helper()
	if err := c.command.Process.Kill(); err != nil {
		c.Fatal(err)
	}
	_ = c.command.Wait() // says only that it was killed
}
