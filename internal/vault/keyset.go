package vault

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"strings"
)

// Key is one 256-bit key of a set.
type Key struct {
	ID     string
	Secret []byte // 32 bytes
}

// KeySet is a list of keys: the first is current, the others are still known.
type KeySet []Key

// ParseKeySet reads "id:base64,id:base64". Its errors never contain a key.
func ParseKeySet(s string) (KeySet, error) {
	var set KeySet
	for i, part := range strings.Split(strings.TrimSpace(s), ",") {
		id, encoded, ok := strings.Cut(strings.TrimSpace(part), ":")
		if !ok || id == "" || strings.Trim(id, keyIDCharacters) != "" {
			return nil, errors.New("each key must be written as id:base64, the id of letters and digits")
		}
		secret, err := base64.StdEncoding.DecodeString(encoded)
		if err != nil || len(secret) != 32 {
			// Not even the id is shown: the two may have been exchanged.
			return nil, fmt.Errorf("key %d must be 32 bytes in base64", i+1)
		}
		if _, found := set.Find(id); found {
			return nil, fmt.Errorf("key %d has the id of one before it", i+1)
		}
		set = append(set, Key{id, secret})
	}
	return set, nil
}

const keyIDCharacters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"

// Format prints the ids only, whatever the verb: keys must not get into a log by
// being part of what is printed. String is the one way to the keys.
func (s KeySet) Format(f fmt.State, _ rune) {
	ids := make([]string, len(s))
	for i, key := range s {
		ids[i] = key.ID
	}
	_, _ = fmt.Fprintf(f, "keys %s", strings.Join(ids, ", "))
}

// Format prints the id only, as for a KeySet.
func (k Key) Format(f fmt.State, _ rune) { _, _ = fmt.Fprintf(f, "key %s", k.ID) }

// LogValue logs the ids only.
func (s KeySet) LogValue() slog.Value { return slog.StringValue(fmt.Sprintf("%v", s)) }

// LogValue logs the id only.
func (k Key) LogValue() slog.Value { return slog.StringValue(fmt.Sprintf("%v", k)) }

// String writes the set in the form that ParseKeySet reads.
func (s KeySet) String() string {
	parts := make([]string, len(s))
	for i, key := range s {
		parts[i] = key.ID + ":" + base64.StdEncoding.EncodeToString(key.Secret)
	}
	return strings.Join(parts, ",")
}

// Current returns the key that new values are made with.
func (s KeySet) Current() Key { return s[0] }

// Find returns the key with the id.
func (s KeySet) Find(id string) (Key, bool) {
	for _, key := range s {
		if key.ID == id {
			return key, true
		}
	}
	return Key{}, false
}

// Fingerprint tells two keys apart without saying anything about them.
func (k Key) Fingerprint() string {
	sum := sha256.Sum256(append([]byte("daybook key fingerprint\n"), k.Secret...))
	return hex.EncodeToString(sum[:16])
}

func newAEAD(secret []byte) (cipher.AEAD, error) {
	block, err := aes.NewCipher(secret)
	if err != nil {
		return nil, err
	}
	return cipher.NewGCM(block)
}
