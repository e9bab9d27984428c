package messaging_test

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"testing"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/google/uuid"
	"github.com/twmb/franz-go/pkg/kfake"

	"daybook/internal/messaging"
)

// TestKafkaRestart: a broker ends and comes again on its port; publisher and
// subscriber go on, with and without a group. The real one ends by SIGKILL.
func TestKafkaRestart(t *testing.T) {
	before := runtime.NumGoroutine()
	for _, group := range []string{"readers", ""} {
		t.Run("embedded, group "+group, func(t *testing.T) {
			disk := kfake.DataDir(t.TempDir())
			cluster := startKafka(t, disk)
			brokers := cluster.ListenAddrs()
			var port int
			if _, err := fmt.Sscanf(brokers[0][strings.LastIndex(brokers[0], ":")+1:], "%d", &port); err != nil {
				t.Fatal(err)
			}
			surviveRestart(t, brokers, group, func() {
				cluster.Close()
				await(t, "restart", func() bool {
					listener, err := net.Listen("tcp", brokers[0])
					if err == nil {
						_ = listener.Close()
					}
					return err == nil
				})
				cluster = startKafka(t, disk, kfake.Ports(port))
			})
		})
		t.Run("real, group "+group, func(t *testing.T) {
			command := strings.Fields(os.Getenv("DAYBOOK_TEST_KAFKA_RESTART"))
			if len(command) == 0 {
				t.Skip("DAYBOOK_TEST_KAFKA_RESTART is no command that restarts the brokers")
			}
			surviveRestart(t, strings.Split(os.Getenv("DAYBOOK_TEST_KAFKA_BROKERS"), ","), group, func() {
				if said, err := exec.CommandContext(t.Context(), command[0], command[1:]...).CombinedOutput(); err != nil {
					t.Errorf("restart: %v: %s", err, said)
				}
			})
		})
	}
	await(t, "goroutines gone", func() bool { return runtime.NumGoroutine() <= before })
}

// surviveRestart restarts twice: after a third of the messages, which nobody has
// taken by then, and while the others are published.
func surviveRestart(t *testing.T, brokers []string, group string, restart func()) {
	topic := "events-" + uuid.NewString()
	publisher := newKafkaPublisher(t, brokers, byPayload)
	messages := subscribeKafka(t, newKafkaSubscriber(t, brokers, group), topic)
	const count = 90
	seen := map[string]bool{}
	receiveUntil := func(goal int) {
		for len(seen) < goal {
			m := receive(t, messages)
			record, ok := messaging.KafkaRecordFromContext(m.Context())
			if !ok || record.Topic != topic || string(record.Key) != string(m.Payload) {
				t.Errorf("record %+v", record)
			}
			seen[string(m.Payload)] = true
			m.Ack()
		}
	}
	for i := range count {
		m := message.NewMessage(uuid.NewString(), fmt.Appendf(nil, "%d", i))
		await(t, "publish", func() bool { return publisher.Publish(topic, m) == nil })
		switch i {
		case count / 3:
			restart()
			receiveUntil(i + 1)
		case 2 * count / 3:
			restart()
		}
	}
	receiveUntil(count)
}
