package commands_test

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/uuid"

	"daybook/commands"
	"daybook/domain"
)

// The accounts of these schedules have other addresses and are numbered.
func numbered(what string, i int) uuid.UUID {
	return uuid.NewSHA1(uuid.Nil, fmt.Appendf(nil, "%s %d", what, i))
}

func ownClaim(i int) string { return fmt.Sprintf("address-own-%02d", i) }

// happened writes what has happened before the clients begin.
func (s *memoryStore) happened(stream string, events ...domain.Event) {
	for _, event := range events {
		revision := int64(len(s.streams[stream]))
		command := uuid.NewSHA1(uuid.Nil, fmt.Appendf(nil, "%s %d", stream, revision))
		if _, err := s.Append(context.Background(), domain.Append{
			Stream: stream, Expected: revision - 1, Events: []domain.Event{event},
			Metadata: domain.Metadata{CommandID: command, OccurredAt: noon},
		}); err != nil {
			panic(err)
		}
	}
}

// owning makes an active account that has the address of the claim.
func (s *memoryStore) owning(account uuid.UUID, claim string) {
	s.happened(claim, domain.AddressClaimed{AccountID: account})
	s.happened(domain.AccountStream(account), domain.AccountRegistered{AddressClaim: claim},
		domain.ActivationRequested{ActivationID: account, CredentialID: account}, domain.AccountActivated{ActivationID: account, CredentialID: account})
}

// asking has asked for the address that all clients want.
func (s *memoryStore) asking(account uuid.UUID) {
	s.happened(domain.AccountStream(account), domain.AddressChangeRequested{
		ChangeID: uuid.NewSHA1(account, nil), AddressClaim: theClaim, ExpiresAt: noon.Add(time.Hour), Personal: domain.Seal(domain.NewAddress{Email: ada}),
	})
}

// changer uses the link that was mailed to the address.
func changer(account uuid.UUID) actor {
	return actor{
		refusals: []error{domain.ErrAddressTaken, domain.ErrAddressChangeInvalid},
		run: func(h *commands.Handler) error {
			_, err := h.ChangeAddress(context.Background(), callerNumber(0), account, "token")
			return err
		},
		done: func(s *memoryStore) error {
			if owners := s.owners(); len(owners) != 1 || owners[0] != account {
				return fmt.Errorf("%s does not own the address: %v", account, owners)
			}
			return nil
		},
	}
}

// releaser gives up the address that all clients want, for an account that had it
// before.
func releaser(account uuid.UUID) actor {
	return actor{run: func(h *commands.Handler) error {
		_, err := h.ReleaseAddress(context.Background(), callerNumber(9), account, theClaim)
		return err
	}}
}

// changing explores one account that changes to the address, beside others.
func changing(preemptions, faults int, others ...actor) *exploration {
	x := newExploration(append([]actor{changer(numbered("account", 0))}, others...), preemptions, faults, 2)
	x.before = func(s *memoryStore) {
		for i := range 2 {
			s.owning(numbered("account", i), ownClaim(i))
			s.asking(numbered("account", i))
		}
	}
	return x
}

// returning explores an account that had the address, left it without releasing the
// claim, and wants it back.
func returning(preemptions, faults int, others ...actor) *exploration {
	account := numbered("account", 0)
	x := newExploration(append([]actor{changer(account)}, others...), preemptions, faults, 2)
	x.before = func(s *memoryStore) {
		s.owning(account, theClaim)
		change := numbered("change", 0)
		s.happened(ownClaim(0), domain.AddressClaimed{AccountID: account})
		s.happened(domain.AccountStream(account),
			domain.AddressChangeRequested{ChangeID: change, AddressClaim: ownClaim(0), ExpiresAt: noon.Add(time.Hour)},
			domain.AddressChanged{ChangeID: change, AddressClaim: ownClaim(0), FormerClaim: theClaim})
		s.asking(account)
	}
	return x
}

// TestChangeOfAddressBesideARegistrant tries all interleavings, each client with a
// fault at any of its calls.
func TestChangeOfAddressBesideARegistrant(t *testing.T) {
	explore(t, changing(-1, 1, registrant(1)))
	explore(t, returning(2, 1, registrant(1)))
	if thorough {
		explore(t, changing(-1, 2, registrant(1)))
		explore(t, returning(-1, 2, registrant(1)))
	}
}

// TestTwoChangesToOneAddress tries all interleavings of two accounts.
func TestTwoChangesToOneAddress(t *testing.T) {
	explore(t, changing(-1, 2, changer(numbered("account", 1))))
}

// TestReturningToAnAddress lets the late release of the address come in between.
func TestReturningToAnAddress(t *testing.T) {
	explore(t, returning(-1, 1, releaser(numbered("account", 0))))
	explore(t, returning(2, 0, releaser(numbered("account", 0)), registrant(1)))
}

// TestChangesBesideRegistrants interrupts clients a bounded number of times.
func TestChangesBesideRegistrants(t *testing.T) {
	explore(t, changing(1, 1, registrant(1), registrant(2)))
	explore(t, changing(1, 1, changer(numbered("account", 1)), registrant(1)))
	if thorough {
		explore(t, changing(2, 1, registrant(1), registrant(2)))
		explore(t, changing(2, 3, changer(numbered("account", 1)), registrant(1)))
		explore(t, changing(3, 2, registrant(1), registrant(2)))
		explore(t, returning(3, 2, releaser(numbered("account", 0)), registrant(1)))
	}
}

// TestWithoutTheFenceOfAChange is the test of the test: a change that is not fenced
// must be found out.
func TestWithoutTheFenceOfAChange(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x := changing(-1, 0, registrant(1))
		x.store.fenceless = true
		if _, err := x.explore(); err == nil {
			t.Fatalf("no violation in %d schedules", x.schedules)
		}
	})
}
