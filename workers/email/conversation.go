package email

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/textproto"
	"slices"
	"sync"
	"time"

	"github.com/wneessen/go-mail"
	"github.com/wneessen/go-mail/smtp"
)

const (
	// idleFor is how long a conversation waits for the next mail of a burst.
	idleFor = 10 * time.Second
	// farewell is how long the relay may take to answer QUIT.
	farewell = 2 * time.Second
)

// sender talks to the relay. Conversations are kept for the mails of a burst.
type sender struct {
	settings

	mu   sync.Mutex
	idle []*conversation
}

// conversation is a connection over which mails may be sent, one at a time.
type conversation struct {
	client *mail.Client
	smtp   *smtp.Client
	conn   net.Conn
	expiry *time.Timer
}

// conversation returns a kept one that the relay still answers on, or a new one.
func (s *sender) conversation(ctx context.Context) (*conversation, error) {
	for c := s.take(); c != nil; c = s.take() {
		stop := context.AfterFunc(ctx, func() { _ = c.conn.Close() })
		err := errors.Join(c.smtp.UpdateDeadline(s.Timeout), c.smtp.Noop())
		stop()
		if err == nil {
			return c, nil
		}
		c.abandon()
	}
	return s.dial(ctx)
}

// dial connects and signs in. A certificate that is not the relay's is an error.
func (s *sender) dial(ctx context.Context) (*conversation, error) {
	c, stop := &conversation{}, func() bool { return true }
	connect := func(dialCtx context.Context, network, address string) (net.Conn, error) {
		conn, err := s.connect(dialCtx, network, address)
		if err == nil {
			c.conn = conn
			stop = context.AfterFunc(ctx, func() { _ = conn.Close() })
		}
		return conn, err
	}
	var err error
	if c.client, err = mail.NewClient(s.relay.host, s.options(connect)...); err != nil {
		return nil, fmt.Errorf("prepare a conversation with the relay: %w", err)
	}
	c.smtp, err = c.client.DialToSMTPClientWithContext(ctx)
	stop()
	if err != nil {
		c.abandon()
		return nil, explain(ctx, err)
	}
	return c, nil
}

func (s *sender) options(connect mail.DialContextFunc) []mail.Option {
	options := []mail.Option{
		mail.WithPort(s.relay.port), mail.WithHELO(s.name), mail.WithTimeout(s.Timeout),
		mail.WithDialContextFunc(connect), mail.WithoutNoop(), mail.WithoutRset(), mail.WithTLSPolicy(mail.NoTLS),
	}
	if s.relay.security == startTLS {
		options = append(options, mail.WithTLSPolicy(mail.TLSMandatory))
	}
	if s.relay.user != "" {
		options = append(options, mail.WithUsername(s.relay.user), mail.WithPassword(s.relay.password),
			mail.WithOpportunisticSMTPAuth(mail.SMTPAuthSCRAMSHA256, mail.SMTPAuthSCRAMSHA1, mail.SMTPAuthPlain, mail.SMTPAuthLogin))
	}
	return options
}

func (s *sender) connect(ctx context.Context, network, address string) (net.Conn, error) {
	if s.relay.security == implicitTLS {
		dialer := tls.Dialer{Config: &tls.Config{ServerName: s.relay.host, MinVersion: tls.VersionTLS12}}
		return dialer.DialContext(ctx, network, address)
	}
	return new(net.Dialer).DialContext(ctx, network, address)
}

// keep puts a conversation aside for the next mail.
func (s *sender) keep(c *conversation) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.idle = append(s.idle, c)
	c.expiry = time.AfterFunc(idleFor, func() { s.retire(c) })
}

// take returns the conversation that was used last, or nil.
func (s *sender) take() *conversation {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.idle) == 0 {
		return nil
	}
	c := s.idle[len(s.idle)-1]
	s.idle = s.idle[:len(s.idle)-1]
	c.expiry.Stop()
	return c
}

// retire ends a conversation unless it has been taken in between.
func (s *sender) retire(c *conversation) {
	s.mu.Lock()
	i := slices.Index(s.idle, c)
	if i >= 0 {
		s.idle = slices.Delete(s.idle, i, i+1)
	}
	s.mu.Unlock()
	if i >= 0 {
		c.end()
	}
}

// close ends the kept conversations.
func (s *sender) close() {
	for c := s.take(); c != nil; c = s.take() {
		c.end()
	}
}

// end says goodbye; whether the relay answers does not matter.
func (c *conversation) end() {
	if c.smtp.UpdateDeadline(farewell) == nil {
		_ = c.smtp.Quit()
	}
	c.abandon()
}

// abandon closes the connection; the library leaves it open when it fails.
func (c *conversation) abandon() {
	if c.conn != nil {
		_ = c.conn.Close()
	}
}

// explain turns an error of the library into one that names no address.
func explain(ctx context.Context, err error) error {
	if cause := context.Cause(ctx); cause != nil {
		return fmt.Errorf("the relay took too long: %w", cause)
	}
	if failure, ok := errors.AsType[*mail.SendError](err); ok {
		if failure.ErrorCode() == 0 {
			return fmt.Errorf("the conversation with the relay broke while %s", failure.Reason)
		}
		return &replyError{failure.ErrorCode(), failure.EnhancedStatusCode(), failure.Reason.String(), final(failure.ErrorCode())}
	}
	if reply, ok := errors.AsType[*textproto.Error](err); ok {
		return &replyError{code: reply.Code, during: "connecting"}
	}
	return fmt.Errorf("connect to the relay: %w", err)
}

// final reports whether the reply to a message is about the message: 5xx, but
// not the demand to sign in first (RFC 4954, section 6), which a person settles.
func final(code int) bool {
	return code >= 500 && !slices.Contains([]int{530, 534, 535, 538}, code)
}
