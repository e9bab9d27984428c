package eventstore

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"strings"

	"daybook/domain"
	"daybook/internal/vault"
)

// Claim folds the claim stream of the address: one read, and one more for each
// other key while nothing is found.
func (r *Repository) Claim(ctx context.Context, email domain.Email) (domain.Claim, error) {
	var current domain.Claim
	for i, key := range r.Addresses.Set() {
		claim, err := r.claimUnder(ctx, key, email)
		if err != nil || claim.Revision != domain.NoStream {
			return claim, err
		}
		if i == 0 {
			current = claim
		}
	}
	return current, nil
}

// Claims folds the claim stream of the address under each key, the current one's
// first: one read each.
func (r *Repository) Claims(ctx context.Context, email domain.Email) ([]domain.Claim, error) {
	if err := r.fresh(); err != nil {
		return nil, err
	}
	var claims []domain.Claim
	for _, key := range r.Addresses.Set() {
		claim, err := r.claimUnder(ctx, key, email)
		if err != nil {
			return nil, err
		}
		claims = append(claims, claim)
	}
	return claims, nil
}

// OnlyClaim reports whether the claim stream is of the one key of addresses that there
// is: then no other claim stands for the address.
func (r *Repository) OnlyClaim(stream string) (bool, error) {
	keys := r.Addresses.Set()
	return len(keys) == 1 && strings.HasPrefix(stream, domain.AddressStream(keys[0].ID, nil)), r.fresh()
}

func (r *Repository) fresh() error {
	if r.Fresh == nil {
		return nil
	}
	return r.Fresh()
}

// ClaimAt folds the claim stream with the name: one read.
func (r *Repository) ClaimAt(ctx context.Context, stream string) (domain.Claim, error) {
	claim := domain.NewClaim(stream)
	history, err := r.history(ctx, stream)
	if err != nil {
		return domain.Claim{}, err
	}
	for _, recorded := range history {
		claim = domain.EvolveClaim(claim, recorded)
	}
	return claim, nil
}

func (r *Repository) claimUnder(ctx context.Context, key vault.Key, email domain.Email) (domain.Claim, error) {
	claim, err := r.ClaimAt(ctx, addressStream(key, email))
	claim.Canonical = email.Canonical
	return claim, err
}

func addressStream(key vault.Key, email domain.Email) string {
	mac := hmac.New(sha256.New, key.Secret)
	mac.Write([]byte(email.Canonical))
	return domain.AddressStream(key.ID, mac.Sum(nil))
}
