package postgres

import (
	"bytes"
	"log/slog"
	"strings"
	"sync"
)

const (
	outputLines    = 20
	outputLineSize = 1000 // bytes
)

// output sends what a child prints to the log, line by line, and keeps the last
// lines, which are the reason when the child fails.
type output struct {
	logger *slog.Logger

	mu      sync.Mutex
	partial []byte
	last    []string
}

// Write takes any piece of text; it never fails.
func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.partial = append(o.partial, p...)
	for {
		line, rest, found := bytes.Cut(o.partial, []byte("\n"))
		if !found {
			break
		}
		o.add(string(line))
		o.partial = rest
	}
	if len(o.partial) > outputLineSize {
		o.add(string(o.partial))
		o.partial = nil
	}
	return len(p), nil
}

func (o *output) add(line string) {
	line = strings.TrimSpace(line[:min(len(line), outputLineSize)])
	if line == "" {
		return
	}
	o.logger.Debug("postgres output", "line", line)
	o.last = append(o.last, line)
	if len(o.last) > outputLines {
		o.last = o.last[1:]
	}
}

// String returns the last lines in one, without an end.
func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return strings.Join(append(o.last[:len(o.last):len(o.last)], string(o.partial)), "; ")
}
