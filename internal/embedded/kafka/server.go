package kafka

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"syscall"

	"github.com/twmb/franz-go/pkg/kfake"
)

// ErrInUse is returned when another server uses the directory.
var ErrInUse = errors.New("the Kafka directory is in use by another process")

// Config says where the records are kept.
type Config struct {
	// Dir keeps the records; it is created when it is absent.
	Dir string
	// Logger gets what goes wrong. Default: none.
	Logger *slog.Logger
}

// Server is a running broker.
type Server struct {
	lock    *os.File
	cluster *kfake.Cluster
	addr    string

	stop    sync.Once
	stopped chan struct{}
	err     error
}

// Start opens the directory and listens on 127.0.0.1. The broker runs until Stop.
func Start(config Config) (*Server, error) {
	if config.Dir == "" {
		return nil, errors.New("a Kafka broker needs a directory")
	}
	if config.Logger == nil {
		config.Logger = slog.New(slog.DiscardHandler)
	}
	if err := os.MkdirAll(config.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("create the Kafka directory: %w", err)
	}
	lock, err := acquire(filepath.Join(config.Dir, "lock"))
	if err != nil {
		return nil, err
	}
	s := &Server{lock: lock, stopped: make(chan struct{})}
	if err := s.open(config); err != nil {
		_ = lock.Close() // nothing was written to it
		return nil, err
	}
	return s, nil
}

func (s *Server) open(config Config) error {
	port, err := openPort(filepath.Join(config.Dir, "port"), config.Logger)
	if err != nil {
		return err
	}
	s.cluster, err = kfake.NewCluster(
		kfake.NumBrokers(1), kfake.ListenFn(port.listen), kfake.ClusterID("daybook"),
		// Without syncs a record that was acknowledged could be lost, and the
		// relay would not publish it again.
		kfake.DataDir(filepath.Join(config.Dir, "log")), kfake.SyncWrites(),
		kfake.WithLogger(brokerLog{config.Logger}),
	)
	if err != nil {
		return fmt.Errorf("start the Kafka broker: %w", err)
	}
	s.addr = s.cluster.ListenAddrs()[0]
	if err := port.remember(s.addr); err != nil {
		s.cluster.Close()
		return err
	}
	return nil
}

// URL returns the address in the form of DAYBOOK_KAFKA_URL.
func (s *Server) URL() string { return "kafka://" + s.addr }

// Stop saves what is not on disk yet and ends the broker, or leaves it to itself
// when ctx ends first. It may be called repeatedly.
func (s *Server) Stop(ctx context.Context) error {
	s.stop.Do(func() { go s.shutdown() })
	select {
	case <-s.stopped:
		return s.err
	case <-ctx.Done():
		return fmt.Errorf("stop the Kafka broker: %w", ctx.Err())
	}
}

func (s *Server) shutdown() {
	defer close(s.stopped)
	s.cluster.Close()
	if err := s.lock.Close(); err != nil {
		s.err = fmt.Errorf("unlock the Kafka directory: %w", err)
	}
}

// acquire locks the file. The lock ends with the process, however that ends.
func acquire(path string) (*os.File, error) {
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open the lock of the Kafka directory: %w", err)
	}
	err = syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if err == nil {
		return file, nil
	}
	_ = file.Close() // nothing was written to it
	if errors.Is(err, syscall.EWOULDBLOCK) {
		return nil, fmt.Errorf("%w: %s", ErrInUse, filepath.Dir(path))
	}
	return nil, fmt.Errorf("lock the Kafka directory: %w", err)
}

// brokerLog passes errors on only: the broker reports every request.
type brokerLog struct{ logger *slog.Logger }

// Logf implements kfake.Logger.
func (l brokerLog) Logf(level kfake.LogLevel, format string, values ...any) {
	if level == kfake.LogLevelError {
		l.logger.Warn("kafka broker failed", slog.String("error", fmt.Sprintf(format, values...)))
	}
}
