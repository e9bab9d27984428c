package vault_test

import (
	"encoding/base64"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"daybook/internal/testkit"
	"daybook/internal/vault"
)

func TestParseKeySet(t *testing.T) {
	set := append(testkit.KeySet("k2"), testkit.KeySet("k1")...)
	parsed, err := vault.ParseKeySet(" " + strings.ReplaceAll(set.String(), ",", " , ") + "\n")
	must(t, err)
	if parsed.String() != set.String() || parsed.Current().ID != "k2" {
		t.Fatal("read something else than was written")
	}
	if _, ok := parsed.Find("k3"); ok {
		t.Fatal("found a key that is not there")
	}
	if set[0].Fingerprint() == set[1].Fingerprint() || len(set[0].Fingerprint()) != 32 {
		t.Fatal("fingerprints do not tell keys apart")
	}
}

func TestParseKeySetShowsNoKey(t *testing.T) {
	secret := []byte("this key's base64 has no signs..") // so it could be an id
	encoded := base64.StdEncoding.EncodeToString(secret)
	url := base64.RawURLEncoding.EncodeToString(secret)
	for name, text := range map[string]string{
		"empty": "", "no id": encoded, "empty id": ":" + encoded, "id and key exchanged": encoded + ":k",
		"exchanged, without padding": url + ":k", "signs in the id": "k-1:" + encoded, "cut": "k:" + encoded[:40],
		"url-safe": "k:" + url, "twice": "k:" + encoded + ",k:" + encoded, "trailing comma": "k:" + encoded + ",",
		"space inside": "k:" + encoded[:20] + " " + encoded[20:],
	} {
		_, err := vault.ParseKeySet(text)
		if err == nil {
			t.Errorf("%s: passes", name)
			continue
		}
		if said := err.Error(); strings.Contains(said, encoded[:12]) || strings.Contains(said, url[:12]) {
			t.Errorf("%s: the error shows a key", name)
		}
	}
}

func TestPrintingShowsNoKey(t *testing.T) {
	set := testkit.KeySet("k1")
	var logged strings.Builder
	slog.New(slog.NewJSONHandler(&logged, nil)).Info("keys", "set", set, "key", set.Current())
	slog.New(slog.NewTextHandler(&logged, nil)).Info("keys", "set", set, "key", set.Current())
	printed := logged.String() + fmt.Sprintf("%v %+v %#v %s %v %#v", set, set, set, set, set.Current(), set.Current())
	for _, form := range []string{
		base64.StdEncoding.EncodeToString(set.Current().Secret), fmt.Sprintf("%d", set.Current().Secret), fmt.Sprintf("%#v", set.Current().Secret),
	} {
		if strings.Contains(printed, form[:20]) {
			t.Errorf("a key was printed")
		}
	}
	if !strings.Contains(printed, "k1") {
		t.Error("not even the id is printed")
	}
}
