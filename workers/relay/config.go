package relay

import (
	"errors"
	"fmt"
	"log/slog"
	"regexp"
	"time"

	"github.com/google/uuid"

	"daybook/internal/messaging"
)

// topicName is versioned: a topic of another layout would be another one.
const topicName = "daybook.accounts.v1"

// Topic is the name of the topic in a namespace, which may be empty.
func Topic(namespace string) string {
	if namespace == "" {
		return topicName
	}
	return namespace + "." + topicName
}

// Source is the CloudEvents source of the events of a store. Ids are unique within
// it.
func Source(store uuid.UUID) string { return "urn:uuid:" + store.String() }

// topic is how the topic is made when it is missing. The number of partitions
// bounds how many consumers of a group share the work, and cannot be raised later
// without breaking the order of accounts. Records expire by age and are never
// compacted: a key has many events.
var topic = messaging.KafkaTopic{Partitions: 12, Retention: 30 * 24 * time.Hour}

// Config says where a Relay publishes.
type Config struct {
	// Kafka is the cluster. Its Topic is set here.
	Kafka messaging.Kafka
	// Topic is where to; see Topic. Source is what all events say that they come
	// from; see Source. Both are needed.
	Topic, Source string
	// Logger gets topics that must be made by others. Default: none.
	Logger *slog.Logger
}

// topicPattern is what Kafka takes for the name of a topic.
var topicPattern = regexp.MustCompile(`^[a-zA-Z0-9._-]{1,249}$`)

func (c Config) validate() error {
	if !topicPattern.MatchString(c.Topic) {
		return fmt.Errorf("%q is no name of a Kafka topic", c.Topic)
	}
	if c.Source == "" {
		return errors.New("a source of events is needed")
	}
	return nil
}
