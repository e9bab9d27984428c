package node_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/EventStore/EventStore-Client-Go/v4/protos/shared"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/streams"
	"github.com/google/uuid"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"daybook/internal/eventstore/node/nodetest"
)

// These tests speak the protocol itself, for what the Go client can't say or hides.

func dial(t testing.TB, r *nodetest.Running) streams.StreamsClient {
	t.Helper()
	conn, err := grpc.NewClient(r.Address(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return streams.NewStreamsClient(conn)
}

func identifier(stream string) *shared.StreamIdentifier {
	return &shared.StreamIdentifier{StreamName: []byte(stream)}
}

func anyRevision(stream string) *streams.AppendReq {
	return &streams.AppendReq{Content: &streams.AppendReq_Options_{Options: &streams.AppendReq_Options{
		StreamIdentifier:       identifier(stream),
		ExpectedStreamRevision: &streams.AppendReq_Options_Any{Any: &shared.Empty{}},
	}}}
}

// proposed is a valid event with a string id; change makes it another.
func proposed(change func(*streams.AppendReq_ProposedMessage)) *streams.AppendReq {
	message := &streams.AppendReq_ProposedMessage{
		Id:       &shared.UUID{Value: &shared.UUID_String_{String_: uuid.NewString()}},
		Metadata: map[string]string{"type": "happened", "content-type": "application/json"},
		Data:     []byte("{}"),
	}
	change(message)
	return &streams.AppendReq{Content: &streams.AppendReq_ProposedMessage_{ProposedMessage: message}}
}

func unchanged(*streams.AppendReq_ProposedMessage) {}

func send(t *testing.T, c streams.StreamsClient, messages ...*streams.AppendReq) (*streams.AppendResp, metadata.MD, error) {
	t.Helper()
	var trailer metadata.MD
	call, err := c.Append(t.Context(), grpc.Trailer(&trailer))
	if err != nil {
		t.Fatal(err)
	}
	for i, m := range messages {
		if err := call.Send(m); err != nil {
			t.Fatalf("message %d of %d couldn't be sent: %v", i, len(messages), err)
		}
	}
	answer, err := call.CloseAndRecv()
	return answer, trailer, err
}

func TestAppendErrorsOnTheWire(t *testing.T) {
	c := dial(t, nodetest.Start(t))
	lacking := func(key string) *streams.AppendReq {
		return proposed(func(m *streams.AppendReq_ProposedMessage) { delete(m.Metadata, key) })
	}
	withID := func(id *shared.UUID) *streams.AppendReq {
		return proposed(func(m *streams.AppendReq_ProposedMessage) { m.Id = id })
	}
	huge := proposed(func(m *streams.AppendReq_ProposedMessage) { m.Data = bytes.Repeat([]byte("x"), 2<<20) })
	outOfRange := anyRevision("s")
	outOfRange.GetOptions().ExpectedStreamRevision = &streams.AppendReq_Options_Revision{Revision: 1 << 63}
	unset := anyRevision("s")
	unset.GetOptions().ExpectedStreamRevision = nil
	for name, test := range map[string]struct {
		messages  []*streams.AppendReq
		code      codes.Code
		exception string
	}{
		"nothing":            {nil, codes.InvalidArgument, ""},
		"no options":         {[]*streams.AppendReq{proposed(unchanged)}, codes.InvalidArgument, ""},
		"options twice":      {[]*streams.AppendReq{anyRevision("s"), anyRevision("s")}, codes.InvalidArgument, ""},
		"empty message":      {[]*streams.AppendReq{{}}, codes.InvalidArgument, ""},
		"no revision":        {[]*streams.AppendReq{unset}, codes.InvalidArgument, ""},
		"revision too great": {[]*streams.AppendReq{outOfRange}, codes.InvalidArgument, ""},
		"$all":               {[]*streams.AppendReq{anyRevision("$all")}, codes.PermissionDenied, "access-denied"},
		"no type":            {[]*streams.AppendReq{anyRevision("s"), lacking("type")}, codes.InvalidArgument, "missing-required-metadata-property"},
		"no content type":    {[]*streams.AppendReq{anyRevision("s"), lacking("content-type")}, codes.InvalidArgument, "missing-required-metadata-property"},
		"no id":              {[]*streams.AppendReq{anyRevision("s"), withID(nil)}, codes.InvalidArgument, ""},
		"nil id":             {[]*streams.AppendReq{anyRevision("s"), withID(&shared.UUID{Value: &shared.UUID_Structured_{}})}, codes.InvalidArgument, ""},
		"id that is none":    {[]*streams.AppendReq{anyRevision("s"), withID(&shared.UUID{Value: &shared.UUID_String_{String_: "x"}})}, codes.InvalidArgument, ""},
		"too big":            {[]*streams.AppendReq{anyRevision("s"), huge}, codes.InvalidArgument, "maximum-append-size-exceeded"},
		"long name":          {[]*streams.AppendReq{anyRevision(string(make([]byte, 5000)))}, codes.InvalidArgument, ""},
	} {
		_, trailer, err := send(t, c, test.messages...)
		exception := append(trailer.Get("exception"), "")[0]
		if status.Code(err) != test.code || exception != test.exception {
			t.Errorf("%s: %v with exception %q, want %v with %q", name, err, exception, test.code, test.exception)
		}
	}
}

// TestAppendIsDrainedBeforeItIsRefused sends 60 messages behind the one that is wrong:
// every one must be taken, and the status come through.
func TestAppendIsDrainedBeforeItIsRefused(t *testing.T) {
	c := dial(t, nodetest.Start(t))
	messages := []*streams.AppendReq{anyRevision("$all")}
	for range 60 {
		messages = append(messages, proposed(func(m *streams.AppendReq_ProposedMessage) {
			m.Data = bytes.Repeat([]byte("x"), 100_000)
		}))
	}
	if _, _, err := send(t, c, messages...); status.Code(err) != codes.PermissionDenied {
		t.Errorf("answer is %v, want permission denied", err)
	}
}

func TestStreamDeletedNamesTheStream(t *testing.T) {
	c := dial(t, nodetest.Start(t))
	for stream, want := range map[string]string{"plain": "plain", "größe": "gr%C3%B6%C3%9Fe"} {
		request := &streams.TombstoneReq{Options: &streams.TombstoneReq_Options{
			StreamIdentifier:       identifier(stream),
			ExpectedStreamRevision: &streams.TombstoneReq_Options_Any{Any: &shared.Empty{}},
		}}
		if _, err := c.Tombstone(t.Context(), request); err != nil {
			t.Fatal(err)
		}
		_, trailer, err := send(t, c, anyRevision(stream), proposed(unchanged))
		if status.Code(err) != codes.FailedPrecondition ||
			append(trailer.Get("exception"), "")[0] != "stream-deleted" || append(trailer.Get("stream-name"), "")[0] != want {
			t.Errorf("append to %q: %v with %v", stream, err, trailer)
		}
	}
}

func TestDeleteTellsTheRevision(t *testing.T) {
	c := dial(t, nodetest.Start(t))
	if _, _, err := send(t, c, anyRevision("s"), proposed(unchanged), proposed(unchanged)); err != nil {
		t.Fatal(err)
	}
	var trailer metadata.MD
	_, err := c.Delete(t.Context(), &streams.DeleteReq{Options: &streams.DeleteReq_Options{
		StreamIdentifier:       identifier("s"),
		ExpectedStreamRevision: &streams.DeleteReq_Options_Revision{Revision: 5},
	}}, grpc.Trailer(&trailer))
	for key, want := range map[string]string{
		"exception": "wrong-expected-version", "stream-name": "s", "expected-version": "5", "actual-version": "1",
	} {
		if got := append(trailer.Get(key), "")[0]; got != want {
			t.Errorf("trailer %s is %q, want %q", key, got, want)
		}
	}
	if status.Code(err) != codes.FailedPrecondition {
		t.Errorf("delete: %v, want failed precondition", err)
	}
}

// readOptions are those of a valid read; change makes them others.
func readOptions(change func(*streams.ReadReq_Options)) *streams.ReadReq {
	options := &streams.ReadReq_Options{
		StreamOption: &streams.ReadReq_Options_Stream{Stream: &streams.ReadReq_Options_StreamOptions{
			StreamIdentifier: identifier("s"),
			RevisionOption:   &streams.ReadReq_Options_StreamOptions_Start{Start: &shared.Empty{}},
		}},
		CountOption:  &streams.ReadReq_Options_Count{Count: 10},
		FilterOption: &streams.ReadReq_Options_NoFilter{NoFilter: &shared.Empty{}},
		UuidOption:   &streams.ReadReq_Options_UUIDOption{Content: &streams.ReadReq_Options_UUIDOption_String_{String_: &shared.Empty{}}},
	}
	change(options)
	return &streams.ReadReq{Options: options}
}

func receive(ctx context.Context, c streams.StreamsClient, request *streams.ReadReq) ([]*streams.ReadResp, error) {
	call, err := c.Read(ctx, request)
	if err != nil {
		return nil, err
	}
	var all []*streams.ReadResp
	for {
		message, err := call.Recv()
		if errors.Is(err, io.EOF) {
			return all, nil
		}
		if err != nil {
			return all, err
		}
		all = append(all, message)
	}
}

func TestReadErrorsOnTheWire(t *testing.T) {
	c := dial(t, nodetest.Start(t))
	subscribe := &streams.ReadReq_Options_Subscription{Subscription: &streams.ReadReq_Options_SubscriptionOptions{}}
	all := func(position *streams.ReadReq_Options_Position) *streams.ReadReq_Options_All {
		return &streams.ReadReq_Options_All{All: &streams.ReadReq_Options_AllOptions{
			AllOption: &streams.ReadReq_Options_AllOptions_Position{Position: position},
		}}
	}
	filter := &streams.ReadReq_Options_FilterOptions{
		Filter: &streams.ReadReq_Options_FilterOptions_EventType{EventType: &streams.ReadReq_Options_FilterOptions_Expression{Prefix: []string{"x"}}},
	}
	for name, change := range map[string]func(*streams.ReadReq_Options){
		"no uuid option":     func(o *streams.ReadReq_Options) { o.UuidOption = nil },
		"no stream":          func(o *streams.ReadReq_Options) { o.StreamOption = nil },
		"no count":           func(o *streams.ReadReq_Options) { o.CountOption = nil },
		"filter on a stream": func(o *streams.ReadReq_Options) { o.FilterOption = &streams.ReadReq_Options_Filter{Filter: filter} },
		"filter without a window": func(o *streams.ReadReq_Options) {
			o.StreamOption, o.FilterOption = all(nil), &streams.ReadReq_Options_Filter{Filter: filter}
		},
		"prepare behind commit": func(o *streams.ReadReq_Options) {
			o.StreamOption = all(&streams.ReadReq_Options_Position{PreparePosition: 9})
		},
		"subscription backwards": func(o *streams.ReadReq_Options) {
			o.CountOption, o.ReadDirection = subscribe, streams.ReadReq_Options_Backwards
		},
		"subscription ahead of log": func(o *streams.ReadReq_Options) {
			o.CountOption, o.StreamOption = subscribe, all(&streams.ReadReq_Options_Position{CommitPosition: 99})
		},
	} {
		if _, err := receive(t.Context(), c, readOptions(change)); status.Code(err) != codes.InvalidArgument {
			t.Errorf("%s: %v, want invalid argument", name, err)
		}
	}
}

// TestReadSendsOnlyWhatClientsKnow: any message but events and "not found" makes the Go
// client panic, and ids must be in the form asked for.
func TestReadSendsOnlyWhatClientsKnow(t *testing.T) {
	c := dial(t, nodetest.Start(t))
	if _, _, err := send(t, c, anyRevision("s"), proposed(unchanged), proposed(unchanged)); err != nil {
		t.Fatal(err)
	}
	got, err := receive(t.Context(), c, readOptions(func(*streams.ReadReq_Options) {}))
	if err != nil || len(got) != 2 {
		t.Fatalf("read %d messages (%v), want 2", len(got), err)
	}
	for _, message := range got {
		if message.GetEvent() == nil {
			t.Errorf("message is %+v, want an event", message)
		}
		if _, err := uuid.Parse(message.GetEvent().GetEvent().GetId().GetString_()); err != nil {
			t.Errorf("id is %v, want a string", message.GetEvent().GetEvent().GetId())
		}
	}
}

// TestReadAllFiltered: the protocol knows filtered reads, if not the Go client.
func TestReadAllFiltered(t *testing.T) {
	c := dial(t, nodetest.Start(t))
	for _, stream := range []string{"a", "b", "a", "c", "a"} {
		if _, _, err := send(t, c, anyRevision(stream), proposed(unchanged)); err != nil {
			t.Fatal(err)
		}
	}
	got, err := receive(t.Context(), c, readOptions(func(o *streams.ReadReq_Options) {
		o.CountOption = &streams.ReadReq_Options_Count{Count: 2}
		o.ReadDirection = streams.ReadReq_Options_Backwards
		o.StreamOption = &streams.ReadReq_Options_All{All: &streams.ReadReq_Options_AllOptions{
			AllOption: &streams.ReadReq_Options_AllOptions_End{End: &shared.Empty{}},
		}}
		o.FilterOption = &streams.ReadReq_Options_Filter{Filter: &streams.ReadReq_Options_FilterOptions{
			Filter:                       &streams.ReadReq_Options_FilterOptions_StreamIdentifier{StreamIdentifier: &streams.ReadReq_Options_FilterOptions_Expression{Regex: "^a$"}},
			Window:                       &streams.ReadReq_Options_FilterOptions_Max{Max: 1},
			CheckpointIntervalMultiplier: 1,
		}}
	}))
	if err != nil || len(got) != 2 || got[0].GetEvent().GetCommitPosition() != 6 || got[1].GetEvent().GetCommitPosition() != 4 {
		t.Errorf("filtered read gave %v (%v), want positions 6 and 4", got, err)
	}
}

// TestCallsAreBounded: headers that are too long are refused, and who connects and says
// nothing is cut off; other calls go on.
func TestCallsAreBounded(t *testing.T) {
	t.Parallel()
	r := nodetest.Start(t)
	c := dial(t, r)
	read := func(padding int) error {
		call, err := c.Read(metadata.AppendToOutgoingContext(t.Context(), "padding", strings.Repeat("a", padding)), &streams.ReadReq{})
		if err == nil {
			_, err = call.Recv()
		}
		return err
	}
	for padding, want := range map[int]codes.Code{0: codes.InvalidArgument, 8 << 10: codes.InvalidArgument, 32 << 10: codes.Internal} {
		if err := read(padding); status.Code(err) != want {
			t.Errorf("with headers of %d bytes: %v, want %s", padding, err, want)
		}
	}
	silent, err := net.Dial("unix", strings.TrimPrefix(r.Address(), "unix:"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = silent.Close() }()
	if err := silent.SetDeadline(time.Now().Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(io.Discard, silent); err != nil && !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("a silent connection is kept: %v", err)
	}
	if err := read(0); status.Code(err) != codes.InvalidArgument {
		t.Errorf("afterwards: %v", err)
	}
}
