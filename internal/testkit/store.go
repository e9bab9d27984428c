package testkit

import (
	"crypto/rand"
	"log/slog"
	"testing"

	"github.com/jackc/pgx/v5/pgxpool"

	"daybook/internal/eventstore"
	"daybook/internal/eventstore/node/nodetest"
	"daybook/internal/vault"
)

// Client returns a client of an embedded event store of the test's own.
func Client(tb testing.TB) *eventstore.Client {
	tb.Helper()
	running := nodetest.Start(tb)
	client, err := eventstore.NewClient(eventstore.Config{Socket: running.Address()[len("unix:"):]})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(client.Close)
	return client
}

// KeySet returns a set of one random key.
func KeySet(id string) vault.KeySet {
	secret := make([]byte, 32)
	_, _ = rand.Read(secret) // never fails (crypto/rand)
	return vault.KeySet{{ID: id, Secret: secret}}
}

// Repository returns a repository over the database and a store of its own.
func Repository(tb testing.TB, pool *pgxpool.Pool) *eventstore.Repository {
	tb.Helper()
	return &eventstore.Repository{
		Client: Client(tb), Vault: vault.New(pool, KeySet("master")), Addresses: KeySet("address"),
		Logger: slog.New(slog.DiscardHandler),
	}
}
