package device

import (
	"crypto/hmac"
	"crypto/sha256"
	"net/netip"

	"github.com/google/uuid"
)

// Bits of an address that name its network: of IPv4 what is routed on its own, of
// IPv6 what a site usually gets (RFC 6177).
const (
	network4 = 24
	network6 = 48
)

// Network returns the network of a client address, such as "203.0.113.0/24"; empty
// for what is no address.
func Network(address string) string {
	parsed, err := netip.ParseAddr(address)
	if err != nil {
		return ""
	}
	parsed = parsed.Unmap().WithZone("")
	bits := network6
	if parsed.Is4() {
		bits = network4
	}
	prefix, err := parsed.Prefix(bits)
	if err != nil {
		return ""
	}
	return prefix.String()
}

// MarkSize is the length of a mark in bytes.
const MarkSize = 16

// Mark recognises a device of an account again without saying what it is: an HMAC
// under a key that is not where marks are kept. The same device of two accounts has
// two marks that nobody can match.
func Mark(key []byte, account uuid.UUID, agent, address string) []byte {
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte("device\x00"))
	mac.Write(account[:])
	mac.Write([]byte(Name(agent) + "\x00" + Network(address)))
	return mac.Sum(nil)[:MarkSize]
}
