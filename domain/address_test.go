package domain

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
)

// The new address of the scenarios.
const (
	newClaim = "address-k1-01"
	newEmail = "ada@new.example"
)

func addressAsked(n uint32, expires time.Time) AddressChangeRequested {
	return AddressChangeRequested{id(n), newClaim, expires, Seal(NewAddress{newEmail})}
}

// activeWithChange has an open request 50 for an hour.
func activeWithChange() []happened {
	return history(activeSince(noon), at(noon, addressAsked(50, noon.Add(time.Hour))))
}

func addressMade() []happened {
	return history(activeWithChange(), at(noon, AddressChanged{id(50), newClaim, "address-k1-00", Seal(NewAddress{newEmail})}))
}

func TestRequestAddressChange(t *testing.T) {
	command := RequestAddressChange{id(51), newClaim, newEmail, id(11), noon.Add(3 * time.Hour), 0}
	same := []Event{addressAsked(50, noon.Add(time.Hour))}
	next := []Event{addressAsked(51, noon.Add(3*time.Hour))}
	spelt, other, unproved := command, command, command
	spelt.Email, other.AddressClaim, unproved.CurrentCredential = "Ada@new.example", "address-k1-02", id(12)
	spent := history(activeWithChange(), mails(5, noon.Add(time.Minute), same[0]))
	minutes := func(n time.Duration) time.Time { return noon.Add(n * time.Minute) }
	runScenarios(t, []scenario{
		{name: "the first", given: activeSince(noon), now: noon, when: command, then: next},
		{name: "half its life is left", given: activeWithChange(), now: minutes(30), when: command, then: same},
		{name: "less than half is left", given: activeWithChange(), now: minutes(30).Add(1), when: command, then: next},
		{name: "it is dead", given: activeWithChange(), now: minutes(60), when: command, then: next},
		{name: "another spelling", given: activeWithChange(), now: noon, when: spelt,
			then: []Event{AddressChangeRequested{id(51), newClaim, noon.Add(3 * time.Hour), Seal(NewAddress{"Ada@new.example"})}}},
		{name: "another address", given: activeWithChange(), now: noon, when: other,
			then: []Event{AddressChangeRequested{id(51), "address-k1-02", noon.Add(3 * time.Hour), Seal(NewAddress{newEmail})}}},
		{name: "a changed password killed it", given: history(activeWithChange(), at(noon, PasswordChanged{CredentialID: id(11), Cause: CauseChange})), now: noon, when: command, then: next},
		{name: "the address it has", given: addressMade(), now: noon, when: command, err: ErrSameAddress},
		{name: "the one it gave up", given: addressMade(), now: noon, when: RequestAddressChange{id(51), "address-k1-00", "ada@example.com", id(11), noon.Add(time.Hour), 0},
			then: []Event{AddressChangeRequested{id(51), "address-k1-00", noon.Add(time.Hour), Seal(NewAddress{"ada@example.com"})}}},
		{name: "another password", given: activeSince(noon), now: noon, when: unproved, err: ErrPasswordChanged},
		{name: "the sixth mail of the hour", given: history(activeWithChange(), mails(4, minutes(1), same[0])), now: minutes(30), when: command, then: same},
		{name: "the seventh", given: spent, now: minutes(60).Add(-1), when: command, err: ErrAddressChangesUsedUp},
		{name: "the seventh of a higher cap", given: spent, now: minutes(60).Add(-1), when: RequestAddressChange{id(51), newClaim, newEmail, id(11), noon.Add(3 * time.Hour), 7}, then: next},
		{name: "the second of a lower cap", given: activeWithChange(), now: minutes(1), when: RequestAddressChange{id(51), newClaim, newEmail, id(11), noon.Add(3 * time.Hour), 1}, err: ErrAddressChangesUsedUp},
		{name: "the oldest is an hour old", given: spent, now: minutes(60), when: command, then: next},
		{name: "strangers' resets do not count", given: history(activeSince(noon), mails(6, noon, ResetRequested{id(30), minutes(10)})), now: noon, when: command, then: next},
		{name: "a pending account", given: pendingSince(noon), now: noon, when: command, err: ErrNotSignedIn},
		{name: "a deactivated account", given: deactivated(), now: noon, when: command, err: ErrNotSignedIn},
		{name: "nobody", now: noon, when: command, err: ErrNotSignedIn},
	})
}

func TestChangeAddress(t *testing.T) {
	command := ChangeAddress{id(50)}
	done := []Event{AddressChanged{id(50), newClaim, "address-k1-00", Seal(NewAddress{newEmail})}}
	after := func(events ...Event) []happened { return history(activeWithChange(), at(noon, events...)) }
	erased := addressAsked(50, noon.Add(time.Hour))
	erased.Personal = Personal[NewAddress]{Erased: true}
	runScenarios(t, []scenario{
		{name: "in time", given: activeWithChange(), now: noon.Add(time.Hour - 1), when: command, then: done},
		{name: "mailing again does not lengthen its life", given: after(addressAsked(50, noon.Add(day))), now: noon.Add(time.Hour), when: command, err: ErrAddressChangeInvalid},
		{name: "a stranger's reset does not end it", given: after(ResetRequested{id(30), noon.Add(day)}), now: noon, when: command, then: done},
		{name: "its end is reached", given: activeWithChange(), now: noon.Add(time.Hour), when: command, err: ErrAddressChangeInvalid},
		{name: "superseded", given: after(addressAsked(51, noon.Add(time.Hour))), now: noon, when: command, err: ErrAddressChangeInvalid},
		{name: "made", given: addressMade(), now: noon, when: command, err: ErrAddressChangeInvalid},
		{name: "abandoned", given: after(AddressChangeAbandoned{id(50), "late"}), now: noon, when: command, err: ErrAddressChangeInvalid},
		{name: "another one is abandoned", given: after(AddressChangeAbandoned{id(49), "late"}), now: noon, when: command, then: done},
		{name: "killed by a password", given: after(PasswordChanged{CredentialID: id(41), Cause: CauseReset}), now: noon, when: command, err: ErrAddressChangeInvalid},
		{name: "of a reactivated account", given: after(AccountDeactivated{"abuse"}, AccountReactivated{"appeal"}), now: noon, when: command, err: ErrAddressChangeInvalid},
		{name: "erased", given: history(activeSince(noon), at(noon, erased)), now: noon, when: command, err: ErrAddressChangeInvalid},
		{name: "nobody asked", given: activeSince(noon), now: noon, when: command, err: ErrAddressChangeInvalid},
		{name: "no id", given: activeSince(noon), now: noon, when: ChangeAddress{}, err: ErrAddressChangeInvalid},
	})
}

// TestAddressChangedEndsWhatWasBefore: address, sessions and links.
func TestAddressChangedEndsWhatWasBefore(t *testing.T) {
	account := given(history(activeWithReset(), at(noon, addressAsked(50, noon.Add(time.Hour)),
		AddressChanged{id(50), newClaim, "address-k1-00", Seal(NewAddress{newEmail})}))...)
	if account.Email != newEmail || account.AddressClaim != newClaim || account.Version != account.Revision {
		t.Errorf("%q at %s, version %d", account.Email, account.AddressClaim, account.Version)
	}
	if account.Credential != id(11) || account.CredentialRevision != account.Revision {
		t.Errorf("credential %s, sessions before %d are over", account.Credential, account.CredentialRevision)
	}
	if account.Reset.Open(noon) || account.AddressChange.Open(noon) || !account.AddressChange.Made() {
		t.Error("a link of before works")
	}
	for revision, want := range map[int64]string{0: "ada@example.com", account.Revision - 1: "ada@example.com", account.Revision: newEmail, account.Revision + 9: newEmail} {
		if got := account.EmailAt(revision); got != want {
			t.Errorf("at %d the address was %q", revision, got)
		}
	}
}

func TestSessionThatAskedLast(t *testing.T) {
	account := given(activeWithChange()...)
	again := record(account.Revision+1, at(noon, addressAsked(50, noon.Add(time.Hour)))...)
	again[0].Metadata.Session = id(70).String()
	account = Fold(account, again...)
	if account.AddressChange.Session != id(70) || account.AddressChange.Revision != account.Revision-1 {
		t.Errorf("%+v", account.AddressChange)
	}
}

func TestAbandonAddressChange(t *testing.T) {
	command := AbandonAddressChange{id(50), "superseded"}
	runScenarios(t, []scenario{
		{name: "open", given: activeWithChange(), now: noon, when: command, then: []Event{AddressChangeAbandoned{id(50), "superseded"}}},
		{name: "late by our clock", given: activeWithChange(), now: noon.Add(day), when: command, then: []Event{AddressChangeAbandoned{id(50), "superseded"}}},
		{name: "another one", given: activeWithChange(), now: noon, when: AbandonAddressChange{id(49), "superseded"}},
		{name: "made", given: addressMade(), now: noon, when: command},
		{name: "none", given: activeSince(noon), now: noon, when: AbandonAddressChange{uuid.Nil, "superseded"}},
	})
}

func TestYieldRegistration(t *testing.T) {
	runScenarios(t, []scenario{
		{name: "pending", given: pendingSince(noon), now: noon, when: YieldRegistration{"proved by another"}, then: []Event{RegistrationExpired{"proved by another"}}},
		{name: "opened by an operator", given: history(pendingSince(noon), at(noon, StaffGranted{"hired"})), now: noon, when: YieldRegistration{"proved by another"}},
		{name: "active", given: activeSince(noon), now: noon, when: YieldRegistration{"proved by another"}},
		{name: "nobody", now: noon, when: YieldRegistration{"proved by another"}},
	})
}

// TestMayComplete tells the claims that must be fenced.
func TestMayComplete(t *testing.T) {
	claim := func(by uint32) Claim { return Claim{Holder: id(1), Held: true, ClaimedBy: id(by)} }
	got := map[string]bool{
		"open":        given(activeWithChange()...).MayComplete(claim(50)),
		"another's":   given(activeWithChange()...).MayComplete(claim(49)),
		"made":        given(addressMade()...).MayComplete(claim(50)),
		"deactivated": given(history(activeWithChange(), at(noon, AccountDeactivated{"abuse"}))...).MayComplete(claim(50)),
		"none":        given(activeSince(noon)...).MayComplete(Claim{Holder: id(1), Held: true}),
	}
	want := map[string]bool{"open": true, "another's": false, "made": false, "deactivated": false, "none": false}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
