package messaging

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/segmentio/kafka-go"
	"github.com/segmentio/kafka-go/sasl"
	"github.com/segmentio/kafka-go/sasl/plain"
	"github.com/segmentio/kafka-go/sasl/scram"
)

// Kafka says how to reach a Kafka cluster.
type Kafka struct {
	// Brokers are host:port; any of them leads to all.
	Brokers []string
	// TLS, when not nil, encrypts connections.
	TLS *tls.Config
	// User and Password, when set, are shown by SASL.
	User, Password string
	// SASL is how: "plain" (the default), "scram-sha-256" or "scram-sha-512".
	SASL string
	// Topic says how missing topics are made. Nil: they are waited for.
	Topic *KafkaTopic
	// Logger gets lost connections and nacks. Nil means silence.
	Logger *slog.Logger

	mechanism sasl.Mechanism
}

// KafkaTopic says how a topic is made.
type KafkaTopic struct {
	// Partitions bound how many consumers of a group can work at a time.
	Partitions int
	// Replicas is the number of copies of each partition. 0 leaves it to the
	// brokers, which takes Kafka 2.4 (KIP-464).
	Replicas int
	// Retention is how long records are kept, whatever their keys. 0 leaves
	// that to the brokers.
	Retention time.Duration
}

// config is how CreateTopics wants it.
func (t KafkaTopic) config(name string) kafka.TopicConfig {
	c := kafka.TopicConfig{Topic: name, NumPartitions: t.Partitions, ReplicationFactor: cmp.Or(t.Replicas, -1)}
	if t.Retention > 0 {
		c.ConfigEntries = []kafka.ConfigEntry{
			{ConfigName: "cleanup.policy", ConfigValue: "delete"},
			{ConfigName: "retention.ms", ConfigValue: strconv.FormatInt(t.Retention.Milliseconds(), 10)},
		}
	}
	return c
}

// ParseKafkaURL reads kafka://[user:password@]host:port[,host:port…][?tls=true&sasl=…].
// Its errors name DAYBOOK_KAFKA_URL and never show what it holds.
func ParseKafkaURL(text string) (Kafka, error) {
	malformed := errors.New("DAYBOOK_KAFKA_URL: want kafka://[user:password@]host:port[,host:port…][?tls=true&sasl=…]")
	rest, ok := strings.CutPrefix(text, "kafka://")
	if !ok {
		return Kafka{}, malformed
	}
	// url.Parse takes no list of hosts: it gets the first only.
	rest, query, _ := strings.Cut(rest, "?")
	user, hosts := "", strings.TrimSuffix(rest, "/")
	if at := strings.LastIndex(hosts, "@"); at >= 0 {
		user, hosts = hosts[:at+1], hosts[at+1:]
	}
	brokers := strings.Split(hosts, ",")
	var kafka Kafka
	for _, broker := range brokers {
		u, err := url.Parse("kafka://" + user + broker)
		if err != nil || u.Hostname() == "" || u.Port() == "" || u.Path != "" {
			return Kafka{}, malformed
		}
		kafka.Brokers = append(kafka.Brokers, u.Host)
		kafka.User = u.User.Username()
		kafka.Password, _ = u.User.Password()
	}
	return kafka.withSettings(query, malformed)
}

func (k Kafka) withSettings(query string, malformed error) (Kafka, error) {
	settings, err := url.ParseQuery(query)
	if err != nil {
		return Kafka{}, malformed
	}
	for name := range settings {
		switch {
		case name == "tls" && settings.Get(name) == "true":
			k.TLS = &tls.Config{MinVersion: tls.VersionTLS12}
		case name == "tls" && settings.Get(name) == "false":
		case name == "sasl" && mechanisms[settings.Get(name)] != nil:
			k.SASL = settings.Get(name)
		default:
			return Kafka{}, errors.New("DAYBOOK_KAFKA_URL: settings are tls (true, false) and sasl (plain, scram-sha-256, scram-sha-512)")
		}
	}
	return k, nil
}

func (k Kafka) validate() error {
	if len(k.Brokers) == 0 {
		return errors.New("kafka: no brokers")
	}
	if k.Topic != nil && (k.Topic.Partitions < 1 || k.Topic.Replicas < 0 || k.Topic.Retention < 0) {
		return errors.New("kafka: a topic needs partitions, and no negative replicas or retention")
	}
	return nil
}

// mechanisms are the ways to show a password.
var mechanisms = map[string]func(user, password string) (sasl.Mechanism, error){
	"plain": func(user, password string) (sasl.Mechanism, error) {
		return plain.Mechanism{Username: user, Password: password}, nil
	},
	"scram-sha-256": func(user, password string) (sasl.Mechanism, error) {
		return scram.Mechanism(scram.SHA256, user, password)
	},
	"scram-sha-512": func(user, password string) (sasl.Mechanism, error) {
		return scram.Mechanism(scram.SHA512, user, password)
	},
}

func (k Kafka) withDefaults() (Kafka, error) {
	if err := k.validate(); err != nil {
		return Kafka{}, err
	}
	if k.Logger == nil {
		k.Logger = slog.New(slog.DiscardHandler)
	}
	if k.User == "" {
		return k, nil
	}
	mechanism, ok := mechanisms[cmp.Or(k.SASL, "plain")]
	if !ok {
		return Kafka{}, fmt.Errorf("kafka: unknown SASL mechanism %q", k.SASL)
	}
	var err error
	if k.mechanism, err = mechanism(k.User, k.Password); err != nil {
		return Kafka{}, errors.New("kafka: user or password has characters that SASL forbids")
	}
	return k, nil
}

func (k Kafka) dialer() *kafka.Dialer {
	return &kafka.Dialer{Timeout: 10 * time.Second, DualStack: true, TLS: k.TLS, SASLMechanism: k.mechanism}
}

// transport finds new topics and partitions within a second; the default is six.
func (k Kafka) transport() *kafka.Transport {
	return &kafka.Transport{TLS: k.TLS, SASL: k.mechanism, MetadataTTL: time.Second}
}

// ensureTopic makes the topic unless it is there. Joining a group before its
// topic exists would never deliver anything (kafka-go #1314).
func (k Kafka) ensureTopic(ctx context.Context, topic string) error {
	if k.Topic == nil {
		partitions, err := k.partitions(ctx, topic)
		if err == nil && len(partitions) == 0 {
			err = kafka.UnknownTopicOrPartition
		}
		return err
	}
	transport := k.transport()
	defer transport.CloseIdleConnections()
	client := kafka.Client{Addr: kafka.TCP(k.Brokers...), Transport: transport}
	response, err := client.CreateTopics(ctx, &kafka.CreateTopicsRequest{Topics: []kafka.TopicConfig{k.Topic.config(topic)}})
	if err == nil {
		err = response.Errors[topic]
	}
	switch {
	case err == nil, errors.Is(err, kafka.TopicAlreadyExists):
		return nil
	case errors.Is(err, kafka.TopicAuthorizationFailed), errors.Is(err, kafka.ClusterAuthorizationFailed):
		// One who may only write is told so even if the topic exists: whether
		// it does shows when it is used.
		k.Logger.Info("kafka topic not made: that is left to others", slog.String("topic", topic))
		return nil
	}
	return fmt.Errorf("create topic %s: %w", topic, err)
}

// partitions asks one broker after the other.
func (k Kafka) partitions(ctx context.Context, topic string) (partitions []kafka.Partition, err error) {
	for _, broker := range k.Brokers {
		partitions, err = k.dialer().LookupPartitions(ctx, "tcp", broker, topic)
		if err == nil {
			return partitions, nil
		}
	}
	return nil, fmt.Errorf("look up topic %s: %w", topic, err)
}
