package eventstore

import (
	"context"

	"daybook/domain"
)

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
