package commands

import (
	"cmp"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"log/slog"
	"time"

	"github.com/google/uuid"

	"daybook/domain"
)

// Config holds the rules that an operator may set.
type Config struct {
	ResetLifetime      time.Duration // of a reset link; defaults to 10 minutes
	ActivationLifetime time.Duration // of an activation link; defaults to 24 hours
	// AddressChangeLifetime is of the link to a new address; defaults to 1 hour.
	AddressChangeLifetime time.Duration
	// MailsPerHour caps the mails with a link that one account may be asked for;
	// those to new addresses are counted apart.
	MailsPerHour domain.MailCap
	Passwords    domain.PasswordPolicy
	// IDKey keys the derivation of ids, so that a client's Idempotency-Key does
	// not let it choose them. 32 bytes.
	IDKey []byte
	// Producer names this build in every event.
	Producer string
}

const (
	defaultResetLifetime      = 10 * time.Minute
	defaultActivationLifetime = 24 * time.Hour
	defaultAddressLifetime    = time.Hour
)

// resetEnds is when the link of a reset that is asked for now ends.
func (h *Handler) resetEnds() time.Time {
	return domain.Micro(h.Now().Add(cmp.Or(h.Config.ResetLifetime, defaultResetLifetime)))
}

// activationEnds is when the link of an activation that is asked for now ends.
func (h *Handler) activationEnds() time.Time {
	return domain.Micro(h.Now().Add(cmp.Or(h.Config.ActivationLifetime, defaultActivationLifetime)))
}

// addressChangeEnds is when the link of a change that is asked for now ends.
func (h *Handler) addressChangeEnds() time.Time {
	return domain.Micro(h.Now().Add(cmp.Or(h.Config.AddressChangeLifetime, defaultAddressLifetime)))
}

// Handler runs the commands. Its fields are set once, before the first command.
type Handler struct {
	Store       Store
	Credentials Credentials
	Passwords   Passwords
	Tokens      Tokens
	Sessions    Sessions
	Objects     Objects // nil leaves the pictures of erased accounts to housekeeping
	Vault       Vault   // for erasing only
	Notices     Notices
	Config      Config
	Now         func() time.Time
	Logger      *slog.Logger
	// Observe, when set, is told when a command begins; account is uuid.Nil
	// while it is not known. The command runs with the returned context, and
	// end is called once with what it failed of.
	Observe func(ctx context.Context, c Caller, command string, account uuid.UUID) (_ context.Context, end func(error))
}

// observe begins a command.
func (h *Handler) observe(ctx context.Context, c Caller, command string, account uuid.UUID) (context.Context, func(error)) {
	if h.Observe == nil {
		return ctx, func(error) {}
	}
	return h.Observe(ctx, c, command, account)
}

// Caller says on whose behalf and within what a command runs.
type Caller struct {
	// CommandID identifies the command; the same id is the same command, run
	// at most once.
	CommandID     uuid.UUID
	Actor         string // see domain.AccountActor
	Session       string // public id, empty when nobody is signed in
	RequestID     string
	Traceparent   string
	ClientAddress string
	UserAgent     string
}

// Result is the account after a command.
type Result struct {
	Account domain.Account
}

func (h *Handler) metadata(c Caller, command string) domain.Metadata {
	return domain.Metadata{
		Command: command, CommandID: c.CommandID,
		CorrelationID: correlation(c), CausationID: c.CommandID.String(),
		Actor: c.Actor, Session: c.Session, RequestID: c.RequestID, Traceparent: c.Traceparent,
		OccurredAt: domain.Micro(h.Now()), Producer: h.Config.Producer,
	}
}

func correlation(c Caller) string {
	if c.RequestID != "" {
		return c.RequestID
	}
	return c.CommandID.String()
}

// derive makes an id that belongs to the command: a repeated command finds what
// its first run has left.
func (h *Handler) derive(c Caller, what string, attempt int) uuid.UUID {
	return uuid.UUID(version4(h.keyed(c, what, attempt)[:16]))
}

// thumbnailKey names an object that is never reused: 128 keyed bits.
func (h *Handler) thumbnailKey(c Caller) string {
	return "thumbnails/" + base64.RawURLEncoding.EncodeToString(h.keyed(c, "thumbnail", 0)[:16])
}

func (h *Handler) keyed(c Caller, what string, attempt int) []byte {
	mac := hmac.New(sha256.New, h.Config.IDKey)
	_, _ = fmt.Fprintf(mac, "%s\n%s\n%d", c.CommandID, what, attempt)
	return mac.Sum(nil)
}

func version4(b []byte) []byte {
	b[6] = b[6]&0x0f | 0x40
	b[8] = b[8]&0x3f | 0x80
	return b
}
