package node

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"testing"

	"github.com/EventStore/EventStore-Client-Go/v4/protos/persistent"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/shared"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/streams"
	"github.com/google/uuid"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/emptypb"
)

func FuzzBatchRequest(f *testing.F) {
	n := fuzzNode(f)
	seed(f, &streams.BatchAppendReq{
		CorrelationId: stringID(uuid.New()), IsFinal: true,
		Options: &streams.BatchAppendReq_Options{
			StreamIdentifier:       &shared.StreamIdentifier{StreamName: []byte("s")},
			ExpectedStreamPosition: &streams.BatchAppendReq_Options_Any{Any: &emptypb.Empty{}},
		},
		ProposedMessages: []*streams.BatchAppendReq_ProposedMessage{{
			Id: structuredID(uuid.New()), Metadata: map[string]string{typeKey: "happened", contentTypeKey: contentJSON}, Data: []byte("{}"),
		}},
	})
	f.Fuzz(func(t *testing.T, wire []byte) {
		var request streams.BatchAppendReq
		if proto.Unmarshal(wire, &request) != nil {
			return
		}
		if _, err := parseID(request.GetCorrelationId()); err != nil {
			wantFailure(t, err)
			return
		}
		b := &batch{options: request.GetOptions()}
		b.fault = b.begin()
		b.add(&request, 1000)
		ctx, cancel := b.deadline(t.Context())
		cancel()
		var result appendResult
		err := b.fault
		if err == nil && ctx != nil {
			err = n.writer.submit(t.Context(), func(d *draft) (err error) {
				result, err = planAppend(d, b.request)
				return err
			})
		}
		wantFailure(t, err)
		if err != nil && len(batchError(b.request, result, 1000, err).Proto().GetDetails()) != 1 {
			t.Errorf("%v has not one detail, for want of which the Node.js client fails", err)
		}
	})
}

func FuzzRemoveRequest(f *testing.F) {
	n := fuzzNode(f)
	seed(f, &streams.DeleteReq{Options: &streams.DeleteReq_Options{
		StreamIdentifier:       &shared.StreamIdentifier{StreamName: []byte("s")},
		ExpectedStreamRevision: &streams.DeleteReq_Options_StreamExists{StreamExists: &shared.Empty{}},
	}})
	f.Fuzz(func(t *testing.T, wire []byte) {
		var request streams.DeleteReq // a tombstone's is the same on the wire
		if proto.Unmarshal(wire, &request) != nil {
			return
		}
		_, err := streamsServer{node: n}.Delete(t.Context(), &request)
		wantFailure(t, err)
	})
}

func FuzzGroupRequest(f *testing.F) {
	n := fuzzNode(f)
	settings := &persistent.CreateReq_Settings{
		ReadBatchSize: 1, HistoryBufferSize: 2, MaxCheckpointCount: 1,
		MessageTimeout: &persistent.CreateReq_Settings_MessageTimeoutMs{MessageTimeoutMs: 1000},
	}
	seed(f, &persistent.CreateReq{Options: &persistent.CreateReq_Options{
		GroupName: "g", Settings: settings,
		StreamOption: &persistent.CreateReq_Options_Stream{Stream: &persistent.CreateReq_StreamOptions{
			StreamIdentifier: &shared.StreamIdentifier{StreamName: []byte("s")},
			RevisionOption:   &persistent.CreateReq_StreamOptions_Revision{Revision: 3},
		}},
	}})
	seed(f, &persistent.CreateReq{Options: &persistent.CreateReq_Options{
		GroupName: "g", Settings: settings,
		StreamOption: &persistent.CreateReq_Options_All{All: &persistent.CreateReq_AllOptions{
			AllOption: &persistent.CreateReq_AllOptions_End{End: &shared.Empty{}},
			FilterOption: &persistent.CreateReq_AllOptions_Filter{Filter: &persistent.CreateReq_AllOptions_FilterOptions{
				Filter: &persistent.CreateReq_AllOptions_FilterOptions_EventType{EventType: &persistent.CreateReq_AllOptions_FilterOptions_Expression{Regex: "^h"}},
			}},
		}},
	}})
	f.Fuzz(func(t *testing.T, wire []byte) {
		var request persistent.CreateReq
		if proto.Unmarshal(wire, &request) != nil {
			return
		}
		config, err := persistentServer{node: n}.createdConfig(request.GetOptions())
		if err != nil {
			wantFailure(t, err)
			return
		}
		g, err := newGroup(n, config) // what was accepted must work, or no start would again
		if err != nil {
			t.Fatalf("%+v was accepted: %v", config, err)
		}
		source, err := g.pager(g.read)
		if err != nil {
			t.Fatalf("%+v was accepted: %v", config, err)
		}
		limit, _ := n.writer.tail()
		_, _, err = n.nextPage(source, 1, limit)
		wantFailure(t, err)
		if _, err := g.info(); err != nil {
			t.Error(err)
		}
	})
}

// FuzzReceivedBackup is what a backup of a running node is made of.
func FuzzReceivedBackup(f *testing.F) {
	var sent []byte
	for position := uint64(1); position <= 2; position++ {
		stored := encodeRecord(testRecord(position, "account-1", int64(position)))
		sent = append(binary.BigEndian.AppendUint32(sent, uint32(len(stored))), stored...)
	}
	f.Add(sent, uint64(2))
	f.Add(sent[:len(sent)-1], uint64(2))
	f.Add([]byte{255, 255, 255, 255}, uint64(1))
	f.Fuzz(func(t *testing.T, sent []byte, limit uint64) {
		r := &received{limit: limit, from: bufio.NewReader(bytes.NewReader(sent))}
		last := uint64(0)
		for next, err := range r.all(1, forwards) {
			if err != nil {
				return
			}
			if last++; next.position != last || last > limit {
				t.Errorf("position %d came behind %d of %d", next.position, last-1, limit)
			}
		}
		if last < limit {
			t.Errorf("%d records of %d, and no error", last, limit)
		}
	})
}
