package app

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"daybook/internal/eventstore/node"
)

// eventStoreCommand is the embedded event store as a process of its own, and what
// can be done with its file.
type eventStoreCommand struct {
	Serve   eventStoreServe   `cmd:"" default:"withargs" help:"Serve EventStoreDB's protocol from one file."`
	Backup  eventStoreBackup  `cmd:"" help:"Copy the file of an event store, running or stopped, checking every event. Restoring is starting on the copy."`
	Verify  eventStoreVerify  `cmd:"" help:"Check the file of a stopped event store."`
	Compact eventStoreCompact `cmd:"" help:"Copy the file of a stopped event store without the room that is free in it."`
	Copy    eventStoreCopy    `cmd:"" help:"Copy the service's whole history into another event store, embedded or not. See docs/runbook.md."`
}

// eventStoreFile is the file that holds the events.
type eventStoreFile struct {
	File string `help:"File that holds the events. Default: events.db in the data directory." placeholder:"PATH"`
}

func (f eventStoreFile) path(i *invocation) string {
	if f.File != "" {
		return f.File
	}
	return filepath.Join(i.settings.DataDir, "events.db")
}

// existing is for commands that must not make a file by looking for it.
func (f eventStoreFile) existing(i *invocation) (string, error) {
	path := f.path(i)
	if _, err := os.Stat(path); err != nil {
		return "", fmt.Errorf("there is no event store: %w", err)
	}
	return path, nil
}

type eventStoreServe struct {
	eventStoreFile
	Addr           string `default:"127.0.0.1:2113" help:"Listen address: host:port, or unix:PATH. Beyond loopback a certificate and a password are required."`
	Advertise      string `help:"host:port that esdb+discover clients are told to connect to. Default: the listen address."`
	TLSCertificate string `name:"tls-certificate" help:"PEM file of the certificate and its chain." placeholder:"PATH"`
	TLSKey         string `name:"tls-key" help:"PEM file of its key." placeholder:"PATH"`
	Username       string `help:"User that clients must log in as; needs TLS."`
	PasswordFile   string `help:"File that holds the user's password." placeholder:"PATH"`
}

// Run serves until the context ends.
func (c eventStoreServe) Run(i *invocation) error {
	config, err := c.config(i)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(config.Path), 0o711); err != nil {
		return fmt.Errorf("make the directory of the event store: %w", err)
	}
	n, err := node.Open(config)
	if err != nil {
		return err
	}
	listener, err := c.listen(i)
	if err != nil {
		return errors.Join(err, n.Close())
	}
	fmt.Fprintf(i.out, "The event store listens on %s; events in %s\n", listener.Addr(), config.Path)
	served := make(chan error, 1)
	go func() { served <- n.Serve(listener) }()
	controlled := serveControl(n, config.Logger)
	select {
	case err = <-served:
		err = errors.Join(err, n.Close())
	case <-i.ctx.Done():
		err = errors.Join(n.Close(), <-served)
	}
	<-controlled
	return err
}

// serveControl lets other processes back up the node until it is closed, and closes the
// channel when that is over. A file system without sockets is no reason not to serve.
func serveControl(n *node.Node, logger *slog.Logger) <-chan struct{} {
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		if err := n.ServeControl(); err != nil {
			logger.Warn("event store can be backed up only when it is stopped", slog.Any("error", err))
		}
	}()
	return ended
}

func (c eventStoreServe) config(i *invocation) (node.Config, error) {
	config := node.Config{
		Path: c.path(i), AdvertisedAddress: c.Advertise, Username: c.Username,
		Logger: i.logger.With(slog.String("part", "event store")),
	}
	if c.PasswordFile != "" {
		content, err := os.ReadFile(c.PasswordFile)
		if err != nil {
			return config, fmt.Errorf("the password file cannot be read: %w", err)
		}
		config.Password = strings.TrimSpace(string(content))
	}
	if c.TLSCertificate == "" && c.TLSKey == "" {
		return config, nil
	}
	certificate, err := tls.LoadX509KeyPair(c.TLSCertificate, c.TLSKey)
	if err != nil {
		return config, fmt.Errorf("the certificate cannot be used: %w", err)
	}
	config.TLS = &tls.Config{Certificates: []tls.Certificate{certificate}, MinVersion: tls.VersionTLS12}
	return config, nil
}

func (c eventStoreServe) listen(i *invocation) (net.Listener, error) {
	network, addr := "tcp", c.Addr
	if path, ok := strings.CutPrefix(c.Addr, "unix:"); ok {
		network, addr = "unix", path
		if err := removeDeadSocket(path); err != nil {
			return nil, err
		}
	}
	var config net.ListenConfig
	listener, err := config.Listen(i.ctx, network, addr)
	if err != nil {
		return nil, fmt.Errorf("cannot listen on %s: %w", c.Addr, err)
	}
	return listener, nil
}

// removeDeadSocket removes what a killed process left: a socket that nobody
// listens on.
func removeDeadSocket(path string) error {
	info, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) || err == nil && info.Mode()&fs.ModeSocket == 0 {
		return nil // what else is there, listening will name
	}
	connection, err := (&net.Dialer{Timeout: time.Second}).DialContext(context.Background(), "unix", path)
	if err == nil {
		return errors.Join(fmt.Errorf("another process listens on %s", path), connection.Close())
	}
	if !errors.Is(err, syscall.ECONNREFUSED) {
		return fmt.Errorf("look at the socket %s: %w", path, err)
	}
	return os.Remove(path)
}

type eventStoreBackup struct {
	eventStoreFile
	Target string `arg:"" help:"File to make; must not exist."`
}

// Run copies the events to a new file. A node that runs on the file is asked for them.
func (c eventStoreBackup) Run(i *invocation) error {
	path, err := c.existing(i)
	if err != nil {
		return err
	}
	err = node.BackupRunning(i.ctx, path, c.Target)
	if errors.Is(err, node.ErrNotRunning) {
		err = backupStopped(i, path, c.Target)
	}
	if err != nil {
		return err
	}
	return i.report(c.Target)
}

func backupStopped(i *invocation, path, target string) error {
	n, err := node.Open(node.Config{Path: path, Logger: i.logger})
	if err != nil {
		return explainInUse(err)
	}
	return errors.Join(n.Backup(target), n.Close())
}

type eventStoreVerify struct{ eventStoreFile }

// Run checks the file and tells what is in it.
func (c eventStoreVerify) Run(i *invocation) error {
	path, err := c.existing(i)
	if err != nil {
		return err
	}
	return i.report(path)
}

type eventStoreCompact struct {
	eventStoreFile
	Target     string `arg:"" help:"File to make; must not exist."`
	WithoutLog bool   `help:"Leave out a log that is damaged or lost: what was acknowledged in the last second before the crash is not in the copy."`
}

// Run copies the events to a new, smaller file.
func (c eventStoreCompact) Run(i *invocation) error {
	path, err := c.existing(i)
	if err != nil {
		return err
	}
	compact := node.Compact
	if c.WithoutLog {
		compact = node.CompactWithoutLog
	}
	if err := compact(path, c.Target); err != nil {
		return explainInUse(err)
	}
	return i.report(c.Target)
}

// report verifies a file and tells what is in it.
func (i *invocation) report(path string) error {
	r, err := node.Verify(path)
	if err != nil {
		return explainInUse(err)
	}
	_, err = fmt.Fprintf(i.out, "%s is sound: store %s, %d events in %d streams\n", path, r.StoreID, r.Events, r.Streams)
	return err
}

func explainInUse(err error) error {
	if errors.Is(err, node.ErrInUse) {
		return fmt.Errorf("stop the event store first; only its backup can be taken while it runs: %w", err)
	}
	return err
}
