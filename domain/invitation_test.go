package domain

import (
	"testing"
	"time"

	"github.com/google/uuid"
)

// invitedSince is an account that an operator made and nobody has opened.
func invitedSince(t time.Time) []happened {
	return at(t, registered, invitation(10, t.Add(day)), StaffGranted{"hired"})
}

func invitation(n uint32, expires time.Time) ActivationRequested {
	return ActivationRequested{id(n), uuid.Nil, expires, Seal(ada)}
}

func TestCreateStaff(t *testing.T) {
	command := CreateStaff{Register{"address-k1-00", "ada@example.com", ada, id(10), uuid.Nil, noon.Add(day)}, "hired"}
	runScenarios(t, []scenario{
		{name: "an empty stream", now: noon, when: command, then: []Event{registered, invitation(10, noon.Add(day)), StaffGranted{"hired"}}},
		{name: "a pending account", given: pendingSince(noon), now: noon, when: command, err: ErrAddressTaken},
		{name: "an active account", given: activeSince(noon), now: noon, when: command, err: ErrAddressTaken},
		{name: "a fenced stream", given: at(noon, RegistrationAbandoned{"slow"}), now: noon, when: command, err: ErrAddressTaken},
	})
}

// TestInvitationIsNobodyElses: no attempt of a stranger comes beside it.
func TestInvitationIsNobodyElses(t *testing.T) {
	again := RegisterAgain{mallory, id(20), id(21), noon.Add(2 * day), 0}
	resent := RequestActivation{id(20), noon.Add(2 * day), 0}
	runScenarios(t, []scenario{
		{name: "registered soon after", given: invitedSince(noon), now: noon.Add(10*time.Minute - 1), when: again},
		{name: "registered", given: invitedSince(noon), now: noon.Add(10 * time.Minute), when: again, then: []Event{invitation(10, noon.Add(day))}},
		{name: "registered when the link is dead", given: invitedSince(noon), now: noon.Add(day), when: again, then: []Event{invitation(20, noon.Add(2*day))}},
		{name: "asked for again", given: invitedSince(noon), now: noon.Add(time.Hour), when: resent, then: []Event{invitation(10, noon.Add(day))}},
		{name: "asked for again, late", given: invitedSince(noon), now: noon.Add(day), when: resent, then: []Event{invitation(20, noon.Add(2*day))}},
		{name: "rights for a registration that anybody made", given: pendingSince(noon), now: noon, when: GrantStaff{"hired", true}, err: ErrNotProved},
		{name: "rights taken from an invited one", given: invitedSince(noon), now: noon, when: GrantStaff{"mistake", false}, then: []Event{StaffRevoked{"mistake"}}},
	})
}

func TestAcceptInvitation(t *testing.T) {
	command := AcceptInvitation{Activate{id(10)}, RequestReset{id(30), noon.Add(time.Hour), 0}}
	accepted := []Event{AccountActivated{id(10), uuid.Nil}, ResetRequested{id(30), noon.Add(time.Hour)}}
	runScenarios(t, []scenario{
		{name: "in time", given: invitedSince(noon), now: noon.Add(day - 1), when: command, then: accepted},
		{name: "late", given: invitedSince(noon), now: noon.Add(day), when: command, err: ErrActivationInvalid},
		{name: "twice", given: history(invitedSince(noon), at(noon, accepted...)), now: noon, when: command, err: ErrActivationInvalid},
	})
	account := given(history(invitedSince(noon), at(noon, accepted...))...)
	if !account.Active() || !account.Staff || account.Credential != uuid.Nil || !account.Reset.Open(noon) {
		t.Errorf("%+v", account)
	}
}
