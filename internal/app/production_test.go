package app_test

import (
	"strings"
	"testing"
	"time"

	"daybook/internal/app"
)

// TestEachProductionRule breaks one rule at a time: the refusal names the setting, and
// its exception, and no other, lifts it.
func TestEachProductionRule(t *testing.T) {
	whole := app.Settings{
		Env: "production", HTTPAddr: "127.0.0.1:8080", PublicURL: "https://accounts.example.com", FrontendURL: "https://www.example.com",
		EventStoreURL: "esdb://store:2113", DatabaseURL: "postgres://db/daybook", S3URL: "https://k:s@s3/daybook", SMTPURL: "smtp://relay:587",
		MasterKeys: "m:x", TokenKeys: "t:x", AddressKeys: "a:x",
		ResetLifetime: time.Minute, ActivationLifetime: time.Hour, SessionLifetime: time.Hour, SignInWindow: time.Minute, AddressLifetime: time.Hour, SignInTries: 10, MailsPerHour: 6, PasswordMinLength: 8,
	}
	if err := whole.Check(); err != nil {
		t.Fatalf("nothing is missing: %v", err)
	}
	for name, rule := range map[string]struct {
		breaks             func(*app.Settings)
		setting, exception string
	}{
		"event store": {func(s *app.Settings) { s.EventStoreURL = "" }, "DAYBOOK_EVENTSTORE_URL", "embedded-eventstore"},
		"database":    {func(s *app.Settings) { s.DatabaseURL = "" }, "DAYBOOK_DATABASE_URL", "embedded-postgres"},
		"objects":     {func(s *app.Settings) { s.S3URL = "" }, "DAYBOOK_S3_URL", "embedded-s3"},
		"Kafka":       {func(s *app.Settings) { s.KafkaURL = "embedded" }, "DAYBOOK_KAFKA_URL", "embedded-kafka"},
		"mail":        {func(s *app.Settings) { s.SMTPURL = "" }, "DAYBOOK_SMTP_URL", "mailbox"},
		"public URL":  {func(s *app.Settings) { s.PublicURL = "http://accounts.example.com" }, "DAYBOOK_PUBLIC_URL", "http-url"},
		"frontend":    {func(s *app.Settings) { s.FrontendURL = "http://www.example.com" }, "DAYBOOK_FRONTEND_URL", "http-url"},
		"media":       {func(s *app.Settings) { s.MediaURL = "http://media.example.com" }, "DAYBOOK_MEDIA_URL", "http-url"},
		"origins":     {func(s *app.Settings) { s.TrustedOrigins = []string{"https://a.example.com", "http://b.example.com"} }, "DAYBOOK_TRUSTED_ORIGINS", "http-url"},
		"master keys": {func(s *app.Settings) { s.MasterKeys = "" }, "DAYBOOK_MASTER_KEYS", "generated-keys"},
		"token keys":  {func(s *app.Settings) { s.TokenKeys = "" }, "DAYBOOK_TOKEN_KEYS", "generated-keys"},
		"addresses":   {func(s *app.Settings) { s.AddressKeys = "" }, "DAYBOOK_ADDRESS_KEYS", "generated-keys"},
	} {
		broken := whole
		rule.breaks(&broken)
		reachable := broken
		reachable.Env, reachable.HTTPAddr = "development", "0.0.0.0:8080" // reachable from elsewhere: the same rules
		for _, s := range []app.Settings{broken, reachable} {
			if err := s.Check(); err == nil || !strings.Contains(err.Error(), rule.setting) || !strings.Contains(err.Error(), rule.exception) {
				t.Errorf("%s: %v", name, err)
			}
			s.Allow = []string{rule.exception}
			if err := s.Check(); err != nil {
				t.Errorf("%s, allowed: %v", name, err)
			}
		}
	}
}
