package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	"daybook/internal/embedded/kafka"
	"daybook/internal/messaging"
	"daybook/workers/relay"
)

// kafkaEmbedded is DAYBOOK_KAFKA_URL for the broker of our own.
const kafkaEmbedded = "embedded"

func (s *Settings) checkKafka() error {
	if s.KafkaURL == "" || s.KafkaURL == kafkaEmbedded {
		return nil
	}
	_, err := messaging.ParseKafkaURL(s.KafkaURL)
	return err
}

func (b *backends) startKafka(logger *slog.Logger) (err error) {
	b.kafka, err = kafka.Start(kafka.Config{Dir: b.dir.join("kafka"), Logger: logger.With(slog.String("part", "kafka"))})
	if err != nil {
		return fmt.Errorf("DAYBOOK_KAFKA_URL is embedded and the broker cannot be started: %w", err)
	}
	return nil
}

// kafkaURL is where the relay publishes.
func (a *App) kafkaURL() string {
	if a.backends.kafka != nil {
		return a.backends.kafka.URL()
	}
	return a.settings.KafkaURL
}

// relay publishes public events.
func (a *App) relay() (func(context.Context) error, error) {
	brokers, err := messaging.ParseKafkaURL(a.kafkaURL())
	if err != nil {
		return nil, err
	}
	r, err := relay.New(relay.Config{
		Kafka: brokers, Topic: relay.Topic(a.settings.Namespace), Source: relay.Source(a.parts.identity.StoreID),
		Logger: a.logger.With(slog.String("worker", "relay")),
	}, a.parts.pool)
	if err != nil {
		return nil, fmt.Errorf("DAYBOOK_KAFKA_URL: %w", err)
	}
	a.brokers = r.Ping
	publish := a.consume(consumer{name: relay.CheckpointName, batch: true, start: r.Start, handle: r.Handle})
	return func(ctx context.Context) error {
		err := publish(ctx)
		if closing := r.Close(); closing != nil {
			a.logger.WarnContext(ctx, "kafka was not waited for", slog.Any("error", closing))
		}
		return err
	}, nil
}

var errNoKafka = errors.New("DAYBOOK_KAFKA_URL must be set for the relay: it names the brokers to publish to")
