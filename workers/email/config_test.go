package email

import (
	"strings"
	"testing"
)

func TestRelaySetting(t *testing.T) {
	accepted := map[string]relay{
		"smtp://relay.example":                            {host: "relay.example", port: 587, security: startTLS},
		"smtp://relay.example?tls=implicit":               {host: "relay.example", port: 465, security: implicitTLS},
		"smtp://127.0.0.1:1025/?tls=none":                 {host: "127.0.0.1", port: 1025, security: noTLS},
		"smtp://[::1]?tls=none":                           {host: "::1", port: 25, security: noTLS},
		"smtp://me%40x.example:p%40ss@relay.example:2525": {"relay.example", 2525, startTLS, "me@x.example", "p@ss"},
	}
	for setting, want := range accepted {
		if got, err := parseRelay(setting); err != nil || got != want {
			t.Errorf("%s is %+v, %v; want %+v", setting, got, err, want)
		}
	}
	for _, setting := range []string{
		"", "relay.example", "https://u:s3cret@relay.example", "smtp://", "smtp://u:s3cret@relay.example:0", "smtp://u:s3cret@relay.example:x",
		"smtp://u:s3cret@relay.example?tls=maybe", "smtp://u:s3cret@relay.example?tls=none", "smtp://u@relay.example", "smtp://:s3cret@relay.example",
		"smtp://u:s3cret@relay.example?tls=none&tls=starttls", "smtp://u:1?s3cret@relay.example", "smtp://u:s3cret@relay.example/x",
		"smtp://u:s3cret@relay.example#x", "smtp://u:%s3cret@relay.example", "smtp://u:s3cret@relay.example?s3cret=1",
	} {
		_, err := parseRelay(setting)
		if err == nil || !strings.Contains(err.Error(), "DAYBOOK_SMTP_URL") || strings.Contains(err.Error(), "s3cret") || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %v", setting, err)
		}
	}
}

func TestConfig(t *testing.T) {
	valid := Config{PublicURL: "http://localhost:8080/", SMTPURL: "smtp://127.0.0.1:25?tls=none"}
	got, err := valid.understand()
	if err != nil || got.PublicURL != "http://localhost:8080" || got.host != "localhost:8080" || got.name != "localhost" || got.from.Address != "no-reply@localhost" {
		t.Errorf("%+v, %v", got, err)
	}
	for setting, change := range map[string]func(*Config){
		"DAYBOOK_PUBLIC_URL": func(c *Config) { c.PublicURL = "/relative" },
		"DAYBOOK_MAIL_FROM":  func(c *Config) { c.MailFrom = "a@b.example, c@d.example" },
		"DAYBOOK_SMTP_URL":   func(c *Config) { c.SMTPURL = "" },
	} {
		config := valid
		change(&config)
		if _, err := New(config, nil, nil, nil); err == nil || !strings.Contains(err.Error(), setting) {
			t.Errorf("%s: %v", setting, err)
		}
	}
	config := valid
	config.MailFrom = "a@b.example\r\nBcc: c@d.example"
	if _, err := New(config, nil, nil, nil); err == nil {
		t.Error("a sender with a line break was accepted")
	}
}
