package messaging

import (
	"context"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/segmentio/kafka-go"
)

// KafkaRecord is where a message of a KafkaSubscriber stands.
type KafkaRecord struct {
	Topic     string
	Partition int
	Offset    int64
	Key       []byte
	Time      time.Time
}

type kafkaRecordKey struct{}

// KafkaRecordFromContext returns where the message of that context stands.
func KafkaRecordFromContext(ctx context.Context) (KafkaRecord, bool) {
	record, ok := ctx.Value(kafkaRecordKey{}).(KafkaRecord)
	return record, ok
}

// kafkaMessage keeps the UUID in the header where Watermill's own Kafka
// adapter keeps it, and metadata in headers of their names.
func kafkaMessage(topic string, key []byte, m *message.Message) kafka.Message {
	headers := []kafka.Header{{Key: uuidKey, Value: []byte(m.UUID)}}
	for name, value := range m.Metadata {
		headers = append(headers, kafka.Header{Key: name, Value: []byte(value)})
	}
	return kafka.Message{Topic: topic, Key: key, Value: m.Payload, Headers: headers}
}

func fromKafka(k kafka.Message) *message.Message {
	m := message.NewMessage("", k.Value)
	for _, header := range k.Headers {
		if header.Key == uuidKey {
			m.UUID = string(header.Value)
		} else {
			m.Metadata[header.Key] = string(header.Value)
		}
	}
	return m
}
