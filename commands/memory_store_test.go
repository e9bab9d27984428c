package commands_test

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"maps"
	"slices"
	"time"

	"github.com/google/uuid"

	"daybook/domain"
)

// memoryStore is EventStoreDB's semantics of expected revisions and event ids
// (its IndexWriter.CheckCommit), small enough to be run millions of times. Its
// caller sees to it that one call runs at a time.
type memoryStore struct {
	streams map[string][]domain.Recorded
	// fenceless acknowledges fences without writing them: the mistake that the
	// interleaving test must find.
	fenceless bool
}

func (s *memoryStore) Account(_ context.Context, id uuid.UUID) (domain.Account, error) {
	return domain.Fold(domain.NewAccount(id), s.streams[domain.AccountStream(id)]...), nil
}

// Claim says of every claim that it is ancient: then no wait keeps clients from
// fencing each other, which is what is to be survived.
func (s *memoryStore) Claim(_ context.Context, email domain.Email) (domain.Claim, error) {
	claim := domain.NewClaim(claimStream(email))
	for _, r := range s.streams[claim.Stream] {
		claim = domain.EvolveClaim(claim, r)
	}
	claim.ClaimedAt = time.Time{}
	return claim, nil
}

func claimStream(email domain.Email) string {
	return domain.AddressStream("test", []byte(email.Canonical))
}

func (s *memoryStore) Append(_ context.Context, a domain.Append) ([]domain.Recorded, error) {
	recorded := make([]domain.Recorded, len(a.Events))
	for i, event := range a.Events {
		recorded[i] = domain.Recorded{
			Stream: a.Stream, Revision: a.Expected + 1 + int64(i), Event: event, Metadata: a.Metadata,
			ID: domain.EventID(a.Stream, a.Metadata.CommandID, i),
		}
	}
	stored := s.streams[a.Stream]
	switch last := int64(len(stored)) - 1; {
	case s.fenceless && a.Metadata.Command == "AbandonRegistration":
		return recorded, nil
	case a.Expected > last:
		return nil, domain.ErrConflict
	case a.Expected < last && !repeated(stored[a.Expected+1:], recorded):
		return nil, domain.ErrConflict
	case a.Expected == last:
		s.streams[a.Stream] = append(slices.Clone(stored), recorded...)
	}
	return recorded, nil
}

// repeated reports whether the proposed events stand there already.
func repeated(stored, proposed []domain.Recorded) bool {
	if len(stored) < len(proposed) {
		return false
	}
	for i := range proposed {
		if stored[i].ID != proposed[i].ID {
			return false
		}
	}
	return true
}

// digest tells two contents of a stream apart.
func (s *memoryStore) digest(stream string) uint64 {
	sum := fnv.New64a()
	fmt.Fprint(sum, stream)
	for _, r := range s.streams[stream] {
		fmt.Fprint(sum, r.ID, r.Event)
	}
	return sum.Sum64()
}

// digestAll tells two contents of the store apart.
func (s *memoryStore) digestAll() uint64 {
	var sum uint64
	for stream := range s.streams {
		sum ^= s.digest(stream)
	}
	return sum
}

// owners lists the accounts that own the address.
func (s *memoryStore) owners(email domain.Email) []uuid.UUID {
	var owners []uuid.UUID
	for _, stream := range slices.Sorted(maps.Keys(s.streams)) {
		id, ok := domain.StreamSubject(stream)
		if !ok || !domain.IsAccountStream(stream) {
			continue
		}
		account := domain.Fold(domain.NewAccount(id), s.streams[stream]...)
		if account.OwnsAddress() && account.AddressClaim == claimStream(email) {
			owners = append(owners, id)
		}
	}
	return owners
}

// fences counts the registrations that were fenced.
func (s *memoryStore) fences() int {
	n := 0
	for _, events := range s.streams {
		n += count[domain.RegistrationAbandoned](events)
	}
	return n
}

// check states what must hold at every moment.
func (s *memoryStore) check(email domain.Email) error {
	if owners := s.owners(email); len(owners) > 1 {
		return fmt.Errorf("%d accounts own the address: %v", len(owners), owners)
	}
	return nil
}

// checkEnd states what must hold when a later registrant has had its turn: one
// account owns the address and holds the claim.
func (s *memoryStore) checkEnd(email domain.Email) error {
	owners := s.owners(email)
	claim, _ := s.Claim(context.Background(), email)
	if len(owners) != 1 {
		return fmt.Errorf("%d accounts own the address in the end", len(owners))
	}
	if !claim.Held || claim.Holder != owners[0] {
		return errors.New("the owner does not hold the claim in the end")
	}
	return nil
}
