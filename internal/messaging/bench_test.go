package messaging_test

import (
	"strconv"
	"testing"

	"github.com/google/uuid"

	"daybook/internal/eventstore"
	"daybook/internal/eventstore/node/nodetest"
	"daybook/internal/messaging"
)

// BenchmarkCatchUp measures events per second from history: node and client in
// one process, over a unix socket.
func BenchmarkCatchUp(b *testing.B) {
	const total = 50_000
	client, err := eventstore.NewClient(eventstore.Config{Socket: socket(nodetest.Start(b))})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(client.Close)
	events := make([]eventstore.Proposed, 500)
	for i := range total / len(events) {
		for j := range events {
			events[j] = eventstore.Proposed{
				ID: uuid.New(), Type: "ProfileUpdated", Data: make([]byte, 350), Metadata: []byte(`{"schema":"1"}`),
			}
		}
		if _, err := client.Append(b.Context(), "account-"+strconv.Itoa(i), eventstore.Any, events...); err != nil {
			b.Fatal(err)
		}
	}
	for name, batch := range map[string]bool{"event": false, "batch": true} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				s, err := messaging.NewSubscriber(client, messaging.SubscriberConfig{Batch: batch})
				if err != nil {
					b.Fatal(err)
				}
				messages, err := s.Subscribe(b.Context(), messaging.All)
				if err != nil {
					b.Fatal(err)
				}
				for seen := 0; seen < total; {
					m := <-messages
					seen += len(messaging.BatchFromContext(m.Context()).Events)
					m.Ack()
				}
				_ = s.Close() // always nil
			}
			b.ReportMetric(float64(total*b.N)/b.Elapsed().Seconds(), "events/s")
		})
	}
}
