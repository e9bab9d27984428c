package node_test

import (
	"os"
	"strconv"
	"testing"
	"time"

	"github.com/EventStore/EventStore-Client-Go/v4/protos/streams"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"daybook/internal/eventstore/node"
	"daybook/internal/eventstore/node/nodetest"
)

// childLog is the size in bytes of the child's log files, default if empty.
const childLog = "NODE_TEST_CHILD_LOG"

func TestMain(m *testing.M) {
	nodetest.ServeProcess(nodetest.With(func(c *node.Config) {
		if size, err := strconv.ParseInt(os.Getenv(childLog), 10, 64); err == nil {
			*c = c.WithLog(size, time.Millisecond)
		}
	}))
	os.Exit(m.Run())
}

// child is a node in a process of its own.
type child struct {
	*testing.T
	*nodetest.Process
	log string
}

func newChild(t *testing.T) *child {
	t.Helper()
	return &child{T: t, Process: nodetest.NewProcess(t)}
}

// start starts the process and returns a client of it, once it serves.
func (c *child) start() streams.StreamsClient {
	c.Helper()
	c.Environment = []string{childLog + "=" + c.log}
	c.Start(c.T)
	conn, err := grpc.NewClient("unix:"+c.Socket, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		c.Fatal(err)
	}
	c.Cleanup(func() { _ = conn.Close() })
	return streams.NewStreamsClient(conn)
}

func (c *child) kill() {
	c.Helper()
	c.Kill(c.T)
}
