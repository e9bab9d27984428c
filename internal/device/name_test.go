package device_test

import (
	"strings"
	"testing"

	"daybook/internal/device"
)

func TestName(t *testing.T) {
	t.Parallel()
	for agent, want := range map[string]string{
		"Mozilla/5.0 (X11; Linux x86_64; rv:143.0) Gecko/20100101 Firefox/143.0":                                                                  "Firefox on Linux",
		"Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36 Edg/140.0.0.0":           "Edge on Windows",
		"Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.0 Mobile/15E148 Safari/604.1": "Safari on iOS",
		"Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36":                   "Chrome on macOS",
		"Mozilla/5.0 (Linux; Android 15) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Mobile Safari/537.36":                            "Chrome on Android",
		"Canaryagent/1.0":                    "Unknown device",
		"evil.example/1.0 (X11; Linux)":      "Unknown device",
		"Call-0900-123456/1.0 (Windows NT)":  "Unknown device",
		"<script>alert(1)</script>":          "Unknown device",
		"":                                   "Unknown device",
		"Firefox/143.0 (evil.example today)": "Unknown device",
	} {
		if got := device.Name(agent); got != want {
			t.Errorf("%q: %q, want %q", agent, got, want)
		}
	}
}

// FuzzName: whatever a client sends, its name is made of known words.
func FuzzName(f *testing.F) {
	f.Add("Mozilla/5.0 (X11; Linux x86_64; rv:143.0) Gecko/20100101 Firefox/143.0")
	f.Add("evil.example/1.0 (X11; Linux)")
	f.Fuzz(func(t *testing.T, agent string) {
		name := device.Name(agent)
		if name != device.Unknown && (len(name) > 40 || !strings.Contains(name, " on ") || strings.ContainsAny(name, "./<>@:\n")) {
			t.Errorf("%q", name)
		}
	})
}
