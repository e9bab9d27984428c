package node_test

import (
	"errors"
	"fmt"
	"io"
	"net"
	"testing"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/shared"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/streams"
	"google.golang.org/grpc"

	"daybook/internal/eventstore/node/nodetest"
)

// echoServer is a control for appends: it takes them off the wire and acknowledges them,
// with a queue after a commit of the bbolt control. That is all that bbolt and gRPC have
// to do for an append; they share the processors.
type echoServer struct {
	streams.UnimplementedStreamsServer
	queue chan<- chan error
}

func (s echoServer) Append(call streams.Streams_AppendServer) error {
	for {
		if _, err := call.Recv(); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			return err
		}
	}
	if s.queue != nil {
		answer := make(chan error, 1)
		s.queue <- answer
		if err := <-answer; err != nil {
			return err
		}
	}
	return call.SendAndClose(&streams.AppendResp{Result: &streams.AppendResp_Success_{Success: &streams.AppendResp_Success{
		CurrentRevisionOption: &streams.AppendResp_Success_CurrentRevision{CurrentRevision: 1},
		PositionOption:        &streams.AppendResp_Success_Position{Position: &streams.AppendResp_Position{CommitPosition: 1, PreparePosition: 1}},
	}}})
}

func benchmarkEcho(b *testing.B, server echoServer, writers int) {
	c := serveControl(b, server)
	parallel(b, writers, func(w int) error {
		_, err := c.AppendToStream(b.Context(), fmt.Sprintf("account-%d", w), esdb.AppendToStreamOptions{ExpectedRevision: esdb.Revision(1)}, benchEvent())
		return err
	})
}

// serveControl runs a server of the Streams service and connects the client to it.
func serveControl(b *testing.B, server streams.StreamsServer) *esdb.Client {
	b.Helper()
	r := nodetest.Start(b) // for a client's configuration and a free socket
	r.Stop(b)
	g := grpc.NewServer()
	streams.RegisterStreamsServer(g, server)
	listener, err := net.Listen("unix", r.Address()[len("unix:"):])
	if err != nil {
		b.Fatal(err)
	}
	go func() { _ = g.Serve(listener) }() // ends with Stop
	b.Cleanup(g.Stop)
	return r.Client(b)
}

// cannedServer is a control for reads: it answers each with the same messages, made
// beforehand.
type cannedServer struct {
	streams.UnimplementedStreamsServer
	messages []*streams.ReadResp
	repeats  int
}

func (s cannedServer) Read(_ *streams.ReadReq, call streams.Streams_ReadServer) error {
	for range s.repeats {
		for _, m := range s.messages {
			if err := call.Send(m); err != nil {
				return err
			}
		}
	}
	return nil
}

func cannedMessages(count uint64) (messages []*streams.ReadResp) {
	for i := range count {
		e := benchEvent()
		messages = append(messages, &streams.ReadResp{Content: &streams.ReadResp_Event{Event: &streams.ReadResp_ReadEvent{
			Event: &streams.ReadResp_ReadEvent_RecordedEvent{
				Id:               &shared.UUID{Value: &shared.UUID_Structured_{Structured: &shared.UUID_Structured{MostSignificantBits: 1, LeastSignificantBits: 2}}},
				StreamIdentifier: identifier("account-1"), StreamRevision: i, CommitPosition: i, PreparePosition: i,
				Metadata: map[string]string{"type": e.EventType, "content-type": "application/json", "created": "17000000000000000"},
				Data:     e.Data, CustomMetadata: e.Metadata,
			},
			Position: &streams.ReadResp_ReadEvent_CommitPosition{CommitPosition: i},
		}}})
	}
	return messages
}
