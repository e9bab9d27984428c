package app

import (
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

// dataDir is the directory of the embedded backends, held by one process.
type dataDir struct {
	path string
	lock *os.File
}

const (
	// runFile is what a running service tells of itself, in the data directory.
	runFile = "run.json"
	// socketName is the event store's socket, in a temporary directory of its own.
	socketName = "events.sock"
)

var errInUse = errors.New("is in use by another process")

// openDataDir creates the directory and locks it. The lock ends with the
// process, however that ends.
func openDataDir(path string) (*dataDir, error) {
	absolute, err := filepath.Abs(path)
	if err != nil {
		return nil, fmt.Errorf("DAYBOOK_DATA_DIR: %w", err)
	}
	// Postgres runs as another user when we are root, and must pass through.
	if err := os.MkdirAll(absolute, 0o711); err != nil {
		return nil, fmt.Errorf("DAYBOOK_DATA_DIR %s cannot be created: %w", absolute, err)
	}
	lock, err := os.OpenFile(filepath.Join(absolute, "lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("DAYBOOK_DATA_DIR %s cannot be written: %w", absolute, err)
	}
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		_ = lock.Close()
		return nil, fmt.Errorf("DAYBOOK_DATA_DIR %s %w", absolute, errInUse)
	}
	d := &dataDir{absolute, lock}
	d.sweep()
	return d, nil
}

// sweep removes what a killed process left: what it told of itself, which is true no
// more, and the directory of its socket, if nothing else is in it.
func (d *dataDir) sweep() {
	content, err := os.ReadFile(d.join(runFile))
	if err != nil {
		return
	}
	var former running
	if json.Unmarshal(content, &former) == nil && filepath.Base(former.EventStoreSocket) == socketName {
		_ = os.Remove(former.EventStoreSocket)
		_ = os.Remove(filepath.Dir(former.EventStoreSocket))
	}
	_ = os.Remove(d.join(runFile)) // written anew when the service is ready
}

func (d *dataDir) join(name string) string { return filepath.Join(d.path, name) }

func (d *dataDir) close() error {
	err := os.Remove(d.join(runFile))
	if errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	return errors.Join(err, d.lock.Close())
}

// clusterDir is where the private Postgres cluster lies: in the data directory,
// unless root runs us in a place that Postgres's own user cannot reach. Then it
// lies under /var/lib/daybook, named after the data directory.
func (d *dataDir) clusterDir() string {
	if os.Getuid() != 0 || reachable(d.path) {
		return d.join("postgres")
	}
	sum := sha256.Sum256([]byte(d.path))
	return fmt.Sprintf("/var/lib/daybook/postgres-%x", sum[:6])
}

// reachable reports whether every directory on the way may be passed through by
// other users.
func reachable(path string) bool {
	for dir := path; ; dir = filepath.Dir(dir) {
		info, err := os.Stat(dir)
		if err != nil || info.Mode().Perm()&0o001 == 0 {
			return false
		}
		if dir == filepath.Dir(dir) {
			return true
		}
	}
}

// running is what DATA_DIR/run.json tells other subcommands of a running serve.
type running struct {
	PID              int    `json:"pid"`
	EventStoreSocket string `json:"event_store_socket,omitempty"`
	DatabaseURL      string `json:"database_url,omitempty"`
	S3URL            string `json:"s3_url,omitempty"`
	SMTPURL          string `json:"smtp_url,omitempty"`
	KafkaURL         string `json:"kafka_url,omitempty"`
	HTTP             string `json:"http,omitempty"`
}

func (d *dataDir) announce(r running) error {
	content, err := json.Marshal(r)
	if err != nil {
		return err
	}
	return writeSynced(d.join(runFile), content)
}
