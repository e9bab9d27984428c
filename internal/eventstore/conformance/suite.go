package conformance

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"testing"
	"time"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"
	"github.com/google/uuid"
)

// patience is how long a test waits for something to happen.
const patience = 30 * time.Second

// Test runs the suite. connect gives a client of the server under test, which the suite
// uses from several goroutines and doesn't close.
func Test(t *testing.T, connect func(testing.TB) *esdb.Client) {
	t.Helper()
	groups := []struct {
		name  string
		cases []testCase
	}{
		{"append", appendCases},
		{"repeat", repeatCases},
		{"read stream", readStreamCases},
		{"read all", readAllCases},
		{"metadata", metadataCases},
		{"remove", removeCases},
		{"subscribe", subscribeCases},
		{"filter", filterCases},
		{"group", groupCases},
		{"live", liveCases},
	}
	for _, g := range groups {
		t.Run(g.name, func(t *testing.T) {
			for _, c := range g.cases {
				t.Run(c.name, func(t *testing.T) { c.run(newSuite(t, connect(t))) })
			}
		})
	}
}

// Long tells whether long tests were asked for, by DAYBOOK_TEST_LONG=1.
func Long() bool { return os.Getenv("DAYBOOK_TEST_LONG") == "1" }

type testCase struct {
	name string
	run  func(*suite)
}

// suite is one test's connection and a stream of its own.
type suite struct {
	*testing.T
	client *esdb.Client
	ctx    context.Context
	stream string
}

func newSuite(t *testing.T, client *esdb.Client) *suite {
	ctx, cancel := context.WithTimeout(t.Context(), 2*patience)
	t.Cleanup(cancel)
	return &suite{T: t, client: client, ctx: ctx, stream: "conformance-" + uuid.NewString()}
}

// event makes an event of the type with a new id.
func event(eventType string) esdb.EventData {
	return esdb.EventData{
		EventID: uuid.New(), EventType: eventType, ContentType: esdb.ContentTypeJson,
		Data: fmt.Appendf(nil, `{"type":%q}`, eventType), Metadata: []byte(`{"by":"test"}`),
	}
}

// events makes n events with types e0, e1 and so on.
func events(n int) []esdb.EventData {
	made := make([]esdb.EventData, n)
	for i := range made {
		made[i] = event(fmt.Sprintf("e%d", i))
	}
	return made
}

func (s *suite) try(stream string, expected esdb.ExpectedRevision, batch ...esdb.EventData) (*esdb.WriteResult, error) {
	return s.client.AppendToStream(s.ctx, stream, esdb.AppendToStreamOptions{ExpectedRevision: expected}, batch...)
}

// write appends to the test's stream and fails the test if that fails.
func (s *suite) write(expected esdb.ExpectedRevision, batch ...esdb.EventData) *esdb.WriteResult {
	s.Helper()
	return s.writeTo(s.stream, expected, batch...)
}

func (s *suite) writeTo(stream string, expected esdb.ExpectedRevision, batch ...esdb.EventData) *esdb.WriteResult {
	s.Helper()
	result, err := s.try(stream, expected, batch...)
	if err != nil {
		s.Fatalf("append to %s: %v", stream, err)
	}
	return result
}

// read reads the test's stream to its end.
func (s *suite) read(options esdb.ReadStreamOptions, count uint64) ([]*esdb.ResolvedEvent, error) {
	return s.readFrom(s.stream, options, count)
}

func (s *suite) readFrom(stream string, options esdb.ReadStreamOptions, count uint64) ([]*esdb.ResolvedEvent, error) {
	reading, err := s.client.ReadStream(s.ctx, stream, options, count)
	if err != nil {
		return nil, err
	}
	defer reading.Close()
	return collect(reading)
}

func collect(reading *esdb.ReadStream) ([]*esdb.ResolvedEvent, error) {
	var all []*esdb.ResolvedEvent
	for {
		e, err := reading.Recv()
		if errors.Is(err, io.EOF) {
			return all, nil
		}
		if err != nil {
			return all, err
		}
		all = append(all, e)
	}
}

// mustRead is read where no error is expected.
func (s *suite) mustRead(options esdb.ReadStreamOptions, count uint64) []*esdb.ResolvedEvent {
	s.Helper()
	all, err := s.read(options, count)
	if err != nil {
		s.Fatalf("read %s: %v", s.stream, err)
	}
	return all
}

// revisions are the event numbers of what was read.
func revisions(all []*esdb.ResolvedEvent) []uint64 {
	numbers := []uint64{}
	for _, e := range all {
		numbers = append(numbers, e.OriginalEvent().EventNumber)
	}
	return numbers
}

// code is the client's error code; the client's own FromError doesn't see through
// wrapped errors.
func code(err error) esdb.ErrorCode {
	if e, ok := errors.AsType[*esdb.Error](err); ok {
		return e.Code()
	}
	return esdb.ErrorCodeUnknown
}

// wantCode fails the test unless err has the code.
func (s *suite) wantCode(err error, want esdb.ErrorCode) {
	s.Helper()
	if err == nil || code(err) != want {
		s.Fatalf("error is %v with code %d, want code %d", err, code(err), want)
	}
}

// subscription is a subscription whose messages come by a channel, so that a test can
// wait for them with a limit.
type subscription struct {
	*suite
	messages chan *esdb.SubscriptionEvent
}

func (s *suite) follow(sub *esdb.Subscription, err error) *subscription {
	s.Helper()
	if err != nil {
		s.Fatalf("subscribe: %v", err)
	}
	s.Cleanup(func() { _ = sub.Close() })
	f := &subscription{suite: s, messages: make(chan *esdb.SubscriptionEvent)}
	go func() {
		for {
			message := sub.Recv()
			select {
			case f.messages <- message:
			case <-s.ctx.Done():
				return
			}
			if message.SubscriptionDropped != nil {
				return
			}
		}
	}()
	return f
}

func (s *suite) subscribe(options esdb.SubscribeToStreamOptions) *subscription {
	s.Helper()
	return s.follow(s.client.SubscribeToStream(s.ctx, s.stream, options))
}

func (s *suite) subscribeAll(options esdb.SubscribeToAllOptions) *subscription {
	s.Helper()
	return s.follow(s.client.SubscribeToAll(s.ctx, options))
}

// next is the next message of any kind.
func (f *subscription) next() *esdb.SubscriptionEvent {
	f.Helper()
	select {
	case message := <-f.messages:
		return message
	case <-time.After(patience):
		f.Fatal("nothing came from the subscription")
		return nil
	}
}

// event is the next event; checkpoints and notes in between are passed over.
func (f *subscription) event() *esdb.RecordedEvent {
	f.Helper()
	for {
		message := f.next()
		if message.SubscriptionDropped != nil {
			f.Fatalf("subscription dropped: %v", message.SubscriptionDropped.Error)
		}
		if message.EventAppeared != nil {
			return message.EventAppeared.OriginalEvent()
		}
	}
}

// caughtUp passes over messages until the one that says live events follow, and
// returns the events among them.
func (f *subscription) caughtUp() []*esdb.RecordedEvent {
	f.Helper()
	var before []*esdb.RecordedEvent
	for {
		message := f.next()
		switch {
		case message.SubscriptionDropped != nil:
			f.Fatalf("subscription dropped: %v", message.SubscriptionDropped.Error)
		case message.EventAppeared != nil:
			before = append(before, message.EventAppeared.OriginalEvent())
		case message.CaughtUp != nil:
			return before
		}
	}
}

// await asks until the condition holds.
func (s *suite) await(what string, holds func() bool) {
	s.Helper()
	deadline := time.After(patience)
	ticker := time.NewTicker(20 * time.Millisecond)
	defer ticker.Stop()
	for !holds() {
		select {
		case <-ticker.C:
		case <-deadline:
			s.Fatalf("waited %v for %s", patience, what)
		}
	}
}
