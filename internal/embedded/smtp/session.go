package smtp

import (
	"fmt"
	"io"

	gosmtp "github.com/emersion/go-smtp"
)

// envelope is what a client said in MAIL and RCPT. The recipients of a blind copy
// are nowhere else.
type envelope struct {
	From string   `json:"from"`
	To   []string `json:"to"`
}

// session is one client's conversation; the library calls it from one goroutine
// at a time.
type session struct {
	server   *Server
	conn     *gosmtp.Conn
	envelope envelope
}

func (s *Server) newSession(conn *gosmtp.Conn) (gosmtp.Session, error) {
	return &session{server: s, conn: conn}, nil
}

// Reset forgets the message that was begun.
func (s *session) Reset() { s.envelope = envelope{} }

// Logout has nothing to release.
func (s *session) Logout() error { return nil }

// Mail begins a message.
func (s *session) Mail(from string, _ *gosmtp.MailOptions) error {
	s.envelope = envelope{From: from}
	return nil
}

// Rcpt adds a recipient; every address is accepted.
func (s *session) Rcpt(to string, _ *gosmtp.RcptOptions) error {
	s.envelope.To = append(s.envelope.To, to)
	return nil
}

// Data stores the message, or does what a test asked for.
func (s *session) Data(r io.Reader) error {
	content, err := io.ReadAll(r)
	if err != nil {
		return err // the library's own answer, such as 552 for too long a message
	}
	fault := s.server.faults.take()
	if fault.refuse != 0 {
		return &gosmtp.SMTPError{
			Code: fault.refuse, EnhancedCode: gosmtp.EnhancedCode{fault.refuse / 100, 0, 0},
			Message: "Refused at the wish of a test",
		}
	}
	if err := s.server.mailbox.store(s.envelope, content); err != nil {
		s.server.logger.Error("mail not stored", "error", err)
		return &gosmtp.SMTPError{Code: 451, EnhancedCode: gosmtp.EnhancedCode{4, 3, 0}, Message: "The message could not be stored"}
	}
	if fault.loseAnswer {
		if err := s.conn.Close(); err != nil {
			return fmt.Errorf("lose the answer: %w", err)
		}
	}
	return nil
}
