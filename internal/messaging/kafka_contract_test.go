package messaging_test

import (
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/google/uuid"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"

	"daybook/internal/messaging"
)

// requests notes what a cluster is asked, in its order.
type requests struct {
	mu  sync.Mutex
	all []kmsg.Request
}

func watch(cluster *kfake.Cluster) *requests {
	r := &requests{}
	cluster.Control(func(request kmsg.Request) (kmsg.Response, error, bool) {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.all = append(r.all, request)
		return nil, nil, false
	})
	return r
}

func (r *requests) of(key kmsg.Key) (found []kmsg.Request) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, request := range r.all {
		if request.Key() == key.Int16() {
			found = append(found, request)
		}
	}
	return found
}

// first is the place of the first request of that kind, -1 for none.
func (r *requests) first(key kmsg.Key) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.IndexFunc(r.all, func(request kmsg.Request) bool { return request.Key() == key.Int16() })
}

// TestKafkaKeys: a key has the partition that Java's clients give it. The hashes
// are those of Kafka's own UtilsTest.
func TestKafkaKeys(t *testing.T) {
	hashes := map[string]int32{
		"21": -973932308, "foobar": -790332482, "a-little-bit-long-string": -985981536,
		"a-little-bit-longer-string": -1486304829, "lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8": -58897971,
	}
	eachBroker(t, func(t *testing.T, brokers []string) {
		topic := "events-" + uuid.NewString()
		publisher := newKafkaPublisher(t, brokers, byPayload)
		for key := range hashes {
			for range 2 {
				if err := publisher.Publish(topic, message.NewMessage(uuid.NewString(), []byte(key))); err != nil {
					t.Fatal(err)
				}
			}
		}
		messages := subscribeKafka(t, newKafkaSubscriber(t, brokers, ""), topic)
		for range 2 * len(hashes) {
			m := receive(t, messages)
			record, _ := messaging.KafkaRecordFromContext(m.Context())
			if want := int(hashes[string(m.Payload)]&0x7fffffff) % partitions; string(record.Key) != string(m.Payload) || record.Partition != want {
				t.Errorf("key %q of %q in partition %d, want %d", record.Key, m.Payload, record.Partition, want)
			}
			m.Ack()
		}
	})
}

// TestKafkaAcksFromAll: every write asks for the acks of all in-sync replicas.
func TestKafkaAcksFromAll(t *testing.T) {
	cluster := startKafka(t)
	asked := watch(cluster)
	publisher := newKafkaPublisher(t, cluster.ListenAddrs(), nil)
	if err := publisher.Publish("events", message.NewMessage(uuid.NewString(), nil)); err != nil {
		t.Fatal(err)
	}
	writes := asked.of(kmsg.Produce)
	for _, write := range writes {
		if acks := write.(*kmsg.ProduceRequest).Acks; acks != -1 {
			t.Errorf("a write asks for %d acks", acks)
		}
	}
	if len(writes) == 0 {
		t.Error("nothing was written")
	}
}

// TestKafkaFlushesAtOnce: a single message is not kept waiting for others, which
// kafka-go would do for a second.
func TestKafkaFlushesAtOnce(t *testing.T) {
	eachBroker(t, func(t *testing.T, brokers []string) {
		topic := "events-" + uuid.NewString()
		publisher := newKafkaPublisher(t, brokers, nil)
		publish := func() {
			if err := publisher.Publish(topic, message.NewMessage(uuid.NewString(), nil)); err != nil {
				t.Fatal(err)
			}
		}
		publish() // makes the topic
		const count = 20
		start := time.Now()
		for range count {
			publish()
		}
		if took := time.Since(start); took > count*time.Second/4 {
			t.Errorf("%d messages one after the other took %s", count, took)
		}
	})
}

// TestKafkaPartitionsAreIndependent: a message in hand holds up its partition and
// no other.
func TestKafkaPartitionsAreIndependent(t *testing.T) {
	eachBroker(t, func(t *testing.T, brokers []string) {
		topic := "events-" + uuid.NewString()
		publisher := newKafkaPublisher(t, brokers, byPayload)
		keys := []string{"21", "foobar", "a-little-bit-long-string"} // partitions 0, 2 and 0
		for _, key := range keys {
			for range 3 {
				if err := publisher.Publish(topic, message.NewMessage(uuid.NewString(), []byte(key))); err != nil {
					t.Fatal(err)
				}
			}
		}
		messages := subscribeKafka(t, newKafkaSubscriber(t, brokers, "readers of "+topic), topic)
		held, seen := map[int]*message.Message{}, map[int]int{}
		for seen[2] < 3 || held[0] == nil {
			m := receive(t, messages)
			record, _ := messaging.KafkaRecordFromContext(m.Context())
			if held[record.Partition] != nil {
				t.Fatalf("a second message of partition %d in hand", record.Partition)
			}
			if seen[record.Partition]++; record.Partition == 0 {
				held[0] = m
				continue
			}
			m.Ack()
		}
		held[0].Ack()
	})
}

// TestKafkaCommitInterval: acks are saved together, not one by one, and the last of
// them by Close.
func TestKafkaCommitInterval(t *testing.T) {
	cluster := startKafka(t)
	asked := watch(cluster)
	publisher := newKafkaPublisher(t, cluster.ListenAddrs(), func(string, *message.Message) string { return "one partition" })
	const count = 50
	for i := range count {
		if err := publisher.Publish("events", message.NewMessage(uuid.NewString(), fmt.Append(nil, i))); err != nil {
			t.Fatal(err)
		}
	}
	consume := func(interval time.Duration, from, to int) *messaging.KafkaSubscriber {
		s, err := messaging.NewKafkaSubscriber(messaging.KafkaSubscriberConfig{
			Kafka: kafkaOf(cluster.ListenAddrs()), Group: "readers", CommitInterval: interval,
			Heartbeat: 100 * time.Millisecond, Session: 6 * time.Second, DrainTimeout: time.Second,
		})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = s.Close() })
		messages := subscribeKafka(t, s, "events")
		for i := from; i < to; i++ {
			m := receive(t, messages)
			if string(m.Payload) != fmt.Sprint(i) {
				t.Fatalf("message %s, want %d", m.Payload, i)
			}
			m.Ack()
		}
		return s
	}
	s := consume(time.Hour, 0, count/2)
	beats := len(asked.of(kmsg.Heartbeat))
	await(t, "some time passes", func() bool { return len(asked.of(kmsg.Heartbeat)) >= beats+3 })
	if commits := asked.of(kmsg.OffsetCommit); len(commits) != 0 {
		t.Errorf("%d commits before the interval is over", len(commits))
	}
	_ = s.Close()
	if commits := asked.of(kmsg.OffsetCommit); len(commits) != 1 {
		t.Errorf("%d commits by Close, want 1", len(commits))
	}
	consume(time.Millisecond, count/2, count)
	await(t, "the last ack is saved without Close", func() bool {
		commits := asked.of(kmsg.OffsetCommit)
		last := commits[len(commits)-1].(*kmsg.OffsetCommitRequest)
		return last.Topics[0].Partitions[0].Offset == count
	})
}

// TestKafkaTopicComesFirst: a group is joined when its topic is there and not
// before, whoever makes it: joined earlier, it would never hear of it.
func TestKafkaTopicComesFirst(t *testing.T) {
	for name, own := range map[string]*messaging.KafkaTopic{"made": {Partitions: 1, Replicas: 1}, "awaited": nil} {
		t.Run(name, func(t *testing.T) {
			cluster := startKafka(t)
			asked := watch(cluster)
			s, err := messaging.NewKafkaSubscriber(messaging.KafkaSubscriberConfig{
				Kafka: messaging.Kafka{Brokers: cluster.ListenAddrs(), Topic: own}, Group: "readers", DrainTimeout: time.Second,
			})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = s.Close() })
			messages := subscribeKafka(t, s, "events")
			if own == nil {
				await(t, "several looks", func() bool { return len(asked.of(kmsg.Metadata)) >= 3 })
				if len(asked.of(kmsg.JoinGroup)) != 0 {
					t.Error("joined before there was a topic")
				}
			} else {
				await(t, "the topic is made", func() bool { return cluster.TopicInfo("events") != nil })
			}
			publisher := newKafkaPublisher(t, cluster.ListenAddrs(), nil)
			if err := publisher.Publish("events", message.NewMessage(uuid.NewString(), nil)); err != nil {
				t.Fatal(err)
			}
			receive(t, messages).Ack()
			if made, joined := asked.first(kmsg.CreateTopics), asked.first(kmsg.JoinGroup); made > joined {
				t.Errorf("topic made by request %d, group joined by request %d", made, joined)
			}
		})
	}
}
