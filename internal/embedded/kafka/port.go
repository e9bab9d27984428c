package kafka

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"os"
	"strconv"
	"strings"
	"syscall"
)

// port is the port that consumers know, kept in a file.
type port struct {
	path   string
	number int // 0 before the first start
	logger *slog.Logger
}

func openPort(path string, logger *slog.Logger) (*port, error) {
	content, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return &port{path: path, logger: logger}, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read Kafka's port: %w", err)
	}
	number, err := strconv.ParseUint(strings.TrimSpace(string(content)), 10, 16)
	if err != nil {
		return nil, fmt.Errorf("read Kafka's port in %s: %w", path, err)
	}
	return &port{path, int(number), logger}, nil
}

// listen takes the known port, or a free one. What the broker asks for is ignored.
func (p *port) listen(string, string) (net.Listener, error) {
	var network net.ListenConfig
	listener, err := network.Listen(context.Background(), "tcp", fmt.Sprintf("127.0.0.1:%d", p.number))
	if errors.Is(err, syscall.EADDRINUSE) {
		p.logger.Warn("kafka's port is taken by another process: using a free one", slog.Int("port", p.number))
		return network.Listen(context.Background(), "tcp", "127.0.0.1:0")
	}
	return listener, err
}

// remember keeps the first port for good.
func (p *port) remember(addr string) error {
	if p.number != 0 {
		return nil
	}
	_, number, err := net.SplitHostPort(addr)
	if err == nil {
		err = os.WriteFile(p.path, []byte(number+"\n"), 0o600)
	}
	if err != nil {
		return fmt.Errorf("keep Kafka's port: %w", err)
	}
	return nil
}
