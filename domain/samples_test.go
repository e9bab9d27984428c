package domain

import (
	"time"

	"github.com/google/uuid"
)

// sample is what the golden file of an event name and version must decode to.
type sample struct {
	stream string
	event  Event
}

var (
	person        = uuid.MustParse("7b0c2f57-5d0e-4c6e-9a53-0d2f4f1f9b11")
	attempt       = uuid.MustParse("c1f0a3d2-0b1e-4a55-8e0e-52f3a1a0c0de")
	credential    = uuid.MustParse("5f0d7c1a-66b3-4f2b-8a5f-9f3a7a5b0001")
	reset         = uuid.MustParse("e2b6c7d8-1a2b-4c3d-9e4f-5a6b7c8d9e0f")
	change        = uuid.MustParse("b7c8d9e0-1f2a-4b3c-8d4e-5f6a7b8c9d0e")
	session       = uuid.MustParse("0a1b2c3d-4e5f-4a6b-8c7d-9e0f1a2b3c4d")
	store         = uuid.MustParse("d4c3b2a1-f5e4-4b6a-9d8c-4d3c2b1a0f9e")
	apiToken      = uuid.MustParse("9a8b7c6d-5e4f-4a3b-8c2d-1e0f9a8b7c6d")
	sinceTime     = microsTime.Add(-time.Hour)
	microsTime    = time.Date(2026, 11, 25, 12, 10, 0, 123456000, time.UTC)
	address       = AddressStream("k1", []byte{0x9f, 0x86, 0xd0, 0x81})
	formerAddress = AddressStream("k0", []byte{0x2c, 0x26, 0xb4, 0x6b})
	origin        = Seal(Origin{"2001:db8::1", "Mozilla/5.0 <X> & \"Y\""})
)

// samples has one entry for each row of the table of stored names.
var samples = map[EventName]sample{
	{"AccountRegistered", 1}: {AccountStream(person), AccountRegistered{address, Seal(RegisteredDetails{"Ada@Example.com", "Zoë", "O'Hara & <Söhne>"})}},
	{"ActivationRequested", 1}: {AccountStream(person),
		ActivationRequested{attempt, credential, microsTime, Seal(Names{"Zoë", "می\u200cخواهم"})}},
	{"AccountActivated", 1}:      {AccountStream(person), AccountActivated{attempt, credential}},
	{"RegistrationAbandoned", 1}: {AccountStream(person), RegistrationAbandoned{"claim taken over"}},
	{"RegistrationExpired", 1}:   {AccountStream(person), RegistrationExpired{"never activated"}},
	{"ProfileUpdated", 1}: {AccountStream(person), ProfileUpdated{
		Changed:   []string{FieldFirstName, FieldLastName, FieldPhoneNumber, FieldGithubLink, FieldBirthDate, FieldThumbnail},
		Thumbnail: pointer("thumbnails/7b0c2f57.jpg"),
		Personal:  Seal(ProfileDetails{pointer("Zoë"), pointer("O'Hara"), pointer("+2348145359073"), pointer("https://github.com/Sirneij"), pointer("1990-02-28")}),
	}},
	{"ResetRequested", 1}:         {AccountStream(person), ResetRequested{reset, microsTime}},
	{"ResetLinkOpened", 1}:        {AccountStream(person), ResetLinkOpened{reset}},
	{"PasswordChanged", 1}:        {AccountStream(person), PasswordChanged{credential, CauseReset, &reset}},
	{"AccountDeactivated", 1}:     {AccountStream(person), AccountDeactivated{"abuse"}},
	{"AccountReactivated", 1}:     {AccountStream(person), AccountReactivated{"appeal"}},
	{"StaffGranted", 1}:           {AccountStream(person), StaffGranted{"hired"}},
	{"StaffRevoked", 1}:           {AccountStream(person), StaffRevoked{"left"}},
	{"AddressChangeRequested", 1}: {AccountStream(person), AddressChangeRequested{change, address, microsTime, Seal(NewAddress{"Ada.New+tag@Example.org"})}},
	{"AddressChanged", 1}:         {AccountStream(person), AddressChanged{change, address, formerAddress, Seal(NewAddress{"Ada.New+tag@Example.org"})}},
	{"AddressChangeAbandoned", 1}: {AccountStream(person), AddressChangeAbandoned{change, "claim taken over"}},
	{"AccountErased", 1}:          {AccountStream(person), AccountErased{ReasonOwner}},
	{"AddressClaimed", 1}:         {address, AddressClaimed{person}},
	{"AddressReleased", 1}:        {address, AddressReleased{person}},
	{"SignedIn", 1}:               {AccessStream(person), SignedIn{session, "password", origin}},
	{"SignedOut", 1}:              {AccessStream(person), SignedOut{session, "person", origin}},
	{"SessionEnded", 1}:           {AccessStream(person), SessionEnded{session, "password_changed", origin}},
	{"SignInRefused", 1}:          {AccessStream(person), SignInRefused{17, microsTime.Add(-15 * time.Minute), microsTime}},
	{"StoreOpened", 1}:            {StoreStream, StoreOpened{store, "daybook", map[string]string{"address": "9f86d081", "master": "60303ae2"}}},
	{"KeyRotated", 1}:             {StoreStream, KeyRotated{"k2", "fd61a03a"}},
	{"KeyMadeCurrent", 1}:         {StoreStream, KeyMadeCurrent{"k2"}},
	{"AuditRead", 1}: {StoreStream, AuditRead{
		TokenID: &apiToken, Opened: true, Follow: true, After: 1 << 60, Account: &person,
		Types: []string{"SignedIn", "SignedOut"}, Since: &sinceTime, Until: &microsTime, Limit: 500,
	}},
	{"TokenCreated", 1}:           {StoreStream, TokenCreated{apiToken, []string{"audit:read"}, microsTime}},
	{"TokenRevoked", 1}:           {StoreStream, TokenRevoked{apiToken}},
	{"ParkedAccountDiscarded", 1}: {StoreStream, ParkedAccountDiscarded{"activity", person, 1 << 60, 7, "key_lost", "restored without its key"}},
	{"ParkedAccountRetried", 1}:   {StoreStream, ParkedAccountRetried{"accounts", person, 1 << 60, 7, "refused_23514", true}},
}

// sampleMetadata is what a command of a signed-in person leaves behind.
func sampleMetadata(schema int) Metadata {
	return Metadata{
		Schema: schema, Command: "update_profile",
		CommandID:     uuid.MustParse("3d9f7c52-8f0a-4b1e-a7c4-2b6f0e5d1c3a"),
		CorrelationID: "3d9f7c52-8f0a-4b1e-a7c4-2b6f0e5d1c3a", CausationID: "3d9f7c52-8f0a-4b1e-a7c4-2b6f0e5d1c3a",
		Actor: AccountActor(person), Session: session.String(), RequestID: "req-1",
		Traceparent: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
		OccurredAt:  microsTime, Producer: "daybook/1",
	}
}
