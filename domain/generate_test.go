package domain

import (
	"time"

	"github.com/google/uuid"
	"pgregory.net/rapid"
)

// Generators draw from few ids and times, so that events meet: a wide choice
// would hardly ever name the same reset twice.
var (
	anyID       = rapid.Custom(func(t *rapid.T) uuid.UUID { return id(rapid.Uint32Range(1, 6).Draw(t, "id")) })
	anyText     = rapid.OneOf(rapid.String(), rapid.SampledFrom([]string{"", "<&>\u2028", "\u202e", "Ada"}))
	anyOptional = rapid.Ptr(anyText, true)
	anyTime     = rapid.Custom(func(t *rapid.T) time.Time {
		return noon.Add(time.Duration(rapid.Int64Range(0, 200).Draw(t, "minutes")) * time.Minute)
	})
	anyNewAddress = rapid.Custom(func(t *rapid.T) NewAddress { return NewAddress{anyText.Draw(t, "email")} })
	anyNames      = rapid.Custom(func(t *rapid.T) Names { return Names{anyText.Draw(t, "first"), anyText.Draw(t, "last")} })
)

// personal draws a sealed part; erased ones only where history is read.
func personal[T any](value *rapid.Generator[T], erased bool) *rapid.Generator[Personal[T]] {
	return rapid.Custom(func(t *rapid.T) Personal[T] {
		if erased && rapid.Bool().Draw(t, "erased") {
			return Personal[T]{Erased: true}
		}
		return Seal(value.Draw(t, "personal"))
	})
}

// anyEvent draws an event of any type in the table, by what its members are.
func anyEvent(erased bool) *rapid.Generator[Event] {
	return rapid.Custom(func(t *rapid.T) Event {
		return rapid.OneOf(requests(erased), facts(erased), operations()).Draw(t, "event")
	})
}

func requests(erased bool) *rapid.Generator[Event] {
	return rapid.Custom(func(t *rapid.T) Event {
		a, b, when := anyID.Draw(t, "a"), anyID.Draw(t, "b"), anyTime.Draw(t, "time")
		switch rapid.IntRange(0, 9).Draw(t, "kind") {
		case 7:
			return AddressChangeRequested{a, anyText.Draw(t, "claim"), when, personal(anyNewAddress, erased).Draw(t, "address")}
		case 8:
			return AddressChanged{a, anyText.Draw(t, "claim"), anyText.Draw(t, "former"), personal(anyNewAddress, erased).Draw(t, "address")}
		case 9:
			return AddressChangeAbandoned{a, anyText.Draw(t, "reason")}
		case 0:
			return ActivationRequested{a, b, when, personal(anyNames, erased).Draw(t, "names")}
		case 1:
			return AccountActivated{a, b}
		case 2:
			return ResetRequested{a, when}
		case 3:
			return ResetLinkOpened{a}
		case 4:
			return PasswordChanged{a, anyText.Draw(t, "cause"), rapid.Ptr(anyID, true).Draw(t, "reset")}
		case 5:
			return AddressClaimed{a}
		default:
			return AddressReleased{a}
		}
	})
}

func facts(erased bool) *rapid.Generator[Event] {
	return rapid.Custom(func(t *rapid.T) Event {
		text := anyText.Draw(t, "text")
		switch kind := rapid.IntRange(0, 15).Draw(t, "kind"); kind {
		case 0:
			return RegistrationAbandoned{text}
		case 1:
			return RegistrationExpired{text}
		case 2:
			return AccountDeactivated{text}
		case 3:
			return AccountReactivated{text}
		case 4:
			return StaffGranted{text}
		case 5:
			return StaffRevoked{text}
		case 6:
			return AccountRegistered{text, personal(registeredDetails(), erased).Draw(t, "details")}
		case 7, 8:
			return profileUpdated(erased).Draw(t, "profile")
		case 15:
			return AccountErased{text}
		default:
			return access(kind, erased).Draw(t, "access")
		}
	})
}

func access(kind int, erased bool) *rapid.Generator[Event] {
	return rapid.Custom(func(t *rapid.T) Event {
		a, text := anyID.Draw(t, "a"), anyText.Draw(t, "text")
		from := personal(rapid.Custom(func(t *rapid.T) Origin {
			return Origin{anyText.Draw(t, "address"), anyText.Draw(t, "agent")}
		}), erased).Draw(t, "origin")
		switch kind {
		case 9:
			return SignedIn{a, text, from}
		case 10:
			return SignedOut{a, text, from}
		case 11:
			return SessionEnded{a, text, from}
		case 12:
			return SignInRefused{rapid.Int().Draw(t, "count"), anyTime.Draw(t, "from"), anyTime.Draw(t, "to")}
		case 13:
			return StoreOpened{a, text, rapid.MapOf(anyText, anyText).Draw(t, "fingerprints")}
		default:
			return KeyRotated{text, anyText.Draw(t, "fingerprint")}
		}
	})
}

// operations draws events of the store's own stream.
func operations() *rapid.Generator[Event] {
	texts := rapid.SliceOfN(anyText, 1, 3)
	return rapid.Custom(func(t *rapid.T) Event {
		switch rapid.IntRange(0, 5).Draw(t, "kind") {
		case 5:
			return KeyMadeCurrent{anyText.Draw(t, "key")}
		case 3:
			return ParkedAccountDiscarded{anyText.Draw(t, "view"), anyID.Draw(t, "account"), rapid.Uint64().Draw(t, "position"),
				rapid.Int64().Draw(t, "revision"), anyText.Draw(t, "parked"), anyText.Draw(t, "reason")}
		case 4:
			return ParkedAccountRetried{anyText.Draw(t, "view"), anyID.Draw(t, "account"), rapid.Uint64().Draw(t, "position"),
				rapid.Int64().Draw(t, "revision"), anyText.Draw(t, "parked"), rapid.Bool().Draw(t, "discarded")}
		case 0:
			return TokenCreated{anyID.Draw(t, "token"), texts.Draw(t, "scopes"), anyTime.Draw(t, "end")}
		case 1:
			return TokenRevoked{anyID.Draw(t, "token")}
		default:
			return AuditRead{
				TokenID: rapid.Ptr(anyID, true).Draw(t, "token"), Opened: rapid.Bool().Draw(t, "opened"), Follow: rapid.Bool().Draw(t, "follow"),
				After: rapid.Uint64().Draw(t, "after"), Account: rapid.Ptr(anyID, true).Draw(t, "account"), Types: texts.Draw(t, "types"),
				Since: rapid.Ptr(anyTime, true).Draw(t, "since"), Until: rapid.Ptr(anyTime, true).Draw(t, "until"), Limit: rapid.Int().Draw(t, "limit"),
			}
		}
	})
}

func registeredDetails() *rapid.Generator[RegisteredDetails] {
	return rapid.Custom(func(t *rapid.T) RegisteredDetails {
		return RegisteredDetails{anyText.Draw(t, "email"), anyText.Draw(t, "first"), anyText.Draw(t, "last")}
	})
}

func profileUpdated(erased bool) *rapid.Generator[Event] {
	details := rapid.Custom(func(t *rapid.T) ProfileDetails {
		return ProfileDetails{
			anyOptional.Draw(t, "first"), anyOptional.Draw(t, "last"), anyOptional.Draw(t, "phone"),
			anyOptional.Draw(t, "github"), anyOptional.Draw(t, "birth"),
		}
	})
	fields := rapid.SliceOf(rapid.SampledFrom([]string{
		FieldFirstName, FieldLastName, FieldPhoneNumber, FieldGithubLink, FieldBirthDate, FieldThumbnail, "unheard_of",
	}))
	return rapid.Custom(func(t *rapid.T) Event {
		return ProfileUpdated{fields.Draw(t, "changed"), anyOptional.Draw(t, "thumbnail"), personal(details, erased).Draw(t, "details")}
	})
}

// anyHistory draws events in any order, also such as no decision makes.
var anyHistory = rapid.Custom(func(t *rapid.T) []Recorded {
	events := rapid.SliceOfN(anyEvent(true), 0, 30).Draw(t, "events")
	dated := make([]happened, len(events))
	for i, e := range events {
		dated[i] = happened{anyTime.Draw(t, "at"), e}
	}
	return record(0, dated...)
})

// anyCommand draws a command with fresh ids, as commands have.
func anyCommand(t *rapid.T, a Account, now time.Time) Decider {
	fresh := func(label string) uuid.UUID { return id(rapid.Uint32Range(100, 1<<31).Draw(t, label)) }
	expires := now.Add(time.Duration(rapid.IntRange(1, 120).Draw(t, "life")) * time.Minute)
	if rapid.Bool().Draw(t, "link") {
		return linkCommand(t, a, fresh("credential"))
	}
	switch rapid.IntRange(0, 15).Draw(t, "command") {
	case 11, 12:
		claim := rapid.SampledFrom([]string{"address-k1-00", "address-k1-01", "address-k1-02"}).Draw(t, "claim")
		return RequestAddressChange{fresh("change"), claim, claim + "@example.com", a.Credential, expires, 0}
	case 13:
		return AbandonAddressChange{a.AddressChange.ID, "claim taken over"}
	case 0:
		return Register{"address-k1-00", "ada@example.com", ada, fresh("attempt"), fresh("credential"), expires}
	case 1:
		return RegisterAgain{anyNames.Draw(t, "names"), fresh("attempt"), fresh("credential"), expires, 0}
	case 2:
		return RequestActivation{fresh("attempt"), expires, 0}
	case 3:
		return AbandonRegistration{"slow"}
	case 4:
		return ExpireRegistration{"unused", time.Hour}
	case 5, 6:
		return RequestReset{fresh("reset"), expires, 0}
	case 7:
		return ChangePassword{a.Credential, fresh("credential")}
	case 8:
		return Deactivate{"abuse"}
	case 9:
		return Reactivate{"appeal"}
	case 10:
		return GrantStaff{"hired", rapid.Bool().Draw(t, "staff")}
	case 15:
		if rapid.IntRange(0, 4).Draw(t, "for good") == 0 { // else hardly any life would get long
			return Erase{"owner", rapid.Bool().Draw(t, "owner"), rapid.SampledFrom([]uuid.UUID{a.Credential, id(99)}).Draw(t, "proved")}
		}
	}
	return anyUpdate.Draw(t, "update")
}

// linkCommand draws a use of a link that the account knows, or of none.
func linkCommand(t *rapid.T, a Account, credential uuid.UUID) Decider {
	ids := []uuid.UUID{uuid.Nil, a.Reset.ID, a.AddressChange.ID, a.AddressChange.ID}
	for _, activation := range a.Activations {
		ids = append(ids, activation.ID)
	}
	link := rapid.SampledFrom(ids).Draw(t, "link")
	return rapid.SampledFrom([]Decider{Activate{link}, OpenResetLink{link}, ResetPassword{link, credential}, ChangeAddress{link}}).Draw(t, "use")
}

var anyUpdate = rapid.Custom(func(t *rapid.T) Decider {
	return UpdateProfile{
		anyOptional.Draw(t, "first"), anyOptional.Draw(t, "last"), anyOptional.Draw(t, "phone"),
		anyOptional.Draw(t, "github"), anyOptional.Draw(t, "birth"), anyOptional.Draw(t, "thumbnail"),
		rapid.Ptr(rapid.Int64Range(-1, 10), true).Draw(t, "version"),
	}
})
