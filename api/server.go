package api

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"time"

	"github.com/google/uuid"

	"daybook/api/pages"
	"daybook/commands"
	"daybook/domain"
	"daybook/internal/export"
	"daybook/internal/idempotency"
	"daybook/internal/session"
	"daybook/internal/telemetry"
	"daybook/internal/throttle"
	"daybook/internal/thumbnail"
	"daybook/projections"
)

// Contracts: what anonymous callers are told about who has an account.
const (
	ContractHardened = "hardened" // nothing
	ContractSeed     = "seed"     // what the seed told them
)

// Config holds what an operator sets. The URLs come from here and never from a
// request.
type Config struct {
	// PublicURL is the base of our own links, such as https://id.example.org.
	PublicURL string
	// FrontendURL is where links lead that need a page; empty for the built-in
	// pages. Its origin is trusted.
	FrontendURL string
	// MediaURL is the base of thumbnail URLs; defaults to PublicURL/media.
	MediaURL string
	// TrustedOrigins may call across origins, besides FrontendURL.
	TrustedOrigins []string
	// TrustedProxies are the networks whose X-Forwarded-For is believed.
	TrustedProxies []netip.Prefix
	// Contract is ContractHardened (the default) or ContractSeed.
	Contract string
	// SessionLifetime is the Max-Age of the session cookie; defaults to 14 days.
	SessionLifetime time.Duration
	// SecurityContacts are URIs at which faults are reported, the preferred one
	// first; none for no /.well-known/security.txt.
	SecurityContacts []string
	// Limits hold as far as Server.Throttles counts them.
	Limits Limits
}

// WithDefaults returns a copy with defaults filled in and URLs without their
// closing slash.
func (c Config) WithDefaults() Config {
	c.PublicURL = strings.TrimRight(c.PublicURL, "/")
	c.FrontendURL = strings.TrimRight(c.FrontendURL, "/")
	c.MediaURL = strings.TrimRight(c.MediaURL, "/")
	if c.MediaURL == "" {
		c.MediaURL = c.PublicURL + "/media"
	}
	if c.Contract == "" {
		c.Contract = ContractHardened
	}
	if c.SessionLifetime == 0 {
		c.SessionLifetime = 14 * 24 * time.Hour
	}
	return c
}

// Validate names the first setting that cannot work.
func (c Config) Validate() error {
	c = c.WithDefaults()
	if c.Contract != ContractHardened && c.Contract != ContractSeed {
		return fmt.Errorf("contract: %q is neither %q nor %q", c.Contract, ContractHardened, ContractSeed)
	}
	if _, err := originOf(c.PublicURL); err != nil {
		return fmt.Errorf("public URL: %w", err)
	}
	if _, err := originOf(c.MediaURL); err != nil {
		return fmt.Errorf("media URL: %w", err)
	}
	if err := checkContacts(c.SecurityContacts); err != nil {
		return err
	}
	for _, origin := range c.foreignOrigins() {
		if _, err := originOf(origin); err != nil {
			return fmt.Errorf("frontend URL or trusted origin: %w", err)
		}
	}
	return nil
}

// foreignOrigins lists the URLs whose origins may call across origins.
func (c Config) foreignOrigins() []string {
	if c.FrontendURL == "" {
		return c.TrustedOrigins
	}
	return append([]string{c.FrontendURL}, c.TrustedOrigins...)
}

// frontend is the base of the pages that people see.
func (c Config) frontend() string {
	if c.FrontendURL != "" {
		return c.FrontendURL
	}
	return c.PublicURL
}

// originOf returns the origin of an absolute http or https URL (RFC 6454).
func originOf(raw string) (string, error) {
	u, err := url.Parse(raw)
	if err != nil {
		return "", err
	}
	if u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.User != nil || strings.Contains(u.Host, "*") {
		return "", fmt.Errorf("%q is no absolute http or https URL", raw)
	}
	return strings.ToLower(u.Scheme + "://" + u.Host), nil
}

// Readiness reports whether requests can be served, and in report, a value for
// JSON, which part of the service is how.
type Readiness func(ctx context.Context) (report any, ready bool)

// Server serves the whole HTTP interface. Its fields are set once, before
// Handler.
type Server struct {
	Commands    *commands.Handler
	Sessions    *session.Store
	Accounts    *projections.Queries
	Idempotency *idempotency.Store
	Thumbnails  *thumbnail.Processor
	// Throttles counts what Config.Limits bounds; nil for no limits.
	Throttles *throttle.Store
	// Media reads a thumbnail; an absent one is a *domain.Error of KindNotFound.
	Media func(ctx context.Context, key string) (body []byte, contentType string, err error)
	// History returns the events of an account, for the profile as it was.
	History func(ctx context.Context, account uuid.UUID) ([]domain.Recorded, error)
	// Export hands out what is held of a person; nil for no such path.
	Export *export.Exporter
	// Mailbox shows what the embedded mail catcher caught; nil for none.
	Mailbox http.Handler
	// Audit serves /audit/events; nil for no such path.
	Audit *Audit
	// Telemetry observes every request; nil for none.
	Telemetry *telemetry.Requests
	// Ready answers /readyz; nil for no such path.
	Ready Readiness
	// Series is the content of /users/series/; defaults to DefaultSeries.
	Series []Series
	Config Config
	Logger *slog.Logger

	pages       *pages.Pages
	origins     origins
	description json.RawMessage
}

// Handler returns the service. It panics when Config does not validate, which
// is for the caller to have asked.
func (s *Server) Handler() http.Handler {
	if err := s.Config.Validate(); err != nil {
		panic("api: " + err.Error())
	}
	served := *s
	served.Config = s.Config.WithDefaults()
	served.origins = newOrigins(served.Config)
	served.pages = pages.New()
	served.description = Description()
	if served.Logger == nil {
		served.Logger = slog.New(slog.DiscardHandler)
	}
	if len(served.Series) == 0 {
		served.Series = DefaultSeries()
	}
	return served.surround(served.router())
}
