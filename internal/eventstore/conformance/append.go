package conformance

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"
	"github.com/google/uuid"
)

var appendCases = []testCase{
	{"revisions and positions rise", appendRises},
	{"what is written is read", appendRoundTrip},
	{"any of many events or none", appendAtomic},
	{"wrong revisions", appendWrongRevisions},
	{"stream exists", appendStreamExists},
	{"no events", appendNothing},
	{"big", appendBig},
	{"too big", appendTooBig},
	{"refused requests", appendRefused},
}

func appendRises(s *suite) {
	first := s.write(esdb.NoStream{}, event("a"))
	second := s.write(esdb.Revision(0), event("b"), event("c"))
	if first.NextExpectedVersion != 0 || second.NextExpectedVersion != 2 {
		s.Errorf("revisions are %d and %d, want 0 and 2", first.NextExpectedVersion, second.NextExpectedVersion)
	}
	if first.CommitPosition == 0 || second.CommitPosition <= first.CommitPosition {
		s.Errorf("positions are %d and %d, want them to rise above 0", first.CommitPosition, second.CommitPosition)
	}
}

func appendRoundTrip(s *suite) {
	binary := esdb.EventData{
		EventID: uuid.New(), EventType: "bytes ⊕", ContentType: esdb.ContentTypeBinary,
		Data: []byte{0, 1, 255}, Metadata: []byte{7},
	}
	text := event("json")
	before := time.Now().Add(-time.Hour)
	s.write(esdb.NoStream{}, binary, text)
	got := s.mustRead(esdb.ReadStreamOptions{}, 10)
	if len(got) != 2 {
		s.Fatalf("read %d events, want 2", len(got))
	}
	for i, want := range []esdb.EventData{binary, text} {
		e := got[i].Event
		if e.EventID != want.EventID || e.EventType != want.EventType || e.StreamID != s.stream ||
			!bytes.Equal(e.Data, want.Data) || !bytes.Equal(e.UserMetadata, want.Metadata) {
			s.Errorf("event %d is %+v, want %+v", i, e, want)
		}
		if e.CreatedDate.Before(before) || e.CreatedDate.After(time.Now().Add(time.Hour)) {
			s.Errorf("event %d was created %v, which is not now", i, e.CreatedDate)
		}
	}
	if got[0].Event.ContentType != "application/octet-stream" || got[1].Event.ContentType != "application/json" {
		s.Errorf("content types are %s and %s", got[0].Event.ContentType, got[1].Event.ContentType)
	}
}

func appendAtomic(s *suite) {
	written := s.write(esdb.NoStream{}, events(500)...)
	if written.NextExpectedVersion != 499 {
		s.Errorf("last revision is %d, want 499", written.NextExpectedVersion)
	}
	if _, err := s.try(s.stream, esdb.Revision(3), events(5)...); code(err) != esdb.ErrorCodeWrongExpectedVersion {
		s.Fatalf("append at a past revision: %v", err)
	}
	got := s.mustRead(esdb.ReadStreamOptions{}, 1000)
	if len(got) != 500 {
		s.Fatalf("stream has %d events, want 500", len(got))
	}
	for i, e := range got {
		if e.Event.EventNumber != uint64(i) {
			s.Fatalf("event %d has revision %d", i, e.Event.EventNumber)
		}
		if i > 0 && e.Event.Position.Commit <= got[i-1].Event.Position.Commit {
			s.Fatalf("position of event %d doesn't rise", i)
		}
	}
}

func appendWrongRevisions(s *suite) {
	absent := s.stream + "-absent"
	s.write(esdb.NoStream{}, events(3)...)
	for _, c := range []struct {
		name     string
		stream   string
		expected esdb.ExpectedRevision
		says     string
	}{
		{"no stream, but there is", s.stream, esdb.NoStream{}, "expecting 'no_stream' but got '2'"},
		{"past revision", s.stream, esdb.Revision(1), "expecting '1' but got '2'"},
		{"future revision", s.stream, esdb.Revision(3), "expecting '3' but got '2'"},
		{"revision of an absent stream", absent, esdb.Revision(0), "expecting '0' but got 'no_stream'"},
		{"absent stream exists", absent, esdb.StreamExists{}, "expecting 'stream_exists' but got 'no_stream'"},
	} {
		s.Run(c.name, func(t *testing.T) {
			_, err := s.try(c.stream, c.expected, event("x"))
			if code(err) != esdb.ErrorCodeWrongExpectedVersion || !strings.Contains(err.Error(), c.says) {
				t.Errorf("error is %v, want a wrong version that says %q", err, c.says)
			}
		})
	}
	s.write(esdb.Revision(2), event("right"))
	s.write(esdb.Any{}, event("right"))
}

func appendStreamExists(s *suite) {
	s.write(esdb.Any{}, event("a"))
	if r := s.write(esdb.StreamExists{}, event("b")); r.NextExpectedVersion != 1 {
		s.Errorf("revision is %d, want 1", r.NextExpectedVersion)
	}
	described := s.stream + "-described"
	if _, err := s.client.SetStreamMetadata(s.ctx, described, esdb.AppendToStreamOptions{}, esdb.StreamMetadata{}); err != nil {
		s.Fatal(err)
	}
	s.writeTo(described, esdb.StreamExists{}, event("metadata alone makes it exist"))
}

func appendNothing(s *suite) {
	s.write(esdb.Any{})
	if _, err := s.read(esdb.ReadStreamOptions{}, 1); code(err) != esdb.ErrorCodeResourceNotFound {
		s.Errorf("after an append of nothing: %v, want not found", err)
	}
	s.write(esdb.NoStream{}, events(2)...)
	if r := s.write(esdb.Revision(1)); r.NextExpectedVersion != 1 {
		s.Errorf("revision is %d, want 1", r.NextExpectedVersion)
	}
	_, err := s.try(s.stream, esdb.Revision(0))
	s.wantCode(err, esdb.ErrorCodeWrongExpectedVersion)
}

func appendBig(s *suite) {
	big := event("big")
	big.Data = bytes.Repeat([]byte("x"), 1<<20-1024)
	s.write(esdb.NoStream{}, big)
	got := s.mustRead(esdb.ReadStreamOptions{}, 1)
	if len(got) != 1 || !bytes.Equal(got[0].Event.Data, big.Data) {
		s.Error("the big event didn't come back as it was written")
	}
}

// appendTooBig sends far more than the limit, so that a server that answers while the
// client still sends is found out: the client then loses the status.
func appendTooBig(s *suite) {
	batch := events(40)
	for i := range batch {
		batch[i].Data = bytes.Repeat([]byte("x"), 200_000)
	}
	_, err := s.try(s.stream, esdb.NoStream{}, batch...)
	if err == nil {
		s.Fatal("8 MB were accepted in one append")
	}
	if _, err := s.read(esdb.ReadStreamOptions{}, 1); code(err) != esdb.ErrorCodeResourceNotFound {
		s.Errorf("after the refused append: %v, want not found", err)
	}
}

func appendRefused(s *suite) {
	if _, err := s.try("", esdb.Any{}, event("x")); err == nil {
		s.Error("an empty stream name was accepted")
	}
	if _, err := s.try(s.stream, esdb.Any{}, event("")); err == nil {
		s.Error("an empty event type was accepted")
	}
	_, err := s.try("$all", esdb.Any{}, event("x"))
	s.wantCode(err, esdb.ErrorCodeAccessDenied)
}
