package app

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"

	"daybook/internal/eventstore"
	"daybook/internal/eventstore/node"
)

// eventStoreCopy moves a history between stores of any kind.
type eventStoreCopy struct {
	From string `arg:"" help:"Store to read: esdb://…, unix:SOCKET of a running embedded one, or the file of a stopped one. @FILE reads the URL from a file, for it may hold a password."`
	To   string `arg:"" help:"Store to write, named in the same way; a file that is not there is made. It must be empty, or hold the beginning of the same history: then the copy goes on."`
}

// Run copies all events of the service, and tells what to do next.
func (c eventStoreCopy) Run(i *invocation) (err error) {
	if c.From == c.To {
		return errors.New("both are the same event store")
	}
	from, err := i.openEndpoint(c.From, false)
	if err != nil {
		return fmt.Errorf("the event store to read: %w", err)
	}
	defer func() { err = errors.Join(err, from.close()) }()
	to, err := i.openEndpoint(c.To, true)
	if err != nil {
		return fmt.Errorf("the event store to write: %w", err)
	}
	defer func() { err = errors.Join(err, to.close()) }()
	tell := copyProgress{out: i.notes}
	copied, err := eventstore.Copy(i.ctx, from.client, to.client, producer(), tell.show)
	if err != nil {
		return fmt.Errorf("%w (%d events are in the target)", err, copied.Found+copied.Written)
	}
	_, err = fmt.Fprintf(i.out, "Copied: %d events, %d of them now. The copy is event store %s.\n"+
		"Next: point DAYBOOK_EVENTSTORE_URL to it, and run daybook migrate --after-copy.\n",
		copied.Found+copied.Written, copied.Written, copied.StoreID)
	return err
}

// copyProgress tells the person at the terminal, once a second, how far it is.
type copyProgress struct {
	out  io.Writer
	next time.Time
}

func (p *copyProgress) show(c eventstore.Copied) {
	if now := time.Now(); now.After(p.next) {
		p.next = now.Add(time.Second)
		_, _ = fmt.Fprintf(p.out, "%d events found, %d written\n", c.Found, c.Written)
	}
}

// endpoint is one side of a copy. The node is nil unless it runs here.
type endpoint struct {
	client *eventstore.Client
	node   *node.Node
	served chan error
	dir    string
}

// openEndpoint reaches a store; of a file it runs the node.
func (i *invocation) openEndpoint(name string, create bool) (_ *endpoint, err error) {
	if path, ok := strings.CutPrefix(name, "@"); ok {
		content, err := os.ReadFile(path)
		if err != nil {
			return nil, err
		}
		name = strings.TrimSpace(string(content))
	}
	e := &endpoint{}
	config := eventstore.Config{
		Namespace: i.settings.Namespace, Prefixes: ownStreams, Logger: i.logger.With(slog.String("part", "event store client")),
	}
	socket, isSocket := strings.CutPrefix(name, "unix:")
	switch {
	case strings.Contains(name, "://"):
		config.URL = name
	case isSocket:
		config.Socket = socket
	default:
		if config.Socket, err = e.serve(i, name, create); err != nil {
			return nil, err
		}
	}
	if e.client, err = eventstore.NewClient(config); err != nil {
		return nil, errors.Join(err, e.close())
	}
	return e, nil
}

// serve runs the store in a file, on a socket that nobody else knows.
func (e *endpoint) serve(i *invocation, path string, create bool) (socket string, err error) {
	if _, err := os.Stat(path); err != nil && !create {
		return "", err
	}
	if e.node, err = node.Open(node.Config{Path: path, Logger: i.logger.With(slog.String("part", "event store"))}); err != nil {
		return "", explainInUse(err)
	}
	if e.dir, err = os.MkdirTemp("", "daybook-"); err != nil {
		return "", errors.Join(err, e.close())
	}
	socket = filepath.Join(e.dir, socketName)
	var config net.ListenConfig
	listener, err := config.Listen(i.ctx, "unix", socket)
	if err != nil {
		return "", errors.Join(err, e.close())
	}
	e.served = make(chan error, 1)
	go func() { e.served <- e.node.Serve(listener) }()
	return socket, nil
}

func (e *endpoint) close() error {
	var errs []error
	if e.client != nil {
		e.client.Close()
	}
	if e.node != nil {
		errs = append(errs, e.node.Close())
	}
	if e.served != nil {
		errs = append(errs, <-e.served)
	}
	if e.dir != "" {
		errs = append(errs, os.RemoveAll(e.dir))
	}
	return errors.Join(errs...)
}
