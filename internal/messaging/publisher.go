package messaging

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"

	"github.com/ThreeDotsLabs/watermill/message"

	"daybook/internal/eventstore"
)

// ErrClosed is what a closed Publisher or Subscriber returns.
var ErrClosed = errors.New("messaging: closed")

// PublisherConfig says to which stream and under which type messages are appended.
type PublisherConfig struct {
	// Stream names the stream of a message. Nil: the topic.
	Stream func(topic string, m *message.Message) (string, error)
	// Type names the event type of a message. Nil: the metadata member "name",
	// where Watermill's cqrs package keeps it, or else "Message".
	Type func(m *message.Message) string
}

func (c PublisherConfig) withDefaults() PublisherConfig {
	if c.Stream == nil {
		c.Stream = func(topic string, _ *message.Message) (string, error) {
			target, err := defaultTarget(topic)
			if err == nil && target.All {
				err = errors.New("all streams at once cannot be published to")
			}
			return target.Stream, err
		}
	}
	if c.Type == nil {
		c.Type = func(m *message.Message) string {
			if name := m.Metadata.Get("name"); name != "" {
				return name
			}
			return "Message"
		}
	}
	return c
}

// Publisher appends messages to streams. It implements message.Publisher and is
// safe for concurrent use.
type Publisher struct {
	client *eventstore.Client
	config PublisherConfig
	closed atomic.Bool
}

// NewPublisher returns a publisher that appends through the client, which stays the
// caller's to close. It does no I/O.
func NewPublisher(client *eventstore.Client, config PublisherConfig) *Publisher {
	return &Publisher{client: client, config: config.withDefaults()}
}

// Publish appends the messages, in order. Those of one stream are one append,
// all or nothing; several streams are several appends, and after an error the
// earlier ones stand. The event's id is the message's UUID, so that the same
// message published twice to a stream within a short time is there once: to
// publish it again on purpose, give it a new UUID. The context of a stream's
// first message bounds its append and may hold WithExpectedRevision.
func (p *Publisher) Publish(topic string, messages ...*message.Message) error {
	if p.closed.Load() {
		return ErrClosed
	}
	groups, err := p.group(topic, messages)
	if err != nil {
		return fmt.Errorf("publish to %s: %w", topic, err)
	}
	for _, g := range groups {
		if _, err := p.client.Append(g.ctx, g.stream, g.expected, g.events...); err != nil {
			return fmt.Errorf("publish to %s: %w", topic, err)
		}
	}
	return nil
}

// appendGroup is what goes to one stream.
type appendGroup struct {
	ctx      context.Context
	stream   string
	expected int64
	events   []eventstore.Proposed
}

func (p *Publisher) group(topic string, messages []*message.Message) ([]*appendGroup, error) {
	var groups []*appendGroup
	byStream := map[string]*appendGroup{}
	for _, m := range messages {
		stream, err := p.config.Stream(topic, m)
		if err != nil {
			return nil, err
		}
		event, err := propose(m, p.config.Type(m))
		if err != nil {
			return nil, err
		}
		g := byStream[stream]
		if g == nil {
			g = &appendGroup{ctx: m.Context(), stream: stream, expected: eventstore.Any}
			if revision, ok := g.ctx.Value(revisionKey{}).(int64); ok {
				g.expected = revision
			}
			byStream[stream], groups = g, append(groups, g)
		}
		g.events = append(g.events, event)
	}
	return groups, nil
}

// Close makes further calls of Publish fail. The client stays open.
func (p *Publisher) Close() error {
	p.closed.Store(true)
	return nil
}
