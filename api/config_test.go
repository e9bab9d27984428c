package api

import (
	"strings"
	"testing"
)

func TestConfig(t *testing.T) {
	t.Parallel()
	right := Config{PublicURL: public, FrontendURL: frontend + "/", TrustedOrigins: []string{"http://localhost:5173"}}
	if err := right.Validate(); err != nil {
		t.Error(err)
	}
	if c := right.WithDefaults(); c.MediaURL != public+"/media" || c.Contract != ContractHardened || c.SessionLifetime.Hours() != 336 || c.FrontendURL != frontend {
		t.Errorf("%+v", c)
	}
	for what, change := range map[string]func(*Config){
		"contract":        func(c *Config) { c.Contract = "Seed" },
		"public URL":      func(c *Config) { c.PublicURL = "id.example.org" },
		"media URL":       func(c *Config) { c.MediaURL = "ftp://media.example.org" },
		"frontend URL":    func(c *Config) { c.FrontendURL = "https://" },
		"trusted origin":  func(c *Config) { c.TrustedOrigins = []string{"https://*.example.org"} },
		"or trusted":      func(c *Config) { c.TrustedOrigins = []string{"null"} },
		"trusted origin ": func(c *Config) { c.TrustedOrigins = []string{"https://user@example.org"} },
	} {
		wrong := right
		change(&wrong)
		if err := wrong.Validate(); err == nil || !strings.Contains(err.Error(), strings.TrimSpace(what)) {
			t.Errorf("%s: %v", what, err)
		}
	}
}
