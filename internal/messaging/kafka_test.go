package messaging_test

import (
	"bytes"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/ThreeDotsLabs/watermill/pubsub/tests"
	"github.com/google/uuid"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"

	"daybook/internal/messaging"
)

func startKafka(t *testing.T, options ...kfake.Opt) *kfake.Cluster {
	t.Helper()
	cluster, err := kfake.NewCluster(append([]kfake.Opt{kfake.NumBrokers(1)}, options...)...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cluster.Close)
	return cluster
}

// partitions are those of topics that tests make.
const partitions = 4

func kafkaOf(brokers []string) messaging.Kafka {
	return messaging.Kafka{Brokers: brokers, Topic: &messaging.KafkaTopic{Partitions: partitions, Replicas: 1}}
}

func newKafkaPublisher(t *testing.T, brokers []string, key func(string, *message.Message) string) *messaging.KafkaPublisher {
	t.Helper()
	p, err := messaging.NewKafkaPublisher(messaging.KafkaPublisherConfig{Kafka: kafkaOf(brokers), Key: key})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.Close() })
	return p
}

func newKafkaSubscriber(t *testing.T, brokers []string, group string) *messaging.KafkaSubscriber {
	t.Helper()
	s, err := messaging.NewKafkaSubscriber(messaging.KafkaSubscriberConfig{
		Kafka: kafkaOf(brokers), Group: group,
		CommitInterval: 20 * time.Millisecond, Heartbeat: 100 * time.Millisecond, Session: 6 * time.Second,
		JoinBackoff: 50 * time.Millisecond, NackBackoff: time.Millisecond, MaxNackBackoff: 20 * time.Millisecond,
		DrainTimeout: 100 * time.Millisecond,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

func byPayload(_ string, m *message.Message) string { return string(m.Payload) }

// eachBroker runs a test against the embedded broker and, where
// DAYBOOK_TEST_KAFKA_BROKERS names some, against real ones.
func eachBroker(t *testing.T, test func(t *testing.T, brokers []string)) {
	t.Run("embedded", func(t *testing.T) { test(t, startKafka(t).ListenAddrs()) })
	t.Run("real", func(t *testing.T) {
		brokers := os.Getenv("DAYBOOK_TEST_KAFKA_BROKERS")
		if brokers == "" {
			t.Skip("DAYBOOK_TEST_KAFKA_BROKERS names no brokers such as h1:9092,h2:9092")
		}
		test(t, strings.Split(brokers, ","))
	})
}

// TestKafkaSuite claims what Watermill's own Kafka adapter claims, in the same
// three runs. Order is claimed by key only: a partition has one message in hand,
// and what has no key goes to any partition. Delivery is at least once. The suite's
// TestReconnect is left to TestKafkaRestart: it compares with a list of what was
// sent that may lack the last.
func TestKafkaSuite(t *testing.T) {
	eachBroker(t, func(t *testing.T, brokers []string) {
		for name, c := range map[string]struct {
			features tests.Features
			key      func(string, *message.Message) string
			grouped  bool
		}{
			"group":         {tests.Features{ConsumerGroups: true, Persistent: true}, nil, true},
			"group by key":  {tests.Features{ConsumerGroups: true, Persistent: true, GuaranteedOrder: true}, byPayload, true},
			"without group": {tests.Features{Persistent: true, NewSubscriberReceivesOldMessages: true}, nil, false},
		} {
			t.Run(name, func(t *testing.T) {
				c.features.ForceShort = !long()
				inGroup := func(t *testing.T, group string) (message.Publisher, message.Subscriber) {
					return newKafkaPublisher(t, brokers, c.key), newKafkaSubscriber(t, brokers, group)
				}
				tests.TestPubSub(t, c.features, func(t *testing.T) (message.Publisher, message.Subscriber) {
					if c.grouped {
						return inGroup(t, t.Name())
					}
					return inGroup(t, "")
				}, inGroup)
			})
		}
	})
}

func subscribeKafka(t *testing.T, s *messaging.KafkaSubscriber, topic string) <-chan *message.Message {
	t.Helper()
	messages, err := s.Subscribe(t.Context(), topic)
	if err != nil {
		t.Fatal(err)
	}
	return messages
}

// TestKafkaAcksSurvive: what was acked before Close does not come again.
func TestKafkaAcksSurvive(t *testing.T) {
	eachBroker(t, func(t *testing.T, brokers []string) {
		topic := "events-" + uuid.NewString()
		publisher := newKafkaPublisher(t, brokers, func(string, *message.Message) string { return "one partition" })
		const count = 20
		var sent []*message.Message
		for range count {
			sent = append(sent, message.NewMessage(uuid.NewString(), []byte("x")))
		}
		if err := publisher.Publish(topic, sent...); err != nil {
			t.Fatal(err)
		}
		for half := range 2 {
			s := newKafkaSubscriber(t, brokers, "readers of "+topic)
			messages := subscribeKafka(t, s, topic)
			for i := range count / 2 {
				m := receive(t, messages)
				if want := sent[half*count/2+i]; !m.Equals(want) {
					t.Errorf("got %s, want %s", m.UUID, want.UUID)
				}
				m.Ack()
			}
			if err := s.Close(); err != nil {
				t.Error(err)
			}
		}
	})
}

// TestKafkaRebalance: members come and go; nothing is lost and every key keeps
// its order.
func TestKafkaRebalance(t *testing.T) { eachBroker(t, rebalance) }

func rebalance(t *testing.T, brokers []string) {
	topic := "events-" + uuid.NewString()
	publisher := newKafkaPublisher(t, brokers, func(_ string, m *message.Message) string { return m.Metadata["key"] })
	const keys, each = 8, 40
	var work sync.WaitGroup
	work.Go(func() { publishByKey(t, publisher, topic, keys, each) })
	got := &progress{next: map[string]int{}}
	var members []*messaging.KafkaSubscriber
	for range 3 {
		s := newKafkaSubscriber(t, brokers, "readers of "+topic)
		members = append(members, s)
		messages := subscribeKafka(t, s, topic)
		work.Go(func() { got.consume(t, messages) })
		goal := min(got.total()+20, keys*each)
		await(t, "progress", func() bool { return got.total() >= goal })
	}
	_ = members[0].Close()
	await(t, "everything", func() bool { return got.total() == keys*each })
	for _, m := range members {
		_ = m.Close()
	}
	work.Wait()
}

func publishByKey(t *testing.T, publisher *messaging.KafkaPublisher, topic string, keys, each int) {
	for i := range each {
		var batch []*message.Message
		for k := range keys {
			m := message.NewMessage(uuid.NewString(), fmt.Appendf(nil, "%d", i))
			m.Metadata.Set("key", fmt.Sprint(k))
			batch = append(batch, m)
		}
		if err := publisher.Publish(topic, batch...); err != nil {
			t.Error(err)
		}
	}
}

// progress is the number that comes next of each key.
type progress struct {
	mu   sync.Mutex
	next map[string]int
}

func (p *progress) total() (n int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, next := range p.next {
		n += next
	}
	return n
}

// consume acks all; a number may come again, but none may be left out.
func (p *progress) consume(t *testing.T, messages <-chan *message.Message) {
	for m := range messages {
		var i int
		_, err := fmt.Sscan(string(m.Payload), &i)
		key := m.Metadata["key"]
		p.mu.Lock()
		if err != nil || i > p.next[key] {
			t.Errorf("key %s: %d instead of %d", key, i, p.next[key])
		}
		p.next[key] = max(p.next[key], i+1)
		p.mu.Unlock()
		m.Ack()
	}
}

// TestKafkaOrderAfterFailure: what follows a write that failed is not written
// before it, however much one call publishes.
func TestKafkaOrderAfterFailure(t *testing.T) {
	cluster := startKafka(t)
	publisher := newKafkaPublisher(t, cluster.ListenAddrs(), func(string, *message.Message) string { return "one partition" })
	const count = 1200
	var sent []*message.Message
	for i := range count {
		sent = append(sent, message.NewMessage(uuid.NewString(), fmt.Append(bytes.Repeat([]byte{'0'}, 1000), i)))
	}
	// The second write fails until it is given up.
	writes := 0
	cluster.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.Produce}, Err: kerr.NotEnoughReplicas, Count: 3, When: func(kmsg.Request) bool {
		writes++
		return writes > 1
	}})
	if err := publisher.Publish("events", sent...); err == nil {
		t.Fatal("no write failed")
	}
	if err := publisher.Publish("events", sent...); err != nil {
		t.Fatal(err)
	}
	messages := subscribeKafka(t, newKafkaSubscriber(t, cluster.ListenAddrs(), ""), "events")
	seen := map[string]bool{}
	for len(seen) < count {
		m := receive(t, messages)
		if !seen[m.UUID] && m.UUID != sent[len(seen)].UUID {
			t.Fatalf("record %d is %.40s", len(seen), m.Payload)
		}
		seen[m.UUID] = true
		m.Ack()
	}
}

// TestKafkaTopic: a topic is made as it was asked for, and one who may only write
// uses what others have made.
func TestKafkaTopic(t *testing.T) {
	cluster := startKafka(t)
	k := messaging.Kafka{Brokers: cluster.ListenAddrs(), Topic: &messaging.KafkaTopic{Partitions: 3, Retention: time.Hour}}
	publish := func() error {
		publisher, err := messaging.NewKafkaPublisher(messaging.KafkaPublisherConfig{Kafka: k})
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = publisher.Close() }()
		return publisher.Publish("events", message.NewMessage(uuid.NewString(), nil))
	}
	if err := publish(); err != nil {
		t.Fatal(err)
	}
	info := cluster.TopicInfo("events")
	if len(cluster.PartitionInfos("events")) != 3 || *info.Configs["retention.ms"] != "3600000" || *info.Configs["cleanup.policy"] != "delete" {
		t.Errorf("%d partitions, %v", len(cluster.PartitionInfos("events")), info.Configs)
	}
	cluster.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.CreateTopics}, Err: kerr.TopicAuthorizationFailed, Count: -1})
	if err := publish(); err != nil {
		t.Error(err)
	}
}

func TestKafkaSASL(t *testing.T) {
	for url, method := range map[string]string{
		"": "PLAIN", "?sasl=plain": "PLAIN", "?sasl=scram-sha-256": "SCRAM-SHA-256", "?sasl=scram-sha-512": "SCRAM-SHA-512",
	} {
		t.Run(method, func(t *testing.T) {
			brokers := startKafka(t, kfake.EnableSASL(), kfake.Superuser(method, "user", "s3cret")).ListenAddrs()
			for password, works := range map[string]bool{"s3cret": true, "wrong": false} {
				k, err := messaging.ParseKafkaURL("kafka://user:" + password + "@" + brokers[0] + url)
				if err != nil {
					t.Fatal(err)
				}
				k.Topic = &messaging.KafkaTopic{Partitions: 1, Replicas: 1}
				s, err := messaging.NewKafkaSubscriber(messaging.KafkaSubscriberConfig{Kafka: k})
				if err != nil {
					t.Fatal(err)
				}
				if err := s.SubscribeInitialize("events"); (err == nil) != works {
					t.Errorf("password %s: %v", password, err)
				}
			}
		})
	}
}

func TestKafkaURL(t *testing.T) {
	k, err := messaging.ParseKafkaURL("kafka://us%40er:p%2Fw@h1:9092,h2:9093?tls=true&sasl=plain")
	if err != nil || len(k.Brokers) != 2 || k.Brokers[1] != "h2:9093" || k.TLS == nil || k.User != "us@er" || k.Password != "p/w" {
		t.Errorf("%+v, %v", k, err)
	}
	if k, err := messaging.ParseKafkaURL("kafka://h1:9092"); err != nil || k.TLS != nil || k.User != "" {
		t.Errorf("%+v, %v", k, err)
	}
	for _, url := range []string{
		"", "h1:9092", "kafka://", "kafka://user:s3cret@h1", "kafka://user:s3/cret@h1:9092",
		"kafka://user:s3cret@h1:9092/path", "kafka://user:s3cret@h1:9092?tls=maybe", "kafka://user:s3cret@h1:9092?s3cret=1", "kafka://h1:9092,",
	} {
		if _, err := messaging.ParseKafkaURL(url); err == nil || strings.Contains(err.Error(), "cret") || !strings.Contains(err.Error(), "DAYBOOK_KAFKA_URL") {
			t.Errorf("%q: %v", url, err)
		}
	}
	if _, err := messaging.NewKafkaPublisher(messaging.KafkaPublisherConfig{}); err == nil {
		t.Error("a publisher without brokers")
	}
	if _, err := messaging.NewKafkaSubscriber(messaging.KafkaSubscriberConfig{
		Kafka: messaging.Kafka{Brokers: []string{"h:1"}}, DrainTimeout: time.Hour,
	}); err == nil {
		t.Error("draining longer than the session")
	}
}
