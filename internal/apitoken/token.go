package apitoken

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
)

// Scope is something that a token may do.
type Scope string

// The scopes. ReadPersonal includes ReadAudit.
const (
	ReadAudit    Scope = "audit:read"          // the audit trail, personal fields sealed
	ReadPersonal Scope = "audit:read:personal" // the audit trail with personal fields
)

// Scopes lists all of them.
var Scopes = []Scope{ReadAudit, ReadPersonal}

// Token is what is known of a token, besides the token itself.
type Token struct {
	ID     uuid.UUID
	Name   string // what the operator called it
	Scopes []Scope
	// LastUsedAt is exact to the minute, zero if never, and may be lost in a
	// crash of the database.
	CreatedAt, ExpiresAt, RevokedAt, LastUsedAt time.Time
}

// May reports whether the token has the scope.
func (t Token) May(scope Scope) bool {
	return slices.Contains(t.Scopes, scope) || scope == ReadAudit && slices.Contains(t.Scopes, ReadPersonal)
}

// State is one word for people: active, expired or revoked.
func (t Token) State(now time.Time) string {
	switch {
	case !t.RevokedAt.IsZero():
		return "revoked"
	case !now.Before(t.ExpiresAt):
		return "expired"
	}
	return "active"
}

// prefix lets scanners of source code recognise a token that was left there.
const prefix = "dbk_"

func newToken(id uuid.UUID) string {
	secret := make([]byte, 32)
	_, _ = rand.Read(secret) // never fails (crypto/rand)
	return prefix + hex.EncodeToString(id[:]) + "_" + base64.RawURLEncoding.EncodeToString(secret)
}

// idOf returns the public id in a token; ok is false for what cannot be one.
func idOf(token string) (id uuid.UUID, ok bool) {
	rest, ok := strings.CutPrefix(token, prefix)
	encoded, _, found := strings.Cut(rest, "_")
	if !ok || !found || len(encoded) != 2*len(id) {
		return id, false
	}
	_, err := hex.Decode(id[:], []byte(encoded))
	return id, err == nil
}

// hash covers the whole token; one with 256 random bits needs no salt.
func hash(token string) []byte {
	sum := sha256.Sum256([]byte(token))
	return sum[:]
}

// ParseScopes refuses an empty list and what is no scope, and leaves out
// repetitions.
func ParseScopes(given []string) ([]Scope, error) {
	var scopes []Scope
	for _, text := range given {
		scope := Scope(text)
		if !slices.Contains(Scopes, scope) {
			return nil, fmt.Errorf("%q is not a scope; there are %v", text, Scopes)
		}
		if !slices.Contains(scopes, scope) {
			scopes = append(scopes, scope)
		}
	}
	if len(scopes) == 0 {
		return nil, fmt.Errorf("a token needs at least one scope of %v", Scopes)
	}
	return scopes, nil
}
