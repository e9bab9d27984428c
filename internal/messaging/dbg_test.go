package messaging_test

import (
	"fmt"
	"os"
	"sync"
	"testing"
	"time"
	"log/slog"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/google/uuid"
	"daybook/internal/messaging"
)

func TestDbg(t *testing.T) {
	cluster := startKafka(t)
	brokers := cluster.ListenAddrs()
	k := kafkaOf(brokers)
	k.Logger = slog.New(slog.NewTextHandler(os.Stdout, nil))
	s, _ := messaging.NewKafkaSubscriber(messaging.KafkaSubscriberConfig{
		Kafka: k, Group: "g",
		CommitInterval: 20 * time.Millisecond, Heartbeat: 100 * time.Millisecond, Session: 6 * time.Second,
		JoinBackoff: 50 * time.Millisecond, DrainTimeout: 100 * time.Millisecond,
	})
	p := newKafkaPublisher(t, brokers, nil)
	var wg sync.WaitGroup
	for i := range 10 {
		wg.Go(func() {
			topic := fmt.Sprintf("topic-%d", i)
			if err := s.SubscribeInitialize(topic); err != nil {
				t.Error(err)
			}
			var ms []*message.Message
			for range 50 {
				ms = append(ms, message.NewMessage(uuid.NewString(), []byte("x")))
			}
			if err := p.Publish(topic, ms...); err != nil {
				t.Error(err)
			}
			messages, _ := s.Subscribe(t.Context(), topic)
			for n := range 50 {
				select {
				case m := <-messages:
					m.Ack()
				case <-time.After(5 * time.Second):
					t.Errorf("%s: %d", topic, n)
					for _, pi := range cluster.PartitionInfos(topic) {
						t.Logf("%+v", *pi)
					}
					return
				}
			}
		})
	}
	wg.Wait()
	t.Logf("%+v", cluster.GroupInfo("g"))
	s.Close()
}
