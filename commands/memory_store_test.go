package commands_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	"daybook/domain"
)

// memoryStore is EventStoreDB's semantics of expected revisions and event ids
// (its IndexWriter.CheckCommit), small enough to be run millions of times. Its
// caller sees to it that one call runs at a time.
type memoryStore struct {
	streams map[string][]domain.Recorded
	// digests tells two contents of a stream apart.
	digests map[string]uint64
	// violation is the first moment at which two accounts owned the address.
	violation error
	// fenceless acknowledges fences without writing them: the mistake that the
	// interleaving test must find.
	fenceless bool
	// last are the keys of addresses that the last registrant knows; nil for one.
	last []string
}

func (s *memoryStore) Account(_ context.Context, id uuid.UUID) (domain.Account, error) {
	return domain.Fold(domain.NewAccount(id), s.streams[domain.AccountStream(id)]...), nil
}

// Claim says of every claim that it is ancient: then no wait keeps clients from
// fencing each other, which is what is to be survived.
func (s *memoryStore) Claim(ctx context.Context, email domain.Email) (domain.Claim, error) {
	return s.claimUnder(ctx, keysOf(s.last)[0], email)
}

func (s *memoryStore) claimUnder(ctx context.Context, key string, email domain.Email) (domain.Claim, error) {
	claim, err := s.ClaimAt(ctx, claimOf(email)+key)
	claim.Canonical = email.Canonical
	return claim, err
}

func (s *memoryStore) Claims(ctx context.Context, email domain.Email) (claims []domain.Claim, err error) {
	for _, key := range keysOf(s.last) {
		claim, _ := s.claimUnder(ctx, key, email)
		claims = append(claims, claim)
	}
	return claims, nil
}

// OnlyClaim is not asked: nobody is activated here.
func (s *memoryStore) OnlyClaim(string) (bool, error) { return true, nil }

// The keys of addresses: what they add to the name of a claim.
const (
	oldKey = ""
	newKey = "-new"
)

func keysOf(view []string) []string {
	if view == nil {
		return []string{oldKey}
	}
	return view
}

func (s *memoryStore) Remains(_ context.Context, id uuid.UUID) (domain.Remains, error) {
	return domain.RemainsOf(s.streams[domain.AccountStream(id)]), nil
}

func (s *memoryStore) ClaimAt(_ context.Context, stream string) (domain.Claim, error) {
	claim := domain.NewClaim(stream)
	for _, r := range s.streams[claim.Stream] {
		claim = domain.EvolveClaim(claim, r)
	}
	claim.ClaimedAt = time.Time{}
	return claim, nil
}

// theClaim is of the one address that all clients want.
const theClaim = "address-test-00"

func claimOf(email domain.Email) string {
	if email.Canonical == ada {
		return theClaim
	}
	return "address-" + email.Canonical
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
	case s.fenceless && strings.HasPrefix(a.Metadata.Command, "Abandon"):
		return recorded, nil
	case a.Expected > last:
		return nil, domain.ErrConflict
	case a.Expected < last && !repeated(stored[a.Expected+1:], recorded):
		return nil, domain.ErrConflict
	case a.Expected == last:
		s.write(a.Stream, recorded)
	}
	return recorded, nil
}

func (s *memoryStore) write(stream string, events []domain.Recorded) {
	s.streams[stream] = append(slices.Clone(s.streams[stream]), events...)
	for _, r := range events {
		s.digests[stream] = mix(s.digests[stream], mixString(stream), mixString(fmt.Sprint(r.ID, r.Event)))
	}
	if owners := s.owners(); len(owners) > 1 && s.violation == nil {
		s.violation = fmt.Errorf("%d accounts own the address: %v", len(owners), owners)
	}
}

// mix is FNV-1a over whole words.
func mix(words ...uint64) uint64 {
	sum := uint64(14695981039346656037)
	for _, word := range words {
		sum = (sum ^ word) * 1099511628211
		sum ^= sum >> 29
	}
	return sum
}

func mixString(s string) uint64 {
	sum := uint64(14695981039346656037)
	for i := range len(s) {
		sum = (sum ^ uint64(s[i])) * 1099511628211
	}
	return sum
}

// digest tells two contents of the store apart.
func (s *memoryStore) digest() uint64 {
	var sum uint64
	for _, d := range s.digests {
		sum ^= d
	}
	return sum
}

func (s *memoryStore) reset() {
	s.streams, s.digests, s.violation = map[string][]domain.Recorded{}, map[string]uint64{}, nil
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

// owners lists the accounts that own the address.
func (s *memoryStore) owners() []uuid.UUID {
	var owners []uuid.UUID
	for _, stream := range slices.Sorted(maps.Keys(s.streams)) {
		id, ok := domain.StreamSubject(stream)
		if !ok || !domain.IsAccountStream(stream) {
			continue
		}
		account := domain.Fold(domain.NewAccount(id), s.streams[stream]...)
		if account.OwnsAddress() && (account.AddressClaim == theClaim || account.Email == ada) {
			owners = append(owners, id)
		}
	}
	return owners
}

// fences counts the registrations and changes that were fenced.
func (s *memoryStore) fences() int {
	n := 0
	for _, events := range s.streams {
		n += count[domain.RegistrationAbandoned](events) + count[domain.AddressChangeAbandoned](events)
	}
	return n
}

// checkEnd states what must hold when a later registrant has had its turn: one
// account owns the address and holds the claim.
func (s *memoryStore) checkEnd() error {
	owners := s.owners()
	claim, _ := s.ClaimAt(context.Background(), theClaim+keysOf(s.last)[0])
	if len(owners) != 1 {
		return fmt.Errorf("%d accounts own the address in the end", len(owners))
	}
	if !claim.Held || claim.Holder != owners[0] {
		return errors.New("the owner does not hold the claim in the end")
	}
	return nil
}
