package token

import (
	"context"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"strings"
	"time"

	"github.com/google/uuid"

	"daybook/domain"
	"daybook/internal/vault"
)

const version = "1"

// Maker makes and compares tokens.
type Maker struct {
	Keys  vault.Keys
	Vault *vault.Vault
}

// Token returns the token for one request of an account, made with the current
// key. It has no ':', '=' and '+'.
func (m *Maker) Token(ctx context.Context, purpose domain.Purpose, account, id uuid.UUID, expires time.Time) (string, error) {
	secret, err := m.Vault.Secret(ctx, account)
	if err != nil {
		return "", err
	}
	return compute(m.Keys.Set().Current(), secret, purpose, account, id, expires)
}

// Matches compares in constant time with the token that the named key would
// make. An unknown key id, an erased account and a malformed token are no match.
func (m *Maker) Matches(ctx context.Context, token string, purpose domain.Purpose, account, id uuid.UUID, expires time.Time) (bool, error) {
	keyID, _, _ := strings.Cut(token, ".")
	key, ok := m.Keys.Set().Find(keyID)
	if !ok {
		return false, nil
	}
	secret, err := m.Vault.Secret(ctx, account)
	if errors.Is(err, domain.ErrErased) || errors.Is(err, vault.ErrKeyLost) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	wanted, err := compute(key, secret, purpose, account, id, expires)
	return hmac.Equal([]byte(wanted), []byte(token)), err
}

func compute(key vault.Key, secret []byte, purpose domain.Purpose, account, id uuid.UUID, expires time.Time) (string, error) {
	derived, err := hkdf.Key(sha256.New, append(append([]byte{}, key.Secret...), secret...), nil, "daybook token", sha256.Size)
	if err != nil {
		return "", err
	}
	mac := hmac.New(sha256.New, derived)
	for _, part := range []string{version, string(purpose), account.String(), id.String(), expires.UTC().Format(time.RFC3339Nano)} {
		_ = binary.Write(mac, binary.BigEndian, uint32(len(part)))
		mac.Write([]byte(part))
	}
	return key.ID + "." + base64.RawURLEncoding.EncodeToString(mac.Sum(nil)), nil
}
