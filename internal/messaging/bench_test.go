package messaging_test

import (
	"strconv"
	"sync"
	"testing"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/google/uuid"
	"github.com/twmb/franz-go/pkg/kfake"

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

// BenchmarkKafkaPublish measures what a relay can do: many messages a call, or one
// a call in several lanes, which keep the order of a key as well.
func BenchmarkKafkaPublish(b *testing.B) {
	const total = 5_000
	cluster, err := kfake.NewCluster(kfake.NumBrokers(1))
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(cluster.Close)
	publisher, err := messaging.NewKafkaPublisher(messaging.KafkaPublisherConfig{
		Kafka: kafkaOf(cluster.ListenAddrs()), Key: func(_ string, m *message.Message) string { return m.UUID[:1] },
	})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = publisher.Close() })
	publish := func(messages ...*message.Message) {
		if err := publisher.Publish("events", messages...); err != nil {
			b.Error(err)
		}
	}
	created := func(count int) (messages []*message.Message) {
		for range count {
			messages = append(messages, message.NewMessage(uuid.NewString(), make([]byte, 500)))
		}
		return messages
	}
	publish(created(1)...) // makes the topic
	rate := func(b *testing.B) { b.ReportMetric(float64(total*b.N)/b.Elapsed().Seconds(), "messages/s") }
	b.Run("250 a call", func(b *testing.B) {
		for b.Loop() {
			for range total / 250 {
				publish(created(250)...)
			}
		}
		rate(b)
	})
	for _, lanes := range []int{8, 64} {
		b.Run("lanes="+strconv.Itoa(lanes), func(b *testing.B) {
			for b.Loop() {
				var work sync.WaitGroup
				for range lanes {
					work.Go(func() {
						for range total / lanes {
							publish(created(1)...)
						}
					})
				}
				work.Wait()
			}
			rate(b)
		})
	}
}
