package messaging

import (
	"context"
	"errors"
	"fmt"
)

// Ping returns nil if any of the brokers answers, over a connection of its own: what
// kafka-go keeps of a cluster tells nothing of the present. ctx must have an end.
func (p *KafkaPublisher) Ping(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	brokers := p.config.Kafka.Brokers
	answered := make(chan error, len(brokers))
	for _, broker := range brokers {
		go func() { answered <- p.config.Kafka.ask(ctx, broker) }()
	}
	var errs []error
	for range brokers {
		err := <-answered
		if err == nil {
			return nil
		}
		errs = append(errs, err)
	}
	return fmt.Errorf("no kafka broker answers: %w", errors.Join(errs...))
}

// ask has one broker say what it can do, which any broker lets anybody ask who has
// logged in.
func (k Kafka) ask(ctx context.Context, broker string) error {
	conn, err := k.dialer().DialContext(ctx, "tcp", broker)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }()
	defer context.AfterFunc(ctx, func() { _ = conn.Close() })()
	_, err = conn.ApiVersions()
	return err
}
