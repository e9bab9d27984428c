package node

import "time"

// WithLog sets the size of the log files and how long events stay in them.
func (c Config) WithLog(size int64, moveAfter time.Duration) Config {
	c.log = logOptions{segmentSize: size, moveAfter: moveAfter}
	return c
}
