package domain

import (
	"testing"
	"time"
)

func TestRegister(t *testing.T) {
	command := Register{"address-k1-00", "ada@example.com", ada, id(10), id(11), noon.Add(day)}
	runScenarios(t, []scenario{
		{name: "an empty stream", now: noon, when: command,
			then: []Event{registered, activationRequest(10, ada, noon.Add(day))}},
		{name: "a pending account", given: pendingSince(noon), now: noon, when: command, err: ErrAddressTaken},
		{name: "an active account", given: activeSince(noon), now: noon, when: command, err: ErrAddressTaken},
		{name: "a fenced stream", given: at(noon, RegistrationAbandoned{"slow"}), now: noon, when: command, err: ErrAddressTaken},
		{name: "an expired account", given: history(pendingSince(noon), at(noon.Add(9*day), RegistrationExpired{"unused"})),
			now: noon.Add(9 * day), when: command, err: ErrAddressTaken},
	})
}

func TestRegisterAgain(t *testing.T) {
	command := RegisterAgain{mallory, id(20), id(21), noon.Add(2 * day), 0}
	attempt := []Event{activationRequest(20, mallory, noon.Add(2*day))}
	runScenarios(t, []scenario{
		{name: "the last mail is ten minutes old", given: pendingSince(noon), now: noon.Add(10 * time.Minute), when: command, then: attempt},
		{name: "the last mail is younger", given: pendingSince(noon), now: noon.Add(10*time.Minute - 1), when: command},
		{name: "a mail of an older attempt is younger",
			given: history(pendingSince(noon), at(noon.Add(time.Hour), activationRequest(12, mallory, noon.Add(2*day))),
				at(noon.Add(2*time.Hour), activationRequest(10, ada, noon.Add(day)))),
			now: noon.Add(2*time.Hour + time.Minute), when: command},
		{name: "all links are dead", given: pendingSince(noon), now: noon.Add(30 * day), when: command, then: attempt},
		{name: "the hour's mails are spent", given: history(pendingSince(noon), mails(5, noon.Add(time.Minute), activationRequest(10, ada, noon.Add(day)))),
			now: noon.Add(20 * time.Minute), when: command},
		{name: "the second of a lower cap", given: pendingSince(noon), now: noon.Add(20 * time.Minute), when: RegisterAgain{mallory, id(20), id(21), noon.Add(2 * day), 1}},
		{name: "an active account", given: activeSince(noon), now: noon.Add(day), when: command, err: ErrAddressTaken},
		{name: "a deactivated account", given: history(activeSince(noon), at(noon, AccountDeactivated{"abuse"})), now: noon.Add(day), when: command, err: ErrAddressTaken},
	})
}

// mails repeats a request, one a minute.
func mails(count int, from time.Time, e Event) []happened {
	var all []happened
	for i := range count {
		all = append(all, happened{from.Add(time.Duration(i) * time.Minute), e})
	}
	return all
}

func TestRequestActivation(t *testing.T) {
	command := RequestActivation{id(20), noon.Add(9 * day), 0}
	same := activationRequest(10, ada, noon.Add(day))
	next := ActivationRequested{id(20), id(11), noon.Add(9 * day), Seal(ada)}
	spent := history(pendingSince(noon), mails(5, noon.Add(time.Minute), same))
	runScenarios(t, []scenario{
		{name: "at once", given: pendingSince(noon), now: noon, when: command, then: []Event{same}},
		{name: "half its life is left", given: pendingSince(noon), now: noon.Add(12 * time.Hour), when: command, then: []Event{same}},
		{name: "less than half is left", given: pendingSince(noon), now: noon.Add(12*time.Hour + 1), when: command, then: []Event{next}},
		{name: "asking again does not lengthen its life", given: history(pendingSince(noon), at(noon.Add(11*time.Hour), same)),
			now: noon.Add(12*time.Hour + 1), when: command, then: []Event{next}},
		{name: "it is dead", given: pendingSince(noon), now: noon.Add(30 * day), when: command, then: []Event{next}},
		{name: "the attempt mailed last counts", given: history(pendingSince(noon), at(noon.Add(time.Hour), activationRequest(14, mallory, noon.Add(25*time.Hour)))),
			now: noon.Add(2 * time.Hour), when: command, then: []Event{activationRequest(14, mallory, noon.Add(25*time.Hour))}},
		{name: "the sixth mail of the hour", given: history(pendingSince(noon), mails(4, noon.Add(time.Minute), same)),
			now: noon.Add(10 * time.Minute), when: command, then: []Event{same}},
		{name: "the seventh", given: spent, now: noon.Add(time.Hour - 1), when: command},
		{name: "the oldest is an hour old", given: spent, now: noon.Add(time.Hour), when: command, then: []Event{same}},
		{name: "the second of a lower cap", given: pendingSince(noon), now: noon, when: RequestActivation{id(20), noon.Add(9 * day), 1}},
		{name: "nobody registered", now: noon, when: command, err: ErrNotPending},
		{name: "an active account", given: activeSince(noon), now: noon, when: command, err: ErrNotPending},
		{name: "an expired account", given: history(pendingSince(noon), at(noon, RegistrationExpired{"unused"})), now: noon, when: command, err: ErrNotPending},
	})
}

func TestActivate(t *testing.T) {
	two := history(pendingSince(noon), at(noon.Add(time.Hour), activationRequest(20, mallory, noon.Add(25*time.Hour))))
	runScenarios(t, []scenario{
		{name: "the link works", given: pendingSince(noon), now: noon.Add(day - 1), when: Activate{id(10)}, then: []Event{AccountActivated{id(10), id(11)}}},
		{name: "its end is reached", given: pendingSince(noon), now: noon.Add(day), when: Activate{id(10)}, err: ErrActivationInvalid},
		{name: "the first of two", given: two, now: noon.Add(2 * time.Hour), when: Activate{id(10)}, then: []Event{AccountActivated{id(10), id(11)}}},
		{name: "the second of two", given: two, now: noon.Add(2 * time.Hour), when: Activate{id(20)}, then: []Event{AccountActivated{id(20), id(21)}}},
		{name: "only the second lives", given: two, now: noon.Add(24 * time.Hour), when: Activate{id(20)}, then: []Event{AccountActivated{id(20), id(21)}}},
		{name: "the other one was used", given: history(two, at(noon, AccountActivated{id(10), id(11)})), now: noon.Add(2 * time.Hour), when: Activate{id(20)}, err: ErrActivationInvalid},
		{name: "it was used", given: activeSince(noon), now: noon, when: Activate{id(10)}, err: ErrActivationInvalid},
		{name: "an id nobody asked for", given: pendingSince(noon), now: noon, when: Activate{id(99)}, err: ErrActivationInvalid},
		{name: "no id", given: pendingSince(noon), now: noon, when: Activate{}, err: ErrActivationInvalid},
		{name: "a deactivated account is not opened by an old link", given: history(activeSince(noon), at(noon, AccountDeactivated{"abuse"})),
			now: noon, when: Activate{id(10)}, err: ErrActivationInvalid},
		{name: "an expired account", given: history(pendingSince(noon), at(noon, RegistrationExpired{"unused"})), now: noon, when: Activate{id(10)}, err: ErrActivationInvalid},
	})
}

func TestActivationDecidesNamesAndCredential(t *testing.T) {
	two := history(pendingSince(noon), at(noon, activationRequest(20, mallory, noon.Add(day))))
	account := given(history(two, at(noon, AccountActivated{id(20), id(21)}))...)
	if account.Credential != id(21) || account.CredentialRevision != 3 {
		t.Errorf("credential %s of revision %d, want that of the used attempt", account.Credential, account.CredentialRevision)
	}
	if got := (Names{account.Profile.FirstName, account.Profile.LastName}); got != mallory {
		t.Errorf("names %v, want those of the used attempt", got)
	}
	if account.Email != "ada@example.com" || !account.Active() {
		t.Errorf("address %q, status %q", account.Email, account.Status)
	}
}

func TestRemailedAttemptKeepsWhatItIs(t *testing.T) {
	forged := ActivationRequested{id(10), id(66), noon.Add(9 * day), Seal(mallory)}
	account := given(history(pendingSince(noon), at(noon.Add(time.Hour), forged))...)
	got, ok := account.Activation(id(10))
	want := Activation{id(10), id(11), ada, noon, noon.Add(time.Hour), noon.Add(day)}
	if !ok || got != want || len(account.Activations) != 1 {
		t.Errorf("attempt %+v of %d, want %+v", got, len(account.Activations), want)
	}
}

func TestAbandonRegistration(t *testing.T) {
	command := AbandonRegistration{"slow"}
	runScenarios(t, []scenario{
		{name: "an empty stream", now: noon, when: command, then: []Event{RegistrationAbandoned{"slow"}}},
		{name: "a fenced one", given: at(noon, RegistrationAbandoned{"slow"}), now: noon, when: command},
		{name: "a pending account", given: pendingSince(noon), now: noon, when: command},
		{name: "an active account", given: activeSince(noon), now: noon, when: command},
	})
}

func TestExpireRegistration(t *testing.T) {
	command := ExpireRegistration{"unused", 7 * day}
	two := history(pendingSince(noon), at(noon.Add(day), activationRequest(20, ada, noon.Add(2*day))))
	expired := []Event{RegistrationExpired{"unused"}}
	runScenarios(t, []scenario{
		{name: "dead for long enough", given: pendingSince(noon), now: noon.Add(8 * day), when: command, then: expired},
		{name: "not yet", given: pendingSince(noon), now: noon.Add(8*day - 1), when: command},
		{name: "the last attempt counts", given: two, now: noon.Add(9*day - 1), when: command},
		{name: "after the last attempt", given: two, now: noon.Add(9 * day), when: command, then: expired},
		{name: "an active account", given: activeSince(noon), now: noon.Add(99 * day), when: command},
		{name: "an expired account", given: history(pendingSince(noon), at(noon, RegistrationExpired{"unused"})), now: noon.Add(99 * day), when: command},
		{name: "an empty stream", now: noon, when: command},
	})
}
