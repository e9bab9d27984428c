package email

import (
	"context"
	"errors"
	"fmt"
	netmail "net/mail"
	"slices"
	"strings"
	"time"

	"github.com/wneessen/go-mail"

	"daybook/domain"
)

// errRecipient says that the stored address is not one plain address. It is
// checked when it was typed and here again, where it would do harm.
var errRecipient = errors.New("the recipient is not one plain address")

// replyError is a refusal by the relay. What else the relay said is left out:
// relays like to quote the recipient.
type replyError struct {
	code     int    // RFC 5321, section 4.2
	enhanced string // RFC 3463; may be empty
	during   string
	final    bool // the same message will never be taken
}

func (e *replyError) Error() string {
	reply := strings.TrimSpace(fmt.Sprintf("%d %s", e.code, e.enhanced))
	return fmt.Sprintf("the relay answered %s while %s", reply, e.during)
}

// send returns nil when the relay has taken the mail. Its errors name no
// address; a *replyError or errRecipient may be final, any other is not.
func (s *sender) send(ctx context.Context, l letter) error {
	if parsed, err := domain.ParseEmail(l.to); err != nil || parsed.Spelling != l.to {
		return errRecipient
	}
	ctx, cancel := context.WithTimeout(ctx, s.Timeout)
	defer cancel()
	c, err := s.conversation(ctx)
	if err != nil {
		return err
	}
	// The library knows no context while it sends.
	stop := context.AfterFunc(ctx, func() { _ = c.conn.Close() })
	defer stop()
	message, err := s.message(c, l)
	if err != nil {
		c.abandon()
		return err
	}
	err = c.client.SendWithSMTPClient(c.smtp, message)
	if message.IsDelivered() {
		s.keep(c)
		return nil
	}
	c.abandon()
	return explain(ctx, err)
}

// message writes the letter as the library wants it.
func (s *sender) message(c *conversation, l letter) (*mail.Msg, error) {
	to := l.to
	if utf8, _ := c.smtp.Extension("SMTPUTF8"); !utf8 {
		to = asciiDomain(to)
	}
	m := mail.NewMsg(mail.WithNoDefaultUserAgent())
	m.FromMailAddress(s.from)
	m.ToMailAddress(&netmail.Address{Address: to})
	m.Subject(l.subject)
	m.SetMessageIDWithValue(l.id)
	m.SetDateWithValue(time.Now().UTC())
	m.SetGenHeader("Auto-Submitted", "auto-generated") // RFC 3834
	m.SetBodyString(mail.TypeTextPlain, l.text)
	m.AddAlternativeString(mail.TypeTextHTML, l.html)
	recipients, err := m.GetRecipients()
	if err != nil || !slices.Equal(recipients, []string{"<" + to + ">"}) {
		return nil, errRecipient
	}
	return m, nil
}

// asciiDomain writes the domain of an address in A-labels, for relays that know
// no other (RFC 5891). The local part stays as it was typed.
func asciiDomain(address string) string {
	parsed, err := domain.ParseEmail(address)
	if err != nil || strings.IndexFunc(address, func(r rune) bool { return r > 127 }) < 0 {
		return address
	}
	local, _, _ := strings.Cut(address, "@")
	_, host, _ := strings.Cut(parsed.Canonical, "@")
	return local + "@" + host
}
