package eventstore_test

import (
	"errors"
	"log/slog"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"
	"github.com/google/uuid"

	"daybook/domain"
	"daybook/internal/eventstore"
	"daybook/internal/eventstore/node/nodetest"
	"daybook/internal/testkit"
	"daybook/internal/vault"
)

func TestMain(m *testing.M) {
	nodetest.ServeProcess()
	os.Exit(testkit.Main(m))
}

func appending(stream string, expected int64, command uuid.UUID, events ...domain.Event) domain.Append {
	return domain.Append{
		Stream: stream, Expected: expected, Events: events,
		Metadata: domain.Metadata{Command: "Test", CommandID: command, OccurredAt: domain.Micro(time.Now())},
	}
}

func personal(email string) domain.Event {
	return domain.AccountRegistered{AddressClaim: "address-k1-00", Personal: domain.Seal(domain.RegisteredDetails{Email: email, FirstName: "Ada", LastName: "Lovelace"})}
}

func TestRepositoryFolds(t *testing.T) {
	r := testkit.Repository(t, testkit.Database(t))
	ctx := within(t, patience)
	id, command := uuid.New(), uuid.New()
	empty, err := r.Account(ctx, id)
	if err != nil || empty.Status != domain.StatusNone || empty.Revision != domain.NoStream || empty.ID != id {
		t.Fatalf("an account without events: %+v, %v", empty, err)
	}
	first := appending(domain.AccountStream(id), domain.NoStream, command, personal("ada@example.com"))
	recorded, err := r.Append(ctx, first)
	if err != nil || len(recorded) != 1 || recorded[0].Revision != 0 || recorded[0].ID != domain.EventID(first.Stream, command, 0) {
		t.Fatalf("recorded %+v, %v", recorded, err)
	}
	account, err := r.Account(ctx, id)
	if err != nil || account.Email != "ada@example.com" || account.Revision != 0 || !account.Applied(command) {
		t.Fatalf("folded %+v, %v", account, err)
	}
	// The same append again is the same; another is a conflict.
	if again, err := r.Append(ctx, first); err != nil || again[0].Revision != 0 {
		t.Fatalf("repeated: %+v, %v", again, err)
	}
	if _, err := r.Append(ctx, appending(first.Stream, domain.NoStream, uuid.New(), personal("bob@example.com"))); !errors.Is(err, domain.ErrConflict) {
		t.Fatalf("conflict: %v", err)
	}
	for s, err := range r.Client.ReadStream(ctx, first.Stream, 0) {
		if err != nil || strings.Contains(string(s.Data)+string(s.Metadata), "ada") || !strings.Contains(string(s.Metadata), `"schema":"1"`) {
			t.Fatalf("stored %s %s, %v", s.Data, s.Metadata, err)
		}
	}
}

// TestRepositoryWithoutKeys never takes an account for empty.
func TestRepositoryWithoutKeys(t *testing.T) {
	pool := testkit.Database(t)
	r := testkit.Repository(t, pool)
	ctx := within(t, patience)
	id := uuid.New()
	if _, err := r.Append(ctx, appending(domain.AccountStream(id), domain.NoStream, uuid.New(), personal("ada@example.com"))); err != nil {
		t.Fatal(err)
	}
	fresh := &eventstore.Repository{Client: r.Client, Vault: vault.New(pool, testkit.KeySet("other")), Addresses: r.Addresses, Logger: r.Logger}
	if _, err := fresh.Account(ctx, id); err == nil {
		t.Error("another master key opens the account")
	}
	if _, err := pool.Exec(ctx, `DELETE FROM vault.data_keys`); err != nil {
		t.Fatal(err)
	}
	if _, err := fresh.Account(ctx, id); !errors.Is(err, vault.ErrKeyLost) {
		t.Errorf("a lost key: %v", err)
	}
	if _, err := pool.Exec(ctx, `INSERT INTO vault.erased_subjects (subject) VALUES ($1)`, id); err != nil {
		t.Fatal(err)
	}
	account, err := fresh.Account(ctx, id)
	if err != nil || !account.Erased || account.Email != "" {
		t.Errorf("erased: %+v, %v", account, err)
	}
	if _, err := r.Append(ctx, appending(domain.AccountStream(uuid.New()), domain.NoStream, uuid.New(), personal("bob@example.com"))); err != nil {
		t.Errorf("somebody else's account: %v", err)
	}
}

// TestClaimsUnderOlderKeys are found, and stay where they are.
func TestClaimsUnderOlderKeys(t *testing.T) {
	r := testkit.Repository(t, testkit.Database(t))
	ctx := within(t, patience)
	email, err := domain.ParseEmail("Ada@Example.com")
	if err != nil {
		t.Fatal(err)
	}
	claim, err := r.Claim(ctx, email)
	if err != nil || claim.Held || claim.Revision != domain.NoStream || strings.Contains(claim.Stream, "ada") || !domain.IsAddressStream(claim.Stream) {
		t.Fatalf("nobody's claim: %+v, %v", claim, err)
	}
	holder := uuid.New()
	if _, err := r.Append(ctx, appending(claim.Stream, claim.Revision, uuid.New(), domain.AddressClaimed{AccountID: holder})); err != nil {
		t.Fatal(err)
	}
	r.Addresses = append(testkit.KeySet("next"), r.Addresses.Set()...)
	lower, err := domain.ParseEmail("ada@example.com")
	if err != nil {
		t.Fatal(err)
	}
	held, err := r.Claim(ctx, lower)
	if err != nil || held.Holder != holder || held.Stream != claim.Stream || held.Revision != 0 || held.ClaimedAt.IsZero() {
		t.Errorf("after the rotation: %+v, %v", held, err)
	}
	other, err := domain.ParseEmail("bob@example.com")
	if err != nil {
		t.Fatal(err)
	}
	if claim, err := r.Claim(ctx, other); err != nil || !strings.HasPrefix(claim.Stream, "address-next-") {
		t.Errorf("a new claim: %+v, %v", claim, err)
	}
}

// TestAccessFacts need no revision; the first sets their age.
func TestAccessFacts(t *testing.T) {
	r := testkit.Repository(t, testkit.Database(t))
	ctx := within(t, patience)
	id := uuid.New()
	signedIn := domain.SignedIn{SessionID: uuid.New(), Cause: "password", Personal: domain.Seal(domain.Origin{ClientAddress: "192.0.2.1"})}
	for i := range 3 {
		recorded, err := r.Append(ctx, appending(domain.AccessStream(id), domain.AnyRevision, uuid.New(), signedIn))
		if err != nil || recorded[0].Revision != int64(i) {
			t.Fatalf("fact %d: %+v, %v", i, recorded, err)
		}
	}
	if _, err := r.Append(ctx, appending("address-k1-00", domain.NoStream, uuid.New(), signedIn)); err == nil {
		t.Error("a personal fact in nobody's stream")
	}
}

func TestAccessAge(t *testing.T) {
	running := nodetest.Start(t)
	client := newClient(t, eventstore.Config{Socket: socket(running)})
	r := &eventstore.Repository{Client: client, Vault: vault.New(testkit.Database(t), testkit.KeySet("m")), Logger: slog.New(slog.DiscardHandler)}
	id := uuid.New()
	signedOut := domain.SignedOut{SessionID: uuid.New(), Cause: "request"}
	if _, err := r.Append(within(t, patience), appending(domain.AccessStream(id), domain.AnyRevision, uuid.New(), signedOut)); err != nil {
		t.Fatal(err)
	}
	metadata, err := running.Client(t).GetStreamMetadata(within(t, patience), domain.AccessStream(id), esdb.ReadStreamOptions{})
	if err != nil || metadata.MaxAge() == nil || *metadata.MaxAge() != 400*24*time.Hour {
		t.Errorf("age %v, %v", metadata, err)
	}
}

func TestUnavailableStoreIsTold(t *testing.T) {
	running := nodetest.Start(t)
	client := newClient(t, eventstore.Config{Socket: socket(running), Timeout: 200 * time.Millisecond})
	r := &eventstore.Repository{Client: client, Vault: vault.New(testkit.Database(t), testkit.KeySet("m")), Addresses: testkit.KeySet("a")}
	running.Stop(t)
	_, err := r.Account(t.Context(), uuid.New())
	if !domain.IsKind(err, domain.KindUnavailable) || !errors.Is(err, eventstore.ErrUnavailable) {
		t.Errorf("read: %v", err)
	}
	_, err = r.Append(t.Context(), appending("address-a-00", domain.NoStream, uuid.New(), domain.AddressClaimed{}))
	if !domain.IsKind(err, domain.KindUnavailable) {
		t.Errorf("append: %v", err)
	}
}
