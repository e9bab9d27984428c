package app

import (
	"cmp"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"net/url"
	"os"
	"reflect"
	"slices"
	"strings"
	"time"

	"daybook/domain"
)

// Settings are what an operator may set: environment variables, and flags of the
// same meaning. Each has a default that is right for a laptop.
type Settings struct {
	Env   string   `env:"DAYBOOK_ENV" default:"development" enum:"development,production" help:"production applies the production rules: no embedded backend, generated key, http URL or mailbox unless allowed."`
	Allow []string `env:"DAYBOOK_ALLOW" help:"Exceptions to the production rules: mailbox, embedded-eventstore, embedded-postgres, embedded-s3, embedded-kafka, http-url, generated-keys."`

	HTTPAddr    string `env:"DAYBOOK_HTTP_ADDR" default:"127.0.0.1:8080" help:"Listen address of the API."`
	MetricsAddr string `env:"DAYBOOK_METRICS_ADDR" default:"127.0.0.1:9090" help:"Listen address of /metrics; off for none."`

	PublicURL      string   `env:"DAYBOOK_PUBLIC_URL" help:"Base of links in mail, never taken from a request. Empty: http://localhost and the port of DAYBOOK_HTTP_ADDR."`
	FrontendURL    string   `env:"DAYBOOK_FRONTEND_URL" help:"Where mail links redirect to; also a trusted origin. Empty: the built-in pages."`
	TrustedOrigins []string `env:"DAYBOOK_TRUSTED_ORIGINS" help:"More origins that may call."`
	TrustedProxies []string `env:"DAYBOOK_TRUSTED_PROXIES" help:"Networks whose forwarded client address is believed, such as 10.0.0.0/8."`
	Contacts       []string `name:"security-contact" env:"DAYBOOK_SECURITY_CONTACT" help:"Where faults of security are reported, such as mailto:security@example.com: shown at /.well-known/security.txt. Empty: no such page."`
	MediaURL       string   `env:"DAYBOOK_MEDIA_URL" help:"Base of thumbnail URLs. Empty: PUBLIC_URL/media."`

	DataDir       string `env:"DAYBOOK_DATA_DIR" default:"./.daybook" help:"Where embedded backends keep their data."`
	EventStoreURL string `name:"eventstore-url" env:"DAYBOOK_EVENTSTORE_URL" help:"esdb://… of an EventStoreDB. Empty: the embedded node."`
	Namespace     string `env:"DAYBOOK_NAMESPACE" help:"Prefix of streams, topic and checkpoints on a shared server."`
	DatabaseURL   string `env:"DAYBOOK_DATABASE_URL" help:"postgres://… of a database. Empty: a private cluster."`
	VaultURL      string `env:"DAYBOOK_VAULT_URL" help:"postgres://… of a database of its own for keys and credentials. Empty: the database."`
	S3URL         string `name:"s3-url" env:"DAYBOOK_S3_URL" help:"https://KEY:SECRET@host/bucket?region=… Empty: embedded S3 on disk."`
	SMTPURL       string `name:"smtp-url" env:"DAYBOOK_SMTP_URL" help:"smtp://user:pass@host:587?tls=starttls. Empty: a catcher, shown at /dev/mailbox/."`
	MailFrom      string `env:"DAYBOOK_MAIL_FROM" help:"Sender of all mail. Empty: no-reply at the host of the public URL."`
	KafkaURL      string `env:"DAYBOOK_KAFKA_URL" help:"kafka://h1:9092,h2:9092?tls=…&sasl=…; embedded; empty: no relay."`

	MasterKeys  string `env:"DAYBOOK_MASTER_KEYS" help:"id:base64,… that wrap the data keys; the first is wanted as current, see docs/security.md. Also as DAYBOOK_MASTER_KEYS_FILE, which is read again while it runs. Empty: made once, kept in the data dir."`
	TokenKeys   string `env:"DAYBOOK_TOKEN_KEYS" help:"id:base64,… that make the tokens of mailed links."`
	AddressKeys string `env:"DAYBOOK_ADDRESS_KEYS" help:"id:base64,… that hash mail addresses in stream names."`

	Contract           string        `env:"DAYBOOK_CONTRACT" default:"hardened" enum:"hardened,seed" help:"hardened tells nobody who has an account; seed answers as the seed's system does."`
	ResetLifetime      time.Duration `env:"DAYBOOK_RESET_LIFETIME" default:"10m" help:"Life of a reset link."`
	ActivationLifetime time.Duration `env:"DAYBOOK_ACTIVATION_LIFETIME" default:"24h" help:"Life of an activation link."`
	AddressLifetime    time.Duration `name:"address-change-lifetime" env:"DAYBOOK_ADDRESS_CHANGE_LIFETIME" default:"1h" help:"Life of a link to a new address. Whoever reads the mail of an address that was typed wrongly could use it."`
	SessionLifetime    time.Duration `env:"DAYBOOK_SESSION_LIFETIME" default:"336h" help:"Life of a session."`
	SessionIdle        time.Duration `name:"session-idle-lifetime" env:"DAYBOOK_SESSION_IDLE_LIFETIME" default:"0s" help:"How long a session may go unused before it ends, at least 5m and exact to a minute; 0s for no such end."`
	NewDeviceMail      bool          `env:"DAYBOOK_NEW_DEVICE_MAIL" default:"true" negatable:"" help:"Tell people by mail of sign-ins from a device or network that is new to their account."`
	PasswordMinLength  int           `env:"DAYBOOK_PASSWORD_MIN_LENGTH" default:"8" help:"Least number of characters of a password."`
	SignInTries        int           `env:"DAYBOOK_SIGN_IN_TRIES" default:"10" help:"How many sign-ins may fail for one address within the window; then every one is answered as wrong."`
	SignInWindow       time.Duration `env:"DAYBOOK_SIGN_IN_WINDOW" default:"15m" help:"How long failed sign-ins count."`
	SignInSourceTries  int           `name:"sign-in-tries-per-source" env:"DAYBOOK_SIGN_IN_TRIES_PER_SOURCE" default:"500" help:"How many sign-ins one client address may try within the window, over all processes; 0 for any number. Not counted: trusted proxies and the servers of trusted origins, which call for many."`
	SignInTotalTries   int           `name:"sign-ins-per-minute" env:"DAYBOOK_SIGN_INS_PER_MINUTE" default:"6000" help:"How many sign-ins all callers together may try in a minute; 0 for any number."`
	TokenSourceTries   int           `name:"token-tries-per-source" env:"DAYBOOK_TOKEN_TRIES_PER_SOURCE" default:"500" help:"How many mailed links and tokens one client address may try within the window, right or wrong; 0 for any number."`
	TokenTotalTries    int           `name:"token-tries-per-minute" env:"DAYBOOK_TOKEN_TRIES_PER_MINUTE" default:"6000" help:"How many all callers together may try in a minute; 0 for any number."`
	MailSourceTries    int           `name:"mail-requests-per-source" env:"DAYBOOK_MAIL_REQUESTS_PER_SOURCE" default:"500" help:"How often one client address may register or ask for mail within the window; 0 for any number. Beside it, DAYBOOK_MAILS_PER_HOUR holds for each account."`
	MailsPerHour       int           `env:"DAYBOOK_MAILS_PER_HOUR" default:"6" help:"How many mails with a link one account may be asked for in an hour, 1 to 60; those to new addresses are counted apart."`
	MailTotalTries     int           `name:"mail-requests-per-minute" env:"DAYBOOK_MAIL_REQUESTS_PER_MINUTE" default:"6000" help:"How often all callers together may register or ask for mail in a minute; 0 for any number."`
	UploadTries        int           `name:"uploads-per-hour" env:"DAYBOOK_UPLOADS_PER_HOUR" default:"60" help:"How many pictures one account may upload in an hour; 0 for any number."`
	ExportTries        int           `name:"exports-per-hour" env:"DAYBOOK_EXPORTS_PER_HOUR" default:"6" help:"How often one account may export its data in an hour; 0 for any number."`
	SeriesFile         string        `env:"DAYBOOK_SERIES_FILE" help:"JSON file that replaces the article series on the frontend's first page."`
	LogLevel           string        `env:"DAYBOOK_LOG_LEVEL" default:"info" enum:"debug,info,warn,error" help:"Least level that is logged."`

	// KeyFiles are the files that keys were given in, by kind; they are read again
	// while the service runs.
	KeyFiles map[string]string `kong:"-"`
}

// secretSettings may also be given as a file, under the name with _FILE, and are
// never shown.
var secretSettings = []string{
	"DAYBOOK_MASTER_KEYS", "DAYBOOK_TOKEN_KEYS", "DAYBOOK_ADDRESS_KEYS", "DAYBOOK_DATABASE_URL",
	"DAYBOOK_VAULT_URL", "DAYBOOK_EVENTSTORE_URL", "DAYBOOK_S3_URL", "DAYBOOK_SMTP_URL", "DAYBOOK_KAFKA_URL",
}

// LoadSecretFiles puts the contents of NAME_FILE into NAME, for settings that
// orchestrators mount as files. It must run before the settings are read.
func LoadSecretFiles() error {
	for _, name := range secretSettings {
		path := os.Getenv(name + "_FILE")
		if path == "" {
			continue
		}
		if os.Getenv(name) != "" {
			return fmt.Errorf("%s and %s_FILE are both set; set one", name, name)
		}
		content, err := os.ReadFile(path)
		if err != nil {
			return fmt.Errorf("%s_FILE cannot be read: %w", name, err)
		}
		if err := os.Setenv(name, strings.TrimSpace(string(content))); err != nil {
			return err
		}
	}
	return nil
}

// keyFiles are the files that LoadSecretFiles read keys from.
func keyFiles() map[string]string {
	files := map[string]string{}
	for kind, setting := range keySettings {
		files[kind] = os.Getenv(setting + "_FILE")
	}
	return files
}

// Check checks what can be checked without asking anybody, fills in derived
// defaults and applies the production rules.
func (s *Settings) Check() error {
	s.PublicURL = strings.TrimRight(s.PublicURL, "/")
	s.FrontendURL = strings.TrimRight(s.FrontendURL, "/")
	if _, port, err := net.SplitHostPort(s.HTTPAddr); s.PublicURL == "" && err == nil {
		s.PublicURL = "http://localhost:" + port
	}
	if s.MediaURL == "" {
		s.MediaURL = s.PublicURL + "/media"
	}
	// The first that is wrong is told: what is derived from it would be wrong as well.
	return cmp.Or(
		webURL("DAYBOOK_PUBLIC_URL", s.PublicURL),
		webURL("DAYBOOK_FRONTEND_URL", s.FrontendURL),
		webURL("DAYBOOK_MEDIA_URL", s.MediaURL),
		s.checkLists(),
		positive("DAYBOOK_RESET_LIFETIME", s.ResetLifetime),
		positive("DAYBOOK_ACTIVATION_LIFETIME", s.ActivationLifetime),
		positive("DAYBOOK_ADDRESS_CHANGE_LIFETIME", s.AddressLifetime),
		positive("DAYBOOK_SESSION_LIFETIME", s.SessionLifetime),
		s.checkIdle(),
		positive("DAYBOOK_SIGN_IN_WINDOW", s.SignInWindow),
		s.checkNumbers(),
		s.checkKafka(),
		s.checkProduction(),
	)
}

// leastIdle is far above the minute to which the use of a session is noted.
const leastIdle = 5 * time.Minute

func (s *Settings) checkIdle() error {
	if s.SessionIdle != 0 && s.SessionIdle < leastIdle {
		return errors.New("DAYBOOK_SESSION_IDLE_LIFETIME must be at least 5m, or 0s for no such end")
	}
	return nil
}

func (s *Settings) checkNumbers() error {
	for _, tries := range []int{s.SignInSourceTries, s.SignInTotalTries, s.TokenSourceTries, s.TokenTotalTries, s.MailSourceTries, s.MailTotalTries, s.UploadTries, s.ExportTries} {
		if tries < 0 {
			return errors.New("limits such as DAYBOOK_UPLOADS_PER_HOUR must not be negative")
		}
	}
	if s.SignInTries < 1 {
		return errors.New("DAYBOOK_SIGN_IN_TRIES must be at least 1")
	}
	if s.MailsPerHour < 1 || s.MailsPerHour > domain.MaxMailsPerHour {
		return fmt.Errorf("DAYBOOK_MAILS_PER_HOUR must be between 1 and %d", domain.MaxMailsPerHour)
	}
	if s.PasswordMinLength < 8 || s.PasswordMinLength > 64 {
		return errors.New("DAYBOOK_PASSWORD_MIN_LENGTH must be between 8 and 64")
	}
	return nil
}

func (s *Settings) checkLists() error {
	for _, origin := range s.TrustedOrigins {
		if err := webURL("DAYBOOK_TRUSTED_ORIGINS", origin); err != nil {
			return err
		}
	}
	for _, exception := range s.Allow {
		if !slices.Contains(exceptions, exception) {
			return fmt.Errorf("DAYBOOK_ALLOW: %q is none of %s", exception, strings.Join(exceptions, ", "))
		}
	}
	_, err := s.proxies()
	return err
}

// exceptions are those to the production rules that DAYBOOK_ALLOW takes.
var exceptions = []string{"mailbox", "embedded-eventstore", "embedded-postgres", "embedded-s3", "embedded-kafka", "http-url", "generated-keys"}

func (s *Settings) proxies() ([]netip.Prefix, error) {
	var prefixes []netip.Prefix
	for _, network := range s.TrustedProxies {
		prefix, err := netip.ParsePrefix(network)
		if err != nil {
			return nil, fmt.Errorf("DAYBOOK_TRUSTED_PROXIES: %q is not a network such as 10.0.0.0/8", network)
		}
		prefixes = append(prefixes, prefix)
	}
	return prefixes, nil
}

func webURL(setting, value string) error {
	if value == "" {
		return nil
	}
	parsed, err := url.Parse(value)
	if err != nil || parsed.Scheme != "http" && parsed.Scheme != "https" || parsed.Host == "" || parsed.User != nil || parsed.RawQuery != "" || parsed.Fragment != "" {
		return fmt.Errorf("%s must be an http or https URL such as https://accounts.example.com", setting)
	}
	return nil
}

func positive(setting string, d time.Duration) error {
	if d <= 0 {
		return fmt.Errorf("%s must be a positive duration such as 10m", setting)
	}
	return nil
}

// checkProduction applies the production rules, in production and whenever the
// service can be reached from elsewhere.
func (s *Settings) checkProduction() error {
	if s.Env != "production" && loopbackAddr(s.HTTPAddr) && loopbackURL(s.PublicURL) {
		return nil
	}
	rules := []struct {
		broken          bool
		exception, what string
	}{
		{s.EventStoreURL == "", "embedded-eventstore", "DAYBOOK_EVENTSTORE_URL must be set"},
		{s.DatabaseURL == "", "embedded-postgres", "DAYBOOK_DATABASE_URL must be set"},
		{s.S3URL == "", "embedded-s3", "DAYBOOK_S3_URL must be set"},
		{s.KafkaURL == kafkaEmbedded, "embedded-kafka", "DAYBOOK_KAFKA_URL must name brokers or be empty"},
		{s.SMTPURL == "", "mailbox", "DAYBOOK_SMTP_URL must be set"},
		{overHTTP(s.PublicURL), "http-url", "DAYBOOK_PUBLIC_URL must be https"},
		{overHTTP(s.FrontendURL), "http-url", "DAYBOOK_FRONTEND_URL must be https"},
		{overHTTP(s.MediaURL), "http-url", "DAYBOOK_MEDIA_URL must be https"},
		// Whoever is on the way could put a script into such a page, which then calls with the person's cookie.
		{slices.ContainsFunc(s.TrustedOrigins, overHTTP), "http-url", "DAYBOOK_TRUSTED_ORIGINS must be https"},
		{s.MasterKeys == "" || s.TokenKeys == "" || s.AddressKeys == "", "generated-keys", "DAYBOOK_MASTER_KEYS, DAYBOOK_TOKEN_KEYS and DAYBOOK_ADDRESS_KEYS must be set"},
	}
	for _, rule := range rules {
		if rule.broken && !slices.Contains(s.Allow, rule.exception) {
			return fmt.Errorf("%s in production or when the service is reachable from elsewhere (or name %s in DAYBOOK_ALLOW)", rule.what, rule.exception)
		}
	}
	return nil
}

// overHTTP reports whether the URL, if there is one, is not protected on the way.
func overHTTP(value string) bool { return value != "" && !strings.HasPrefix(value, "https://") }

func loopbackAddr(addr string) bool {
	host, _, err := net.SplitHostPort(addr)
	return err == nil && loopbackHost(host)
}

func loopbackURL(value string) bool {
	parsed, err := url.Parse(value)
	return err == nil && loopbackHost(parsed.Hostname())
}

func loopbackHost(host string) bool {
	ip, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && ip.IsLoopback()
}

func (s *Settings) logLevel() slog.Level {
	var level slog.Level
	_ = level.UnmarshalText([]byte(s.LogLevel)) // one of the enum
	return level
}

// Setting is one row of the settings table.
type Setting struct{ Name, Default, Help string }

// SettingsTable lists all settings, for the README and for daybook config.
func SettingsTable() []Setting {
	var table []Setting
	for field := range reflect.TypeFor[Settings]().Fields() {
		if field.Tag.Get("env") == "" {
			continue
		}
		table = append(table, Setting{field.Tag.Get("env"), field.Tag.Get("default"), field.Tag.Get("help")})
	}
	return table
}

// Redacted lists the effective settings by name; secrets show only that they
// are set.
func (s *Settings) Redacted() map[string]string {
	shown := map[string]string{}
	value := reflect.ValueOf(*s)
	for i, row := range SettingsTable() {
		text := fmt.Sprint(value.Field(i).Interface())
		if list, ok := value.Field(i).Interface().([]string); ok {
			text = strings.Join(list, ",") // as it is given
		}
		if slices.Contains(secretSettings, row.Name) && text != "" {
			text = "[set]"
		}
		shown[row.Name] = text
	}
	return shown
}
