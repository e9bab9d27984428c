package smtp

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"time"

	gosmtp "github.com/emersion/go-smtp"
)

const (
	maxMessageBytes = 10 << 20
	maxRecipients   = 100
	idleTimeout     = time.Minute
)

// Config says where the mail is kept.
type Config struct {
	// Dir is the Maildir; it is created when it is absent.
	Dir string
	// Capacity is the greatest number of messages kept; the oldest go first.
	// Default: 10,000.
	Capacity int
	// AnyHost lets the pages answer to every Host header. Without it they answer
	// to a loopback name only, so that a web site cannot read mail by letting its
	// own name point to this machine (DNS rebinding).
	AnyHost bool
	// Logger gets what goes wrong, and never an address or a text. Default: none.
	Logger *slog.Logger
}

// Server is a running catcher. All methods may be used at the same time.
type Server struct {
	mailbox  *maildir
	faults   faults
	anyHost  bool
	logger   *slog.Logger
	listener net.Listener
	server   *gosmtp.Server
	served   chan error
	stop     sync.Once
	stopped  error
}

// Start opens the Maildir and listens on a free port of 127.0.0.1. ctx bounds the
// start only; the server runs until Stop.
func Start(ctx context.Context, config Config) (*Server, error) {
	if config.Dir == "" {
		return nil, errors.New("a mail catcher needs a directory")
	}
	if config.Capacity <= 0 {
		config.Capacity = 10_000
	}
	if config.Logger == nil {
		config.Logger = slog.New(slog.DiscardHandler)
	}
	mailbox, err := openMaildir(config.Dir, config.Capacity)
	if err != nil {
		return nil, err
	}
	var network net.ListenConfig
	listener, err := network.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("listen for mail: %w", err)
	}
	s := &Server{mailbox: mailbox, anyHost: config.AnyHost, logger: config.Logger, listener: listener, served: make(chan error, 1)}
	s.server = s.protocolServer()
	go func() { s.served <- s.server.Serve(listener) }()
	return s, nil
}

func (s *Server) protocolServer() *gosmtp.Server {
	server := gosmtp.NewServer(gosmtp.BackendFunc(s.newSession))
	server.Domain = "localhost"
	server.MaxMessageBytes = maxMessageBytes
	server.MaxRecipients = maxRecipients
	server.ReadTimeout, server.WriteTimeout = idleTimeout, idleTimeout
	server.EnableSMTPUTF8 = true
	server.ErrorLog = protocolLog{s.logger}
	return server
}

// Addr returns host and port of the SMTP listener.
func (s *Server) Addr() string { return s.listener.Addr().String() }

// URL returns the address in the form of DAYBOOK_SMTP_URL.
func (s *Server) URL() string { return "smtp://" + s.Addr() + "?tls=none" }

// Messages returns the messages to an address, or all when it is empty, newest
// first. Addresses are compared without regard to ASCII case.
func (s *Server) Messages(to string) ([]Message, error) { return s.mailbox.messages(to) }

// Clear removes all messages.
func (s *Server) Clear() error { return s.mailbox.clear() }

// Changed returns a channel that is closed at the next change of the mailbox.
// Take it first and look at Messages after, so that no change is missed.
func (s *Server) Changed() <-chan struct{} { return s.mailbox.changes.next() }

// Stop closes all connections and waits until the messages that are being stored
// are on disk; their senders may not get an answer and may send them again. ctx is
// not needed for that, a store is short. It may be called repeatedly.
func (s *Server) Stop(context.Context) error {
	s.stop.Do(func() {
		s.stopped = errors.Join(s.server.Close(), <-s.served)
		s.mailbox.close()
	})
	if s.stopped != nil {
		return fmt.Errorf("stop the mail catcher: %w", s.stopped)
	}
	return nil
}

// protocolLog keeps the library's messages, which name clients, from a log; what
// it reports is a connection that broke.
type protocolLog struct{ logger *slog.Logger }

func (l protocolLog) Printf(string, ...any) { l.logger.Debug("mail conversation broke") }
func (l protocolLog) Println(...any)        { l.logger.Debug("mail conversation broke") }
