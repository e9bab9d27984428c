package node

import (
	"errors"
	"testing"
	"time"

	"github.com/EventStore/EventStore-Client-Go/v4/protos/shared"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/streams"
	"github.com/google/uuid"
	"google.golang.org/protobuf/proto"
)

// fuzzNode is a node with a stream, its metadata and a link to it.
func fuzzNode(f *testing.F) *Node {
	f.Helper()
	n, err := Open(Config{})
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() { _ = n.Close() })
	for stream, e := range map[string]newEvent{
		"s":   {id: uuid.New(), typ: "happened"},
		"$$s": metadataEvent([]byte(`{"$maxCount":5}`)),
		"l":   {id: uuid.New(), typ: linkType, data: []byte("0@s")},
	} {
		request := appendRequest{stream: stream, expected: expectAny, events: []newEvent{e}}
		if err := n.writer.submit(f.Context(), func(d *draft) error {
			_, err := planAppend(d, request)
			return err
		}); err != nil {
			f.Fatal(err)
		}
	}
	return n
}

func seed(f *testing.F, m proto.Message) {
	f.Helper()
	b, err := proto.Marshal(m)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
}

// wantFailure fails the test if an error would reach the client as "internal".
func wantFailure(t *testing.T, err error) {
	t.Helper()
	if err == nil {
		return
	}
	if _, ok := errors.AsType[*failure](err); !ok {
		t.Errorf("error is no answer of the protocol: %v", err)
	}
}

func FuzzReadRequest(f *testing.F) {
	n := fuzzNode(f)
	structured := &streams.ReadReq_Options_UUIDOption{Content: &streams.ReadReq_Options_UUIDOption_Structured{Structured: &shared.Empty{}}}
	seed(f, &streams.ReadReq{Options: &streams.ReadReq_Options{
		StreamOption: &streams.ReadReq_Options_Stream{Stream: &streams.ReadReq_Options_StreamOptions{
			StreamIdentifier: &shared.StreamIdentifier{StreamName: []byte("s")},
			RevisionOption:   &streams.ReadReq_Options_StreamOptions_Revision{Revision: 1},
		}},
		CountOption: &streams.ReadReq_Options_Count{Count: 3}, UuidOption: structured, ResolveLinks: true,
	}})
	seed(f, &streams.ReadReq{Options: &streams.ReadReq_Options{
		StreamOption: &streams.ReadReq_Options_All{All: &streams.ReadReq_Options_AllOptions{
			AllOption: &streams.ReadReq_Options_AllOptions_Position{Position: &streams.ReadReq_Options_Position{CommitPosition: 2}},
		}},
		ReadDirection: streams.ReadReq_Options_Backwards,
		FilterOption: &streams.ReadReq_Options_Filter{Filter: &streams.ReadReq_Options_FilterOptions{
			Filter:                       &streams.ReadReq_Options_FilterOptions_EventType{EventType: &streams.ReadReq_Options_FilterOptions_Expression{Regex: "^h"}},
			Window:                       &streams.ReadReq_Options_FilterOptions_Max{Max: 4},
			CheckpointIntervalMultiplier: 1,
		}},
		CountOption: &streams.ReadReq_Options_Subscription{Subscription: &streams.ReadReq_Options_SubscriptionOptions{}}, UuidOption: structured,
	}})
	f.Fuzz(func(t *testing.T, wire []byte) {
		var request streams.ReadReq
		if proto.Unmarshal(wire, &request) != nil {
			return
		}
		s := streamsServer{node: n}
		p, err := s.pager(request.GetOptions(), request.GetOptions().GetSubscription() != nil)
		if err != nil {
			wantFailure(t, err)
			return
		}
		limit, _ := n.writer.tail()
		for range 3 {
			if _, _, err := n.nextPage(p, max(1, request.GetOptions().GetCount()), limit); err != nil {
				wantFailure(t, err)
			}
		}
		p.checkpoint()
	})
}

func FuzzAppendRequest(f *testing.F) {
	n := fuzzNode(f)
	options := &streams.AppendReq{Content: &streams.AppendReq_Options_{Options: &streams.AppendReq_Options{
		StreamIdentifier:       &shared.StreamIdentifier{StreamName: []byte("$$s")},
		ExpectedStreamRevision: &streams.AppendReq_Options_Any{Any: &shared.Empty{}},
	}}}
	event := &streams.AppendReq{Content: &streams.AppendReq_ProposedMessage_{ProposedMessage: &streams.AppendReq_ProposedMessage{
		Id:       structuredID(uuid.New()),
		Metadata: map[string]string{typeKey: metadataType, contentTypeKey: contentJSON},
		Data:     []byte(`{"$tb":9223372036854775807}`),
	}}}
	first, err := proto.Marshal(options)
	if err != nil {
		f.Fatal(err)
	}
	second, err := proto.Marshal(event)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(first, second)
	f.Fuzz(func(t *testing.T, first, second []byte) {
		var request appendRequest
		for i, wire := range [][]byte{first, second} {
			var message streams.AppendReq
			if proto.Unmarshal(wire, &message) != nil {
				return
			}
			if err := request.take(&message, i == 0, 1000); err != nil {
				wantFailure(t, err)
				return
			}
		}
		wantFailure(t, n.writer.submit(t.Context(), func(d *draft) error {
			_, err := planAppend(d, request)
			return err
		}))
	})
}

func FuzzFilter(f *testing.F) {
	f.Add("^account-", "", "account-1", true)
	f.Add("", "acc", "account-1", false)
	f.Add(`^[^\$].*`, "", "$metadata", true)
	f.Add("(?=x)", "", "", false)
	f.Fuzz(func(t *testing.T, regex, prefix, subject string, byType bool) {
		expression := &streams.ReadReq_Options_FilterOptions_Expression{Regex: regex}
		if prefix != "" {
			expression.Prefix = []string{prefix}
		}
		selected, err := parseExpression(expression)
		if err != nil {
			wantFailure(t, err)
			return
		}
		selected.byType = byType
		begun := time.Now()
		matched := selected.matches(record{stream: subject, typ: subject})
		if prefix != "" && matched != (len(subject) >= len(prefix) && subject[:len(prefix)] == prefix) {
			t.Errorf("prefix %q matches %q: %v", prefix, subject, matched)
		}
		if took := time.Since(begun); took > 5*time.Second {
			t.Errorf("matching took %v", took)
		}
	})
}

func FuzzMetadata(f *testing.F) {
	f.Add([]byte(`{"$maxCount":1,"$maxAge":2,"$tb":3,"k":[1,"ü"]}`), int64(5))
	f.Add([]byte(`null`), int64(0))
	f.Add([]byte(`{"$tb":18446744073709551615}`), int64(1))
	f.Fuzz(func(t *testing.T, data []byte, before int64) {
		state := streamState{last: 10, metadata: parseMetadata(data)}
		if w := state.window(time.Now()); w.first < 0 && state.metadata.MaxCount == nil {
			t.Errorf("%s: window begins at %d", data, w.first)
		}
		merged := parseMetadata(withTruncation(data, max(before, 0)))
		if merged.TruncateBefore != nil && *merged.TruncateBefore != max(before, 0) {
			t.Errorf("%s: truncation is %d, want %d", data, *merged.TruncateBefore, before)
		}
	})
}
