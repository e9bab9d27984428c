package node

import (
	"testing"
	"time"
)

// FillDisk makes the next write of a node with a file say "no space left on device".
func (n *Node) FillDisk(t *testing.T) { replaceLog(t, n.storage.(*loggedStorage), "/dev/full") }

// WithLog sets the size of the log files and how long events stay in them.
func (c Config) WithLog(size int64, moveAfter time.Duration) Config {
	c.log = logOptions{segmentSize: size, moveAfter: moveAfter}
	return c
}
