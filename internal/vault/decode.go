package vault

import (
	"context"

	"github.com/google/uuid"

	"daybook/domain"
)

// Decode decodes and opens events, with one key query for all of them. Its
// errors name the stream and revision of the event that failed.
func (v *Vault) Decode(ctx context.Context, stored ...domain.Stored) ([]domain.Recorded, error) {
	ring, err := v.Keyring(ctx, subjects(stored)...)
	if err != nil {
		return nil, err
	}
	recorded := make([]domain.Recorded, len(stored))
	for i, s := range stored {
		if recorded[i], err = domain.Decode(s, ring.opener(s)); err != nil {
			return nil, err
		}
		if _, gone := recorded[i].Event.(domain.AccountErased); gone {
			subject, _ := domain.StreamSubject(s.Stream)
			v.cache.drop(subject)
		}
	}
	return recorded, nil
}

func (r *Keyring) opener(s domain.Stored) domain.Opener {
	return func(box []byte) ([]byte, error) {
		metadata, err := domain.DecodeMetadata(s.Metadata)
		if err != nil {
			return nil, err
		}
		subject, _ := domain.StreamSubject(s.Stream)
		return r.Open(Place{s.Stream, s.ID, s.Type, metadata.Schema, subject}, box)
	}
}

func subjects(stored []domain.Stored) []uuid.UUID {
	seen := map[uuid.UUID]bool{}
	var found []uuid.UUID
	for _, s := range stored {
		if subject, ok := domain.StreamSubject(s.Stream); ok && !seen[subject] {
			seen[subject] = true
			found = append(found, subject)
		}
	}
	return found
}
