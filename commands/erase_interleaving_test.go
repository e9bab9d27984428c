package commands_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/google/uuid"

	"daybook/commands"
	"daybook/domain"
)

// eraser erases the account that has the address.
func eraser(account uuid.UUID) actor {
	return actor{
		run: func(h *commands.Handler) error {
			_, err := h.EraseFor(context.Background(), callerNumber(8), account, "asked by letter")
			return err
		},
		done: func(s *memoryStore) error {
			if folded, _ := s.Account(context.Background(), account); folded.Status != domain.StatusErased {
				return fmt.Errorf("%s is %s", account, folded.Status)
			}
			return nil
		},
	}
}

// finisher is housekeeping that comes upon the erasure.
func finisher(account uuid.UUID) actor {
	return actor{run: func(h *commands.Handler) error {
		return h.FinishErasure(context.Background(), callerNumber(7), account)
	}}
}

// erasing explores an account that has the address and is erased, beside others. half
// says that the event is there and nothing has come of it yet.
func erasing(half bool, preemptions, faults int, actors ...actor) *exploration {
	x := newExploration(actors, preemptions, faults, 2)
	x.before = func(s *memoryStore) {
		s.owning(numbered("account", 0), theClaim)
		if half {
			s.happened(domain.AccountStream(numbered("account", 0)), domain.AccountErased{Reason: domain.ReasonOwner})
		}
		s.owning(numbered("account", 1), ownClaim(1))
		s.asking(numbered("account", 1))
	}
	return x
}

// TestErasureBesideARegistrant tries all interleavings, each client with a fault at
// any of its calls: the address never has two owners, is never lost, and never goes
// back to the erased account.
func TestErasureBesideARegistrant(t *testing.T) {
	account := numbered("account", 0)
	explore(t, erasing(false, -1, 2, eraser(account), registrant(1)))
	explore(t, erasing(true, -1, 2, finisher(account), registrant(1)))
}

// TestErasureBesideOthers interrupts clients a bounded number of times.
func TestErasureBesideOthers(t *testing.T) {
	account := numbered("account", 0)
	explore(t, erasing(false, -1, 1, eraser(account), finisher(account)))
	explore(t, erasing(false, 2, 1, eraser(account), changer(numbered("account", 1))))
	explore(t, erasing(false, 1, 1, eraser(account), registrant(1), registrant(2)))
	explore(t, erasing(true, 1, 1, finisher(account), changer(numbered("account", 1)), registrant(1)))
	if thorough {
		explore(t, erasing(false, 3, 2, eraser(account), registrant(1), registrant(2)))
		explore(t, erasing(false, 3, 2, eraser(account), changer(numbered("account", 1)), registrant(1)))
	}
}
