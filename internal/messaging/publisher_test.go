package messaging_test

import (
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/google/uuid"

	"daybook/domain"
	"daybook/internal/eventstore"
	"daybook/internal/messaging"
)

func TestPublishedRevisions(t *testing.T) {
	client := newClient(t, eventstore.Config{})
	p := messaging.NewPublisher(client, messaging.PublisherConfig{
		Stream: func(topic string, m *message.Message) (string, error) { return topic + "-" + m.Metadata["id"], nil },
		Type:   func(m *message.Message) string { return m.Metadata["type"] },
	})
	var messages []*message.Message
	for i := range 6 {
		m := message.NewMessage(uuid.NewString(), nil)
		m.Metadata = message.Metadata{"id": fmt.Sprint(i % 2), "type": fmt.Sprintf("T%d", i)}
		m.SetContext(messaging.WithExpectedRevision(t.Context(), domain.NoStream))
		messages = append(messages, m)
	}
	if err := p.Publish("account", messages...); err != nil {
		t.Fatal(err)
	}
	var types []string
	for e, err := range client.ReadStream(t.Context(), "account-1", 0) {
		if err != nil {
			t.Fatal(err)
		}
		types = append(types, e.Type)
	}
	if !slices.Equal(types, []string{"T1", "T3", "T5"}) {
		t.Errorf("stream has %v", types)
	}
	again := message.NewMessage(uuid.NewString(), nil)
	again.Metadata = messages[0].Metadata
	again.SetContext(messages[0].Context())
	if _, ok := errors.AsType[*eventstore.ConflictError](p.Publish("account", again)); !ok {
		t.Error("no conflict")
	}
	if err := p.Close(); err != nil {
		t.Error(err)
	}
	if err := p.Publish("account", again); !errors.Is(err, messaging.ErrClosed) {
		t.Errorf("publish after Close: %v", err)
	}
}

func TestRoundTrip(t *testing.T) {
	client := newClient(t, eventstore.Config{})
	p := messaging.NewPublisher(client, messaging.PublisherConfig{})
	sent := map[string]*message.Message{}
	for i, id := range []string{uuid.NewString(), "1", "", uuid.Nil.String(), "0193E0C8-0000-7000-8000-00000000ABCD", "ünï"} {
		m := message.NewMessage(id, [][]byte{nil, []byte("{}"), {0xff, 0, 1}, []byte("text")}[i%4])
		m.Metadata.Set("kept", `"quoted" ünï`)
		sent[id] = m
		if err := p.Publish("topic", m); err != nil {
			t.Fatal(err)
		}
	}
	messages := subscribe(t, newSubscriber(t, client, messaging.SubscriberConfig{}), "topic")
	for range len(sent) {
		got := receive(t, messages)
		if want := sent[got.UUID]; want == nil || !got.Equals(want) {
			t.Errorf("got %+v, want %+v", got, want)
		}
		delete(sent, got.UUID)
		got.Ack()
	}
	bad := message.NewMessage(uuid.NewString(), nil)
	bad.Metadata.Set("kept", "\xff")
	if err := p.Publish("topic", bad); err == nil {
		t.Error("metadata that is not UTF-8 is accepted")
	}
	if err := p.Publish(messaging.All, message.NewMessage(uuid.NewString(), nil)); err == nil {
		t.Error("publishing to all streams is accepted")
	}
}
