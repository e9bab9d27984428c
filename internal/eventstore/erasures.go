package eventstore

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/google/uuid"

	"daybook/domain"
	"daybook/internal/vault"
)

// Remains reads from the account's history what erasing it has to remove: one read.
// Of a history that does not open, because its key is lost or a box is damaged, it
// tells neither the farewell nor claims under other keys than the account names: those
// stand in nobody's way, since the account does not own the address any more.
func (r *Repository) Remains(ctx context.Context, id uuid.UUID) (domain.Remains, error) {
	var stored []domain.Stored
	for s, err := range r.Client.ReadStream(ctx, domain.AccountStream(id), 0) {
		if err != nil {
			return domain.Remains{}, unavailable(err)
		}
		stored = append(stored, s)
	}
	history, err := r.Vault.Decode(ctx, stored...)
	if errors.Is(err, vault.ErrKeyLost) || errors.Is(err, domain.ErrUnreadable) {
		history, err = decodeShut(stored)
	}
	if err != nil {
		return domain.Remains{}, fmt.Errorf("load: %w", err)
	}
	remains := domain.RemainsOf(history)
	for _, address := range remains.Addresses {
		remains.Claims = append(remains.Claims, r.otherClaims(address, remains.Claims)...)
	}
	return remains, nil
}

// otherClaims names the streams that index the address and are not known.
func (r *Repository) otherClaims(address string, known []string) (other []string) {
	email, err := domain.ParseEmail(address)
	if err != nil { // only another program could have written it
		return nil
	}
	for _, key := range r.Addresses.Set() {
		if stream := addressStream(key, email); !slices.Contains(known, stream) {
			other = append(other, stream)
		}
	}
	return other
}

func decodeShut(stored []domain.Stored) ([]domain.Recorded, error) {
	history := make([]domain.Recorded, len(stored))
	for i, s := range stored {
		var err error
		if history[i], err = domain.Decode(s, func([]byte) ([]byte, error) { return nil, domain.ErrErased }); err != nil {
			return nil, err
		}
	}
	return history, nil
}

// EachErased calls each, in commit order, with every account whose erasure stands
// behind the position, until it has read that many events of own streams. It returns
// the position up to which it has read, and whether that is the end.
func (r *Repository) EachErased(ctx context.Context, after uint64, most int, each func(context.Context, uuid.UUID) error) (reached uint64, end bool, err error) {
	reached = after
	erased := domain.NameOf(domain.AccountErased{})
	for stored, err := range r.Client.ReadAll(ctx, after) {
		if err != nil {
			return reached, false, unavailable(err)
		}
		if account, ok := domain.StreamSubject(stored.Stream); ok && stored.Type == erased {
			if err := each(ctx, account); err != nil {
				return reached, false, fmt.Errorf("carry out the erasure of %s: %w", account, err)
			}
		}
		reached = stored.Position
		if most--; most <= 0 {
			return reached, false, nil
		}
	}
	return reached, true, nil
}
