package node_test

import (
	"bytes"
	"testing"
	"time"

	"github.com/EventStore/EventStore-Client-Go/v4/protos/shared"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/streams"
	"github.com/google/uuid"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/emptypb"

	"daybook/internal/eventstore/node/nodetest"
)

func correlation() *shared.UUID {
	return &shared.UUID{Value: &shared.UUID_String_{String_: uuid.NewString()}}
}

func batchOptions(stream string) *streams.BatchAppendReq_Options {
	return &streams.BatchAppendReq_Options{
		StreamIdentifier:       identifier(stream),
		ExpectedStreamPosition: &streams.BatchAppendReq_Options_NoStream{NoStream: &emptypb.Empty{}},
		DeadlineOption:         &streams.BatchAppendReq_Options_Deadline{Deadline: durationpb.New(10 * time.Second)},
	}
}

func batchEvents(n, size int) []*streams.BatchAppendReq_ProposedMessage {
	var all []*streams.BatchAppendReq_ProposedMessage
	for range n {
		all = append(all, &streams.BatchAppendReq_ProposedMessage{
			Id:       &shared.UUID{Value: &shared.UUID_String_{String_: uuid.NewString()}},
			Metadata: map[string]string{"type": "happened", "content-type": "application/json"},
			Data:     bytes.Repeat([]byte("x"), size),
		})
	}
	return all
}

type batchStream struct {
	*testing.T
	call streams.Streams_BatchAppendClient
}

func startBatches(t *testing.T, r *nodetest.Running) batchStream {
	call, err := dial(t, r).BatchAppend(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return batchStream{T: t, call: call}
}

func (b batchStream) send(requests ...*streams.BatchAppendReq) {
	b.Helper()
	for _, r := range requests {
		if err := b.call.Send(r); err != nil {
			b.Fatal(err)
		}
	}
}

// answers takes n answers, by correlation id.
func (b batchStream) answers(n int) map[string]*streams.BatchAppendResp {
	b.Helper()
	all := map[string]*streams.BatchAppendResp{}
	for range n {
		answer, err := b.call.Recv()
		if err != nil {
			b.Fatal(err)
		}
		all[answer.GetCorrelationId().GetString_()] = answer
	}
	if len(all) != n {
		b.Fatalf("%d answers have %d correlation ids", n, len(all))
	}
	return all
}

// TestBatchAppendInterleaved sends two batches in parts, one within the other.
func TestBatchAppendInterleaved(t *testing.T) {
	r := nodetest.Start(t)
	b := startBatches(t, r)
	first, second := correlation(), correlation()
	b.send(
		&streams.BatchAppendReq{CorrelationId: first, Options: batchOptions("a"), ProposedMessages: batchEvents(2, 1)},
		&streams.BatchAppendReq{CorrelationId: second, Options: batchOptions("b"), ProposedMessages: batchEvents(1, 1)},
		&streams.BatchAppendReq{CorrelationId: first, ProposedMessages: batchEvents(1, 1), IsFinal: true},
		&streams.BatchAppendReq{CorrelationId: second, IsFinal: true},
	)
	got := b.answers(2)
	for id, want := range map[*shared.UUID]struct {
		stream   string
		revision uint64
		position uint64
	}{first: {"a", 2, 4}, second: {"b", 0, 5}} {
		answer := got[id.GetString_()]
		success := answer.GetSuccess()
		if success == nil || success.GetCurrentRevision() != want.revision || success.GetPosition().GetCommitPosition() != want.position ||
			string(answer.GetStreamIdentifier().GetStreamName()) != want.stream || answer.GetNoStream() == nil {
			t.Errorf("answer for %s is %v", want.stream, answer)
		}
	}
}

// TestBatchAppendKeepsOrder: each batch expects what the one before it wrote.
func TestBatchAppendKeepsOrder(t *testing.T) {
	b := startBatches(t, nodetest.Start(t))
	const count = 500
	for i := range count {
		options := batchOptions("a")
		if i > 0 {
			options.ExpectedStreamPosition = &streams.BatchAppendReq_Options_StreamPosition{StreamPosition: uint64(i - 1)}
		}
		b.send(&streams.BatchAppendReq{CorrelationId: correlation(), Options: options, ProposedMessages: batchEvents(1, 1), IsFinal: true})
	}
	if err := b.call.CloseSend(); err != nil {
		t.Fatal(err)
	}
	for _, answer := range b.answers(count) {
		if answer.GetSuccess() == nil {
			t.Fatalf("a batch was refused: %v", answer.GetError())
		}
	}
}

func TestBatchAppendErrors(t *testing.T) {
	r := nodetest.Start(t)
	c := r.Client(t)
	mustAppend(t, c, "taken", nil, newEvent(), newEvent())
	mustAppend(t, c, "gone", nil, newEvent())
	if _, err := dial(t, r).Tombstone(t.Context(), &streams.TombstoneReq{Options: &streams.TombstoneReq_Options{
		StreamIdentifier: identifier("gone"), ExpectedStreamRevision: &streams.TombstoneReq_Options_Any{Any: &shared.Empty{}},
	}}); err != nil {
		t.Fatal(err)
	}
	b := startBatches(t, r)
	for name, test := range map[string]struct {
		stream string
		events []*streams.BatchAppendReq_ProposedMessage
		code   codes.Code
		detail string
	}{
		"wrong version": {"taken", batchEvents(1, 1), codes.AlreadyExists, "event_store.client.WrongExpectedVersion"},
		"deleted":       {"gone", batchEvents(1, 1), codes.NotFound, "event_store.client.StreamDeleted"},
		"$all":          {"$all", batchEvents(1, 1), codes.PermissionDenied, "event_store.client.AccessDenied"},
		"too big":       {"big", batchEvents(2, 800_000), codes.InvalidArgument, "event_store.client.MaximumAppendSizeExceeded"},
		"no name":       {"", batchEvents(1, 1), codes.InvalidArgument, "event_store.client.BadRequest"},
		"bad event":     {"s", []*streams.BatchAppendReq_ProposedMessage{{}}, codes.InvalidArgument, "event_store.client.BadRequest"},
	} {
		id := correlation()
		b.send(&streams.BatchAppendReq{CorrelationId: id, Options: batchOptions(test.stream), ProposedMessages: test.events, IsFinal: true})
		failure := b.answers(1)[id.GetString_()].GetError()
		if failure == nil || codes.Code(failure.GetCode()) != test.code || len(failure.GetDetails()) != 1 ||
			string(failure.GetDetails()[0].MessageName()) != test.detail {
			t.Errorf("%s: %v, want %v with a %s", name, failure, test.code, test.detail)
		}
	}
	wrong := &shared.WrongExpectedVersion{}
	id := correlation()
	b.send(&streams.BatchAppendReq{CorrelationId: id, Options: batchOptions("taken"), ProposedMessages: batchEvents(1, 1), IsFinal: true})
	if err := b.answers(1)[id.GetString_()].GetError().GetDetails()[0].UnmarshalTo(wrong); err != nil || wrong.GetCurrentStreamRevision() != 1 {
		t.Errorf("wrong version tells %v (%v), want the current revision 1", wrong, err)
	}
}

// TestCloseEndsBatchAppend: a client that keeps the call open doesn't hold up a stop.
func TestCloseEndsBatchAppend(t *testing.T) {
	r := nodetest.Start(t)
	b := startBatches(t, r)
	b.send(&streams.BatchAppendReq{CorrelationId: correlation(), Options: batchOptions("a"), ProposedMessages: batchEvents(1, 1), IsFinal: true})
	b.answers(1)
	begun := time.Now()
	r.Stop(t)
	// After 2 s the node would cut the call off.
	if took := time.Since(begun); took >= 2*time.Second {
		t.Errorf("stopping took %v", took)
	}
	if _, err := b.call.Recv(); err == nil {
		t.Error("the call went on")
	}
}
