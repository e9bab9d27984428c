package domain

import (
	"testing"
	"time"
)

// resetAt is a request with a life of ten minutes.
func resetAt(n uint32, t time.Time) []happened {
	return at(t, ResetRequested{id(n), t.Add(10 * time.Minute)})
}

func activeWithReset() []happened { return history(activeSince(noon), resetAt(30, noon)) }

func deactivated() []happened {
	return history(activeWithReset(), at(noon, AccountDeactivated{"abuse"}))
}

func changed() []happened {
	return history(activeWithReset(), at(noon, PasswordChanged{CredentialID: id(41), Cause: CauseChange}))
}

func used() []happened {
	return history(activeWithReset(), at(noon, PasswordChanged{id(41), CauseReset, pointer(id(30))}))
}

func TestRequestReset(t *testing.T) {
	command := RequestReset{id(31), noon.Add(time.Hour), 0}
	same := []Event{ResetRequested{id(30), noon.Add(10 * time.Minute)}}
	next := []Event{ResetRequested{id(31), noon.Add(time.Hour)}}
	spent := history(activeWithReset(), mails(5, noon.Add(time.Minute), same[0]))
	minutes := func(n time.Duration) time.Time { return noon.Add(n * time.Minute) }
	runScenarios(t, []scenario{
		{name: "the first", given: activeSince(noon), now: noon, when: command, then: next},
		{name: "half its life is left", given: activeWithReset(), now: minutes(5), when: command, then: same},
		{name: "less than half is left", given: activeWithReset(), now: minutes(5).Add(1), when: command, then: next},
		{name: "asking again does not lengthen its life", given: history(activeWithReset(), at(minutes(4), same...)), now: minutes(5).Add(1), when: command, then: next},
		{name: "it is dead", given: activeWithReset(), now: minutes(10), when: command, then: next},
		{name: "it was opened", given: history(activeWithReset(), at(noon, ResetLinkOpened{id(30)})), now: minutes(5), when: command, then: same},
		{name: "it was used", given: used(), now: noon, when: command, then: next},
		{name: "a change killed it", given: changed(), now: noon, when: command, then: next},
		{name: "the sixth mail of the hour", given: history(activeWithReset(), mails(4, minutes(1), same[0])), now: minutes(5), when: command, then: same},
		{name: "the seventh", given: spent, now: minutes(60).Add(-1), when: command},
		{name: "the oldest is an hour old", given: spent, now: minutes(60), when: command, then: next},
		{name: "the second of a lower cap", given: activeWithReset(), now: minutes(5), when: RequestReset{id(31), noon.Add(time.Hour), 1}},
		{name: "the seventh of a higher cap", given: spent, now: minutes(30), when: RequestReset{id(31), noon.Add(time.Hour), 7}, then: next},
		{name: "activation mails count too",
			given: history(pendingSince(noon), mails(5, noon, activationRequest(10, ada, noon.Add(day))), at(noon, AccountActivated{id(10), id(11)})),
			now:   minutes(10), when: command},
		{name: "a pending account", given: pendingSince(noon), now: noon, when: command, err: ErrNotActive},
		{name: "a deactivated account", given: deactivated(), now: noon, when: command, err: ErrNotActive},
		{name: "nobody", now: noon, when: command, err: ErrNotActive},
	})
}

func TestSpentMailsLeaveTheOpenResetValid(t *testing.T) {
	spent := history(activeWithReset(), mails(5, noon, ResetRequested{id(30), noon.Add(10 * time.Minute)}))
	scenario{given: spent, now: noon.Add(9 * time.Minute), when: ResetPassword{id(30), id(41)},
		then: []Event{PasswordChanged{id(41), CauseReset, pointer(id(30))}}}.run(t)
}

// resetRefusals are the links that do not work, whatever is done with them.
func resetRefusals() []scenario {
	return []scenario{
		{name: "its end is reached", given: activeWithReset(), now: noon.Add(10 * time.Minute)},
		{name: "superseded", given: history(activeWithReset(), resetAt(31, noon.Add(6*time.Minute))), now: noon.Add(7 * time.Minute)},
		{name: "used", given: used(), now: noon},
		{name: "killed by a change", given: changed(), now: noon},
		{name: "killed by an operator", given: history(activeWithReset(), at(noon, PasswordChanged{CredentialID: id(41), Cause: CauseOperator})), now: noon},
		{name: "of a deactivated account", given: deactivated(), now: noon},
		{name: "of a reactivated account", given: history(deactivated(), at(noon, AccountReactivated{"appeal"})), now: noon},
		{name: "nobody asked", given: activeSince(noon), now: noon},
		{name: "of a pending account", given: pendingSince(noon), now: noon},
		{name: "of nobody", now: noon},
	}
}

func TestOpenResetLink(t *testing.T) {
	command := OpenResetLink{id(30)}
	runScenarios(t, append([]scenario{
		{name: "the first time", given: activeWithReset(), now: noon.Add(10*time.Minute - 1), when: command, then: []Event{ResetLinkOpened{id(30)}}},
		{name: "again", given: history(activeWithReset(), at(noon, ResetLinkOpened{id(30)})), now: noon, when: command},
		{name: "a note on another reset does not count", given: history(activeWithReset(), at(noon, ResetLinkOpened{id(29)})), now: noon, when: command, then: []Event{ResetLinkOpened{id(30)}}},
		{name: "no id", given: activeSince(noon), now: noon, when: OpenResetLink{}, err: ErrResetInvalid},
	}, refused(command, ErrResetInvalid)...))
}

func TestResetPassword(t *testing.T) {
	command := ResetPassword{id(30), id(41)}
	done := []Event{PasswordChanged{id(41), CauseReset, pointer(id(30))}}
	runScenarios(t, append([]scenario{
		{name: "in time", given: activeWithReset(), now: noon.Add(10*time.Minute - 1), when: command, then: done},
		{name: "whether opened or not", given: history(activeWithReset(), at(noon, ResetLinkOpened{id(30)})), now: noon, when: command, then: done},
		{name: "mailed again", given: history(activeWithReset(), at(noon, ResetRequested{id(30), noon.Add(day)})), now: noon.Add(9 * time.Minute), when: command, then: done},
		{name: "mailing again does not lengthen its life", given: history(activeWithReset(), at(noon, ResetRequested{id(30), noon.Add(day)})), now: noon.Add(10 * time.Minute), when: command, err: ErrResetInvalid},
		{name: "no id", given: activeSince(noon), now: noon, when: ResetPassword{CredentialID: id(41)}, err: ErrResetInvalid},
	}, refused(command, ErrResetInvalid)...))
}

func refused(when Decider, err error) []scenario {
	scenarios := resetRefusals()
	for i := range scenarios {
		scenarios[i].when, scenarios[i].err = when, err
	}
	return scenarios
}

func TestChangePassword(t *testing.T) {
	command := ChangePassword{id(11), id(41)}
	runScenarios(t, []scenario{
		{name: "with the current one", given: activeSince(noon), now: noon, when: command, then: []Event{PasswordChanged{CredentialID: id(41), Cause: CauseChange}}},
		{name: "it was changed in the meantime", given: changed(), now: noon, when: ChangePassword{id(11), id(42)}, err: ErrPasswordChanged},
		{name: "once more", given: changed(), now: noon, when: ChangePassword{id(41), id(42)}, then: []Event{PasswordChanged{CredentialID: id(42), Cause: CauseChange}}},
		{name: "no credential", given: activeSince(noon), now: noon, when: ChangePassword{CredentialID: id(41)}, err: ErrPasswordChanged},
		{name: "a deactivated account", given: deactivated(), now: noon, when: command, err: ErrNotSignedIn},
		{name: "a pending account", given: pendingSince(noon), now: noon, when: ChangePassword{CredentialID: id(41)}, err: ErrNotSignedIn},
	})
}

func TestPasswordChangedEndsOlderCredential(t *testing.T) {
	account := given(used()...)
	if account.Credential != id(41) || account.CredentialRevision != account.Revision {
		t.Errorf("credential %s of revision %d at %d", account.Credential, account.CredentialRevision, account.Revision)
	}
	if account.Version != 2 {
		t.Errorf("version %d moved, though nothing that the person sees has changed", account.Version)
	}
}

func TestDeactivateAndReactivate(t *testing.T) {
	runScenarios(t, []scenario{
		{name: "shut an active account", given: activeSince(noon), when: Deactivate{"abuse"}, then: []Event{AccountDeactivated{"abuse"}}},
		{name: "shut a shut one", given: deactivated(), when: Deactivate{"abuse"}},
		{name: "shut a pending one", given: pendingSince(noon), when: Deactivate{"abuse"}},
		{name: "open a shut one", given: deactivated(), when: Reactivate{"appeal"}, then: []Event{AccountReactivated{"appeal"}}},
		{name: "open an active one", given: activeSince(noon), when: Reactivate{"appeal"}},
		{name: "open a pending one", given: pendingSince(noon), when: Reactivate{"appeal"}},
	})
}

func TestGrantStaff(t *testing.T) {
	staff := history(activeSince(noon), at(noon, StaffGranted{"hired"}))
	runScenarios(t, []scenario{
		{name: "give", given: activeSince(noon), when: GrantStaff{"hired", true}, then: []Event{StaffGranted{"hired"}}},
		{name: "give again", given: staff, when: GrantStaff{"hired", true}},
		{name: "take", given: staff, when: GrantStaff{"left", false}, then: []Event{StaffRevoked{"left"}}},
		{name: "take again", given: activeSince(noon), when: GrantStaff{"left", false}},
		{name: "give to nobody", when: GrantStaff{"hired", true}},
		{name: "give to a fenced stream", given: at(noon, RegistrationAbandoned{"slow"}), when: GrantStaff{"hired", true}},
	})
}
