package relay

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"daybook/domain"
	"daybook/internal/testkit/golden"
)

// goldens show what consumers read.
const goldens golden.Folder = "testdata/events"

var (
	person     = uuid.MustParse("7b0c2f57-5d0e-4c6e-9a53-0d2f4f1f9b11")
	attempt    = uuid.MustParse("c1f0a3d2-0b1e-4a55-8e0e-52f3a1a0c0de")
	credential = uuid.MustParse("5f0d7c1a-66b3-4f2b-8a5f-9f3a7a5b0001")
	reset      = uuid.MustParse("e2b6c7d8-1a2b-4c3d-9e4f-5a6b7c8d9e0f")
	change     = uuid.MustParse("b7c8d9e0-1f2a-4b3c-8d4e-5f6a7b8c9d0e")
	session    = uuid.MustParse("0a1b2c3d-4e5f-4a6b-8c7d-9e0f1a2b3c4d")
	store      = uuid.MustParse("d4c3b2a1-f5e4-4b6a-9d8c-4d3c2b1a0f9e")
	moment     = time.Date(2026, 11, 25, 12, 10, 0, 123456000, time.UTC)
)

// canary marks what must not be published: it is in every personal or secret member.
const canary = "canary"

func pointer[T any](value T) *T { return &value }

var origin = domain.Seal(domain.Origin{ClientAddress: canary, UserAgent: canary})

// samples has an event for each public type, by its name.
var samples = map[string]domain.Event{
	"daybook.account.registered.v1": domain.AccountRegistered{AddressClaim: "address-" + canary,
		Personal: domain.Seal(domain.RegisteredDetails{Email: canary, FirstName: canary, LastName: canary})},
	"daybook.account.activation_requested.v1": domain.ActivationRequested{ActivationID: attempt, CredentialID: credential, ExpiresAt: moment,
		Personal: domain.Seal(domain.Names{FirstName: canary, LastName: canary})},
	"daybook.account.activated.v1":            domain.AccountActivated{ActivationID: attempt, CredentialID: credential},
	"daybook.account.registration_expired.v1": domain.RegistrationExpired{Reason: canary},
	"daybook.account.profile_updated.v1": domain.ProfileUpdated{
		Changed: []string{domain.FieldFirstName, domain.FieldBirthDate, domain.FieldThumbnail}, Thumbnail: pointer("thumbnails/" + canary),
		Personal: domain.Seal(domain.ProfileDetails{FirstName: pointer(canary), BirthDate: pointer(canary)})},
	"daybook.account.password_reset_requested.v1":   domain.ResetRequested{ResetID: reset, ExpiresAt: moment},
	"daybook.account.password_reset_link_opened.v1": domain.ResetLinkOpened{ResetID: reset},
	"daybook.account.password_changed.v1":           domain.PasswordChanged{CredentialID: credential, Cause: domain.CauseReset, ResetID: &reset},
	"daybook.account.address_change_requested.v1": domain.AddressChangeRequested{ChangeID: change, AddressClaim: "address-" + canary, ExpiresAt: moment,
		Personal: domain.Seal(domain.NewAddress{Email: canary})},
	"daybook.account.address_changed.v1": domain.AddressChanged{ChangeID: change, AddressClaim: "address-" + canary, FormerClaim: "address-" + canary,
		Personal: domain.Seal(domain.NewAddress{Email: canary})},
	"daybook.account.address_change_abandoned.v1": domain.AddressChangeAbandoned{ChangeID: change, Reason: canary},
	"daybook.account.deactivated.v1":              domain.AccountDeactivated{Reason: canary},
	"daybook.account.reactivated.v1":              domain.AccountReactivated{Reason: canary},
	"daybook.account.staff_granted.v1":            domain.StaffGranted{Reason: canary},
	"daybook.account.staff_revoked.v1":            domain.StaffRevoked{Reason: canary},
	"daybook.account.erased.v1":                   domain.AccountErased{Reason: canary},
	"daybook.account.signed_in.v1":                domain.SignedIn{SessionID: session, Cause: "password", Personal: origin},
	"daybook.account.signed_out.v1":               domain.SignedOut{SessionID: session, Cause: "request", Personal: origin},
	"daybook.account.session_ended.v1":            domain.SessionEnded{SessionID: session, Cause: "request", Personal: origin},
	"daybook.account.sign_in_refused.v1":          domain.SignInRefused{Count: 17, From: moment.Add(-15 * time.Minute), To: moment},
}

// storedOf is the sample as it lies in the store; its box is in clear, so that it
// would show if it were opened.
func storedOf(t *testing.T, event domain.Event) domain.Stored {
	t.Helper()
	encoded, err := domain.Encode(event)
	if err != nil {
		t.Fatal(err)
	}
	data, err := encoded.Data(encoded.Personal)
	if err != nil {
		t.Fatal(err)
	}
	metadata, err := json.Marshal(domain.Metadata{
		Schema: encoded.Schema, Command: canary, CommandID: credential, CorrelationID: canary, CausationID: canary, Actor: canary,
		Session: canary, RequestID: canary, Traceparent: canary, OccurredAt: moment, Producer: canary,
	})
	if err != nil {
		t.Fatal(err)
	}
	return domain.Stored{Stream: domain.AccountStream(person), Position: 1 << 40, ID: attempt, Type: encoded.Type, Data: data, Metadata: metadata}
}

func relayWithoutBrokers(t *testing.T) *Relay {
	t.Helper()
	return &Relay{config: Config{Topic: Topic(""), Source: Source(store)}}
}

// TestGoldenEvents holds the public shapes still, byte for byte.
func TestGoldenEvents(t *testing.T) {
	if len(samples) != len(types) {
		t.Errorf("%d samples for %d rows of the table", len(samples), len(types))
	}
	for name, event := range samples {
		t.Run(name, func(t *testing.T) {
			m, err := relayWithoutBrokers(t).encode(storedOf(t, event))
			if err != nil {
				t.Fatal(err)
			}
			if m.UUID != attempt.String() || m.Metadata[idHeader] != m.UUID || m.Metadata[typeHeader] != name || keyOf("", m) != person.String() {
				t.Errorf("message %s with headers %v", m.UUID, m.Metadata)
			}
			for _, secret := range []string{canary, "Y2FuYXJ5", credential.String()} {
				if all := string(m.Payload) + fmt.Sprint(m.Metadata); strings.Contains(all, secret) {
					t.Errorf("it publishes %q: %s", secret, all)
				}
			}
			checkGolden(t, name, m.Payload)
		})
	}
}

func checkGolden(t *testing.T, name string, payload []byte) {
	t.Helper()
	var got bytes.Buffer
	if err := json.Indent(&got, payload, "", "  "); err != nil {
		t.Fatal(err)
	}
	got.WriteByte('\n')
	if golden.Updating() {
		goldens.AddMissing(t, name+".json", got.Bytes())
	}
	if diff := cmp.Diff(string(goldens.Read(t, name+".json")), got.String()); diff != "" {
		t.Errorf("consumers read another shape; give the new one a new version (-golden +now):\n%s", diff)
	}
}

// TestGoldenChecksums: a file is added, never changed and never taken away.
func TestGoldenChecksums(t *testing.T) {
	goldens.Check(t)
	for _, name := range goldens.Names(t) {
		if _, ok := samples[strings.TrimSuffix(name, ".json")]; !ok {
			t.Errorf("%s is no public type any more", name)
		}
	}
}

// TestEveryEventIsDecided: a new event of accounts must be published or be named as
// unpublished, else the relay would stop at it.
func TestEveryEventIsDecided(t *testing.T) {
	elsewhere := []domain.Event{ // on streams of addresses and of the store
		domain.AddressClaimed{}, domain.AddressReleased{}, domain.StoreOpened{}, domain.KeyRotated{}, domain.KeyMadeCurrent{}, domain.AuditRead{},
		domain.TokenCreated{}, domain.TokenRevoked{}, domain.ParkedAccountDiscarded{}, domain.ParkedAccountRetried{},
	}
	for _, name := range domain.EventNames() {
		_, published := types[name.Name]
		other := slices.ContainsFunc(elsewhere, func(e domain.Event) bool { return domain.NameOf(e) == name.Name })
		if decided := count(published, unpublished[name.Name], other); decided != 1 {
			t.Errorf("%s is decided %d times", name.Name, decided)
		}
	}
}

func count(all ...bool) (n int) {
	for _, yes := range all {
		if yes {
			n++
		}
	}
	return n
}

func TestOtherStreams(t *testing.T) {
	r := relayWithoutBrokers(t)
	event := storedOf(t, domain.AccountActivated{})
	for _, stream := range []string{domain.StoreStream, "address-k-00", "account-nobody", "somebody-else"} {
		event.Stream = stream
		if m, err := r.encode(event); m != nil || err != nil {
			t.Errorf("%s: %v, %v", stream, m, err)
		}
	}
	abandoned := storedOf(t, domain.RegistrationAbandoned{Reason: canary})
	if m, err := r.encode(abandoned); m != nil || err != nil {
		t.Errorf("abandoned: %v, %v", m, err)
	}
	event = storedOf(t, domain.AccountActivated{})
	event.Type = "FromTheFuture"
	if _, err := r.encode(event); err == nil {
		t.Error("an unknown event was passed over")
	}
}

// TestDocument: what is published is described, member by member.
func TestDocument(t *testing.T) {
	document, err := os.ReadFile("../../docs/kafka.md")
	if err != nil {
		t.Fatal(err)
	}
	described := map[string]string{}
	for line := range strings.Lines(string(document)) {
		if cells := strings.Split(line, "|"); len(cells) == 5 {
			described[strings.Trim(cells[1], " `")] = cells[2]
		}
	}
	for name := range samples {
		var record struct{ Data map[string]any }
		if err := json.Unmarshal(goldens.Read(t, name+".json"), &record); err != nil {
			t.Fatal(err)
		}
		for member := range record.Data {
			if member != "account_id" && !strings.Contains(described[name], "`"+member+"`") {
				t.Errorf("docs/kafka.md does not tell of %s of %s", member, name)
			}
		}
		if _, ok := described[name]; !ok {
			t.Errorf("docs/kafka.md does not tell of %s", name)
		}
	}
}
