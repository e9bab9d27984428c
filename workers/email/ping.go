package email

import (
	"context"
	"fmt"
	"net"
	"net/textproto"
	"strconv"
)

// Ping returns nil if the relay greets a new connection (RFC 5321, 3.1). It does
// not sign in.
func (m *Mailer) Ping(ctx context.Context) error {
	relay := m.relay
	conn, err := m.sender.connect(ctx, "tcp", net.JoinHostPort(relay.host, strconv.Itoa(relay.port)))
	if err != nil {
		return fmt.Errorf("connect to the relay: %w", err)
	}
	stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
	defer stop()
	text := textproto.NewConn(conn)
	defer func() { _ = text.Close() }()
	if _, _, err := text.ReadResponse(220); err != nil {
		return fmt.Errorf("wait for the relay's greeting: %w", err)
	}
	_, _ = text.Cmd("QUIT") // politeness
	return nil
}
