package device_test

import (
	"bytes"
	"testing"

	"github.com/google/uuid"

	"daybook/internal/device"
)

func TestNetwork(t *testing.T) {
	t.Parallel()
	for address, want := range map[string]string{
		"203.0.113.77": "203.0.113.0/24", "::ffff:203.0.113.77": "203.0.113.0/24", "2001:db8:1:2:3::4": "2001:db8:1::/48",
		"fe80::1%eth0": "fe80::/48", "": "", "example.com": "", "203.0.113.77:80": "",
	} {
		if got := device.Network(address); got != want {
			t.Errorf("%q is in %q, want %q", address, got, want)
		}
	}
}

const (
	firefox143 = "Mozilla/5.0 (X11; Linux x86_64; rv:143.0) Gecko/20100101 Firefox/143.0"
	firefox144 = "Mozilla/5.0 (X11; Linux x86_64; rv:144.0) Gecko/20100101 Firefox/144.0"
	edge       = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36 Edg/140.0.0.0"
)

func TestMark(t *testing.T) {
	t.Parallel()
	key, ann := []byte("0123456789abcdef0123456789abcdef"), uuid.New()
	own := device.Mark(key, ann, firefox143, "203.0.113.77")
	if len(own) != device.MarkSize || !bytes.Equal(own, device.Mark(key, ann, firefox144, "203.0.113.99")) {
		t.Error("an update or another address of the network makes another device")
	}
	for what, other := range map[string][]byte{
		"browser": device.Mark(key, ann, edge, "203.0.113.77"),
		"network": device.Mark(key, ann, firefox143, "203.0.114.77"),
		"account": device.Mark(key, uuid.New(), firefox143, "203.0.113.77"),
		"key":     device.Mark(key[:31], ann, firefox143, "203.0.113.77"),
	} {
		if bytes.Equal(own, other) {
			t.Errorf("another %s has the same mark", what)
		}
	}
}
