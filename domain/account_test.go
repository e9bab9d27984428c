package domain

import (
	"testing"
	"time"
)

func TestStatusOfALife(t *testing.T) {
	cases := []struct {
		name         string
		given        []happened
		status       Status
		owns, active bool
	}{
		{"nothing", nil, StatusNone, false, false},
		{"pending", pendingSince(noon), StatusPending, true, false},
		{"active", activeSince(noon), StatusActive, true, true},
		{"deactivated", deactivated(), StatusDeactivated, true, false},
		{"reactivated", history(deactivated(), at(noon, AccountReactivated{"appeal"})), StatusActive, true, true},
		{"abandoned", at(noon, RegistrationAbandoned{"slow"}), StatusAbandoned, false, false},
		{"expired", history(pendingSince(noon), at(noon, RegistrationExpired{"unused"})), StatusExpired, false, false},
		{"erased", history(activeSince(noon), at(noon, AccountErased{"owner"})), StatusErased, false, false},
	}
	for _, c := range cases {
		account := given(c.given...)
		if account.Status != c.status || account.OwnsAddress() != c.owns || account.Active() != c.active {
			t.Errorf("%s: status %q, owns %t, active %t", c.name, account.Status, account.OwnsAddress(), account.Active())
		}
	}
}

func TestRegistrationIsFolded(t *testing.T) {
	account := given(pendingSince(noon)...)
	if account.AddressClaim != "address-k1-00" || account.Email != "ada@example.com" || account.JoinedAt != noon ||
		account.Profile != (Profile{FirstName: "Ada", LastName: "Lovelace"}) || account.Erased || account.Version != 0 {
		t.Errorf("%+v", account)
	}
	erased := given(at(noon, AccountRegistered{"address-k1-00", Personal[RegisteredDetails]{Erased: true}},
		ActivationRequested{id(10), id(11), noon.Add(day), Personal[Names]{Erased: true}}, AccountActivated{id(10), id(11)})...)
	if !erased.Erased || erased.Email != "" || erased.Profile != (Profile{}) || !erased.Active() {
		t.Errorf("%+v", erased)
	}
}

// Only events that change what the person sees move the version.
func TestVersion(t *testing.T) {
	seen := map[string]bool{
		"AccountActivated": true, "ProfileUpdated": true, "AccountDeactivated": true, "AccountReactivated": true,
		"AddressChanged": true, "AccountErased": true, "StaffGranted": true, "StaffRevoked": true, "AccountRegistered": true,
	}
	for name, s := range samples {
		account := given(activeSince(noon)...)
		after := Evolve(account, record(account.Revision+1, happened{noon, s.event})[0])
		if moved := after.Version != account.Version; moved != seen[name.Name] || moved && after.Version != after.Revision {
			t.Errorf("%s moves the version from %d to %d", name.Name, account.Version, after.Version)
		}
	}
}

func TestLastActivation(t *testing.T) {
	if _, ok := NewAccount(id(1)).LastActivation(); ok {
		t.Error("an attempt before any")
	}
	request := func(n uint32) ActivationRequested { return activationRequest(n, ada, noon.Add(day)) }
	account := given(history(at(noon, request(10), request(12)), at(noon.Add(time.Minute), request(10)))...)
	if last, ok := account.LastActivation(); !ok || last.ID != id(10) {
		t.Errorf("last attempt %+v, want the one mailed last", last)
	}
	ancient := given(at(time.Time{}.Add(-1), request(10))...)
	if last, ok := ancient.LastActivation(); !ok || last.ID != id(10) {
		t.Errorf("last attempt %+v, want the only one", last)
	}
}
