package eventstore_test

import (
	"testing"

	"daybook/domain"
	"daybook/internal/eventstore"
	"daybook/internal/eventstore/node/nodetest"
)

// BenchmarkAppend measures what the Client adds to the official one.
func BenchmarkAppend(b *testing.B) {
	running := nodetest.Start(b)
	client, err := eventstore.NewClient(eventstore.Config{Socket: socket(running)})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(client.Close)
	for revision := domain.NoStream; b.Loop(); revision++ {
		if _, err := client.Append(b.Context(), "account-1", revision, proposed(1)...); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkReadStream reads a stream of the usual length.
func BenchmarkReadStream(b *testing.B) {
	client, err := eventstore.NewClient(eventstore.Config{Socket: socket(nodetest.Start(b))})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(client.Close)
	if _, err := client.Append(b.Context(), "account-1", domain.NoStream, proposed(20)...); err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		for _, err := range client.ReadStream(b.Context(), "account-1", 0) {
			if err != nil {
				b.Fatal(err)
			}
		}
	}
}
