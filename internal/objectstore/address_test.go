package objectstore

import (
	"strings"
	"testing"
)

func TestParseAddress(t *testing.T) {
	for text, want := range map[string]address{
		"https://KEY:SE%2FCR%40ET@s3.example.com/pictures?region=eu-west-1": {true, "s3.example.com", "KEY", "SE/CR@ET", "pictures", "eu-west-1"},
		"http://k:s@127.0.0.1:9000/pictures/":                               {false, "127.0.0.1:9000", "k", "s", "pictures", "us-east-1"},
		"https://k:s@[::1]:9000/pictures":                                   {true, "[::1]:9000", "k", "s", "pictures", "us-east-1"},
	} {
		got, err := parseAddress(text)
		if err != nil || got != want {
			t.Errorf("%s: %+v, %v", text, got, err)
		}
	}
}

func TestBadAddressesAreRefusedWithoutTellingTheSecret(t *testing.T) {
	for _, text := range []string{
		"", "s3.example.com/b", "s3://k:hunter2@host/b", "https://host/b", "https://k@host/b", "https://k:@host/b",
		"https://:hunter2@host/b", "https://k:hunter2@/b", "https://k:hunter2@host", "https://k:hunter2@host/b/c",
		"https://k:hunter2@host/b?regoin=x", "https://k:hunter2@host/b#c", "https://k:hunter2%zz@host/b", "https://k:hunter2@ho st/b",
		"https://k:hunter2@host:port/b",
	} {
		_, err := New(text)
		if err == nil || !strings.Contains(err.Error(), "DAYBOOK_S3_URL") || strings.Contains(err.Error(), "hunter2") ||
			strings.Contains(err.Error(), "\n") {
			t.Errorf("%q: %v", text, err)
		}
	}
}
