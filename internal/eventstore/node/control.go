package node

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"time"
)

// The control channel is HTTP on a Unix socket beside the store's file, in a directory
// that only the file's owner may enter:
//
//	GET /backup -> headers Store-Id and Last-Position; body: each record up to that
//	               position in order, as length BE32 and the stored form (record.go)
//
// A record's checksum covers its position, so that the other side notices whatever
// happens on the way. It is no EventStoreDB protocol: only this package talks by it.
const (
	backupPath         = "/backup"
	storeIDHeader      = "Store-Id"
	lastPositionHeader = "Last-Position"
	// controlSuffix makes the socket's directory of the store's file.
	controlSuffix = ".control"
	controlSocket = "socket"
	// headerTimeout is for a program that connects and says nothing.
	headerTimeout = 5 * time.Second
	sendBuffer    = 256 << 10
)

// ServeControl answers other programs of the same user that ask for a backup, until
// Close, and returns nil then. The node must have a file.
func (n *Node) ServeControl() error {
	if n.config.Path == "" {
		return errors.New("event store in memory has no control channel")
	}
	listener, remove, err := listenControl(n.config.Path + controlSuffix)
	if err != nil {
		return fmt.Errorf("event store control channel: %w", err)
	}
	routes := http.NewServeMux()
	routes.HandleFunc("GET "+backupPath, n.sendBackup)
	server := &http.Server{Handler: routes, ReadHeaderTimeout: headerTimeout}
	ended := make(chan struct{})
	defer close(ended)
	go func() {
		select {
		case <-n.closing:
		case <-ended:
		}
		_ = server.Close() // it only closes the listener and connections, whose ends are known by now
	}()
	err = server.Serve(listener)
	if errors.Is(err, http.ErrServerClosed) {
		err = nil
	}
	return errors.Join(err, remove())
}

// listenControl makes the directory and the socket in it. Only one process gets here for
// a store: whose socket may lie there, it has ended.
func listenControl(dir string) (listener net.Listener, remove func() error, err error) {
	if err := os.RemoveAll(dir); err != nil {
		return nil, nil, err
	}
	if err := os.Mkdir(dir, 0o700); err != nil {
		return nil, nil, err
	}
	short, forget, err := shortcut(dir)
	if err != nil {
		return nil, nil, errors.Join(err, os.RemoveAll(dir))
	}
	remove = func() error { return os.RemoveAll(dir) }
	listener, err = net.ListenUnix("unix", &net.UnixAddr{Net: "unix", Name: filepath.Join(short, controlSocket)})
	// The socket lies in dir: nobody who kills us can leave the way to it behind.
	if err := errors.Join(err, forget()); err != nil {
		return nil, nil, errors.Join(err, remove())
	}
	return listener, remove, nil
}

// maxSocketPath is how long the path of a socket may be on every system: macOS has room
// for 104 bytes, Linux for 108.
const maxSocketPath = 103

// shortcut is a path of the directory that is short enough for a socket's address.
func shortcut(dir string) (short string, forget func() error, err error) {
	absolute, err := filepath.Abs(dir)
	if err != nil {
		return "", nil, err
	}
	if len(filepath.Join(absolute, controlSocket)) <= maxSocketPath {
		return absolute, func() error { return nil }, nil
	}
	parent, err := os.MkdirTemp("", "daybook-")
	if err != nil {
		return "", nil, err
	}
	short = filepath.Join(parent, "d")
	if err := os.Symlink(absolute, short); err != nil {
		return "", nil, errors.Join(err, os.RemoveAll(parent))
	}
	return short, func() error { return os.RemoveAll(parent) }, nil
}

// sendBackup sends the log as it is now. A backup that can't be completed is cut off.
func (n *Node) sendBackup(w http.ResponseWriter, request *http.Request) {
	limit, _ := n.writer.tail()
	w.Header().Set(storeIDHeader, n.StoreID().String())
	w.Header().Set(lastPositionHeader, strconv.FormatUint(limit, 10))
	out := bufio.NewWriterSize(w, sendBuffer)
	err := n.sendLog(out, request, limit)
	if err == nil {
		err = out.Flush()
	}
	if err != nil {
		n.config.Logger.Warn("event store backup was cut short", "error", err)
		panic(http.ErrAbortHandler) // the one way to let the other side know
	}
	n.config.Logger.Info("event store backed up", "position", limit)
}

func (n *Node) sendLog(out *bufio.Writer, request *http.Request, limit uint64) error {
	for next := uint64(1); next <= limit; {
		if err := request.Context().Err(); err != nil {
			return err
		}
		records, err := copiedGroup(n.storage, next, limit)
		if err != nil {
			return err
		}
		if len(records) == 0 {
			return fmt.Errorf("position %d: %w", next, errCorrupt)
		}
		for _, r := range records {
			stored := encodeRecord(r)
			if _, err := out.Write(binary.BigEndian.AppendUint32(nil, uint32(len(stored)))); err != nil { //nolint:gosec // a record is far smaller
				return err
			}
			if _, err := out.Write(stored); err != nil {
				return err
			}
		}
		next = records[len(records)-1].position + 1
	}
	return nil
}
