package eventstore_test

import (
	"strings"
	"testing"

	"daybook/internal/eventstore"
)

func TestBadConnectionStrings(t *testing.T) {
	for _, url := range []string{
		"",
		"http://admin:s3cret@host:2113",
		"esdb://admin:s3cret@host:s3cret",
		"esdb://admin:s3/cret@host:2113",
		"esdb://admin:s3cret@host/s3cret",
		"esdb://admin:s3%zzcret@host",
		"esdb://:s3cret@host",
		"esdb://host?tsl=false",
		"esdb://admin:s3cret@host?tls=maybe",
		"esdb://admin:s3cret@host?nodePreference=s3cret",
		"esdb://admin:s3cret@host?tlsCaFile=/does/not/exist",
		"esdb://host?userCertFile=/a",
		"esdb://admin:s3cret@h1,,h2",
	} {
		_, err := eventstore.NewClient(eventstore.Config{URL: url})
		if err == nil {
			t.Errorf("%q is accepted", url)
			continue
		}
		if !strings.Contains(err.Error(), "DAYBOOK_EVENTSTORE_URL") || strings.Contains(err.Error(), "cret") {
			t.Errorf("%q: %v", url, err)
		}
	}
	if _, err := eventstore.NewClient(eventstore.Config{URL: "esdb://host", Socket: "/s"}); err == nil {
		t.Error("URL and socket at once are accepted")
	}
}

func TestGoodConnectionStrings(t *testing.T) {
	for _, url := range []string{
		"esdb://localhost?tls=false",
		"esdb://admin:changeit@localhost:2113?tls=false&NodePreference=leader",
		"esdb://admin:changeit@h1:2113,h2:2113,h3:2113?gossipTimeout=2",
		"esdb+discover://cluster.example:2113",
	} {
		newClient(t, eventstore.Config{URL: url})
	}
}
