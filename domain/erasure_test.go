package domain

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"pgregory.net/rapid"
)

func TestErase(t *testing.T) {
	owner, operator := Erase{ReasonOwner, true, id(11)}, Erase{Reason: "asked by letter"}
	byOwner, byOperator := []Event{AccountErased{ReasonOwner}}, []Event{AccountErased{"asked by letter"}}
	expired := history(pendingSince(noon), at(noon, RegistrationExpired{"unused"}))
	gone := history(activeSince(noon), at(noon, byOwner...))
	runScenarios(t, []scenario{
		{name: "by its owner", given: activeSince(noon), now: noon, when: owner, then: byOwner},
		{name: "with a password that was replaced", given: changed(), now: noon, when: owner, err: ErrPasswordChanged},
		{name: "by somebody whose account is shut", given: deactivated(), now: noon, when: owner, err: ErrNotSignedIn},
		{name: "again by its owner", given: gone, now: noon, when: owner, err: ErrNotSignedIn},
		{name: "by an operator", given: activeSince(noon), now: noon, when: operator, then: byOperator},
		{name: "a pending one", given: pendingSince(noon), now: noon, when: operator, then: byOperator},
		{name: "a shut one", given: deactivated(), now: noon, when: operator, then: byOperator},
		{name: "an expired one still names its person", given: expired, now: noon, when: operator, then: byOperator},
		{name: "again by an operator", given: gone, now: noon, when: operator},
		{name: "an abandoned one names nobody", given: at(noon, RegistrationAbandoned{"slow"}), now: noon, when: operator},
		{name: "nobody", now: noon, when: operator},
	})
}

// TestNothingFollowsAnErasure: whatever happened before, no command gets an event
// past it, and an event that got there all the same changes nothing.
func TestNothingFollowsAnErasure(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		account := Fold(NewAccount(id(1)), anyHistory.Draw(t, "history")...)
		account = Evolve(account, record(account.Revision+1, happened{noon, AccountErased{"owner"}})[0])
		now := anyTime.Draw(t, "now")
		for range 5 {
			command := anyCommand(t, account, now)
			if events, _ := command.Decide(account, now); len(events) > 0 {
				t.Errorf("%T appends %v", command, events)
			}
		}
		after := Evolve(account, record(account.Revision+1, happened{noon, anyEvent(true).Draw(t, "late")})[0])
		after.Revision, after.commands = account.Revision, account.commands
		if diff := cmp.Diff(account, after, wholeAccount); diff != "" {
			t.Errorf("a late event changes (-erased +after):\n%s", diff)
		}
	})
}

// TestErasureNeedsNoKey: the fold is the same before the key is destroyed and after
// it, so that it makes no difference when a reader comes.
func TestErasureNeedsNoKey(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		l := &life{account: NewAccount(id(1)), now: noon}
		l.history = record(0, activeSince(noon)...)
		l.account = Fold(l.account, l.history...)
		for range rapid.IntRange(0, 20).Draw(t, "commands") {
			l.command(t)
		}
		last := happened{noon, AccountErased{"owner"}}
		readable := append(l.history, record(int64(len(l.history)), last)...)
		shut := make([]Recorded, len(readable))
		for i, r := range readable {
			shut[i] = r
			shut[i].Event = withoutKey(t, r.Event)
		}
		if diff := cmp.Diff(Fold(NewAccount(id(1)), readable...), Fold(NewAccount(id(1)), shut...), wholeAccount); diff != "" {
			t.Errorf("with the key (-) and without it (+):\n%s", diff)
		}
	})
}

// withoutKey reads an event as it is read once its key is gone.
func withoutKey(t *rapid.T, e Event) Event {
	encoded, err := Encode(e)
	if err != nil {
		t.Fatal(err)
	}
	data, err := encoded.Data(sealClear(encoded.Personal))
	if err != nil {
		t.Fatal(err)
	}
	event, err := decodeData(encoded.Type, encoded.Schema, data, func([]byte) ([]byte, error) { return nil, ErrErased })
	if err != nil {
		t.Fatal(err)
	}
	return event
}

func TestErasedAccountTellsNobody(t *testing.T) {
	picture := ProfileUpdated{Changed: []string{FieldPhoneNumber, FieldThumbnail}, Thumbnail: pointer("thumbnails/1"),
		Personal: Seal(ProfileDetails{PhoneNumber: pointer("+2348145359073")})}
	account := given(history(activeWithReset(), at(noon, picture, StaffGranted{"hired"}, AccountErased{"owner"}))...)
	if account.Email != "" || account.Profile != (Profile{}) || account.Activations[0].Names != (Names{}) || !account.Erased || account.Staff {
		t.Errorf("%+v", account)
	}
	if account.Credential != uuid.Nil || account.CredentialRevision != account.Revision || account.Reset.Open(noon) {
		t.Errorf("a credential or a link is left: %+v", account)
	}
}

func TestRemainsOf(t *testing.T) {
	first := ProfileUpdated{Changed: []string{FieldThumbnail}, Thumbnail: pointer("thumbnails/1")}
	second := ProfileUpdated{Changed: []string{FieldThumbnail, FieldFirstName}, Thumbnail: pointer("thumbnails/2"), Personal: Seal(ProfileDetails{FirstName: pointer("Augusta")})}
	removed := ProfileUpdated{Changed: []string{FieldThumbnail}}
	gone := at(noon, AccountErased{"owner"})
	claims, addresses := []string{"address-k1-00", "address-k1-01"}, []string{"ada@example.com", "new@example.com"}
	asked := AddressChangeRequested{id(50), "address-k1-01", noon, Seal(NewAddress{"new@example.com"})}
	for name, c := range map[string]struct {
		given []happened
		want  Remains
	}{
		"nothing":             {nil, Remains{}},
		"pictures of a life":  {history(activeSince(noon), at(noon, first, second, removed, asked, asked), gone), Remains{claims, addresses, []string{"thumbnails/1", "thumbnails/2"}, Farewell{"ada@example.com", "Augusta", noon.Add(time.Hour)}}},
		"mailbox not proved":  {history(pendingSince(noon), gone), Remains{Claims: claims[:1], Addresses: addresses[:1]}},
		"not erased":          {activeSince(noon), Remains{Claims: claims[:1], Addresses: addresses[:1]}},
		"the key is gone too": {history(at(noon, AccountRegistered{"address-k1-00", Personal[RegisteredDetails]{Erased: true}}, AccountActivated{id(10), id(11)}), gone), Remains{Claims: claims[:1]}},
	} {
		if diff := cmp.Diff(c.want, RemainsOf(record(0, c.given...))); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

// TestSessionsEndWithTheAccount: no revision of a credential is at that of the
// erasure, which the guard of sessions is moved to.
func TestSessionsEndWithTheAccount(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		before := Fold(NewAccount(id(1)), anyHistory.Draw(t, "history")...)
		if before.Status == StatusErased {
			return
		}
		after := Evolve(before, record(before.Revision+1, happened{noon.Add(time.Hour), AccountErased{"owner"}})[0])
		if after.CredentialRevision <= before.CredentialRevision {
			t.Errorf("credential of revision %d, then %d", before.CredentialRevision, after.CredentialRevision)
		}
	})
}
