package email

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/mail"
	"net/url"
	"strings"
	"time"

	"github.com/google/uuid"

	"daybook/domain"
)

// Config says how mails are made and sent.
type Config struct {
	// PublicURL is the base of links (DAYBOOK_PUBLIC_URL). It is never taken
	// from a request: that would let a stranger choose where the link leads.
	PublicURL string
	// MailFrom is the sender (DAYBOOK_MAIL_FROM), with or without a display
	// name. Default: Daybook <no-reply@…> at the host of PublicURL.
	MailFrom string
	// SMTPURL is the relay (DAYBOOK_SMTP_URL):
	// smtp://user:password@host:587?tls=starttls, or tls=implicit, tls=none.
	SMTPURL string
	// MaxWorkers is how many mails are sent at the same time. Default: 4.
	MaxWorkers int
	// Timeout is how long the relay may keep one mail waiting, from connecting
	// to its last answer. Default: 45 s. It also decides when a mail is taken up
	// again that was being sent when a process was killed.
	Timeout time.Duration
	// FirstPause is before the second try; later pauses are longer, up to a
	// tenth of the mail's life and 15 minutes. Default: 2 s.
	FirstPause time.Duration
	// Access returns the event at a revision of the account's access stream, opened.
	// It is asked for mails about new devices only.
	Access func(ctx context.Context, account uuid.UUID, revision int64) (domain.Recorded, error)
	// Claim returns the claim of an address. It is asked for links to new addresses
	// only, which are not mailed to addresses that another account has.
	Claim func(ctx context.Context, stream string) (domain.Claim, error)
	// Logger gets what was sent and what was not, by ids. Default: none.
	Logger *slog.Logger
	// Observe, when set, is told when a try to send a mail begins. The try runs
	// with the returned context, and end is called once with the outcome: sent,
	// skipped, failed (for good) or retried.
	Observe func(ctx context.Context, s Sending) (_ context.Context, end func(outcome string))
}

// Sending is a try to send a mail.
type Sending struct {
	Mail string // kind of mail, such as reset
	// Event asked for the mail; uuid.Nil for a mail of which there is no event.
	Event   uuid.UUID
	Account uuid.UUID
	// Traceparent is that of the event, empty when it has none.
	Traceparent string
}

// settings are a Config that was understood.
type settings struct {
	Config
	host  string // of the public URL, with its port
	name  string // of the public URL, for Message-ID and HELO
	from  *mail.Address
	relay relay
}

// understand fills in defaults. Its errors are one sentence each, naming the
// setting, without a password.
func (c Config) understand() (settings, error) {
	c.MaxWorkers = cmp.Or(c.MaxWorkers, 4)
	c.Timeout = cmp.Or(c.Timeout, 45*time.Second)
	c.FirstPause = cmp.Or(c.FirstPause, 2*time.Second)
	c.Logger = cmp.Or(c.Logger, slog.New(slog.DiscardHandler))
	if c.Observe == nil {
		c.Observe = func(ctx context.Context, _ Sending) (context.Context, func(string)) { return ctx, func(string) {} }
	}
	if c.MaxWorkers < 0 || c.Timeout < 0 || c.FirstPause < 0 {
		return settings{}, errors.New("numbers and times of the mail workers must not be negative")
	}
	public, err := url.Parse(c.PublicURL)
	if err != nil || public.Hostname() == "" || public.Scheme != "http" && public.Scheme != "https" ||
		public.User != nil || public.RawQuery != "" || public.Fragment != "" {
		return settings{}, errors.New("DAYBOOK_PUBLIC_URL must be the http or https URL that links in mails begin with")
	}
	c.PublicURL = strings.TrimRight(c.PublicURL, "/")
	s := settings{Config: c, host: public.Host, name: domainName(public.Hostname())}
	if s.relay, err = parseRelay(c.SMTPURL); err != nil {
		return settings{}, err
	}
	if s.from, err = mail.ParseAddress(cmp.Or(c.MailFrom, "Daybook <no-reply@"+s.name+">")); err != nil {
		return settings{}, errors.New("DAYBOOK_MAIL_FROM must be one address, such as Daybook <no-reply@example.com>")
	}
	return s, nil
}

// domainName writes a host as mail wants it: an IPv6 address is a literal there
// (RFC 5321, section 4.1.3).
func domainName(host string) string {
	if strings.Contains(host, ":") {
		return fmt.Sprintf("[IPv6:%s]", host)
	}
	return host
}
