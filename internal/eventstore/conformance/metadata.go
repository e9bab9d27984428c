package conformance

import (
	"slices"
	"time"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"
)

var metadataCases = []testCase{
	{"absent", metadataAbsent},
	{"round trip", metadataRoundTrip},
	{"maximum count", metadataMaxCount},
	{"maximum age", metadataMaxAge},
	{"truncate before", metadataTruncateBefore},
	{"latest counts", metadataLatest},
	{"nonsense counts as none", metadataNonsense},
	{"expected revision", metadataRevision},
}

func (s *suite) describe(set func(*esdb.StreamMetadata)) *esdb.WriteResult {
	s.Helper()
	var meta esdb.StreamMetadata
	set(&meta)
	r, err := s.client.SetStreamMetadata(s.ctx, s.stream, esdb.AppendToStreamOptions{}, meta)
	if err != nil {
		s.Fatalf("set metadata: %v", err)
	}
	return r
}

func (s *suite) described() *esdb.StreamMetadata {
	s.Helper()
	meta, err := s.client.GetStreamMetadata(s.ctx, s.stream, esdb.ReadStreamOptions{})
	if err != nil {
		s.Fatalf("get metadata: %v", err)
	}
	return meta
}

func (s *suite) wantRevisions(want ...uint64) {
	s.Helper()
	got := revisions(s.mustRead(esdb.ReadStreamOptions{}, 100))
	if !slices.Equal(got, want) {
		s.Errorf("forwards shows %v, want %v", got, want)
	}
	slices.Reverse(want)
	got = revisions(s.mustRead(esdb.ReadStreamOptions{Direction: esdb.Backwards, From: esdb.End{}}, 100))
	if !slices.Equal(got, want) {
		s.Errorf("backwards shows %v, want %v", got, want)
	}
}

func metadataAbsent(s *suite) {
	s.write(esdb.NoStream{}, event("a"))
	if _, err := s.client.GetStreamMetadata(s.ctx, s.stream, esdb.ReadStreamOptions{}); code(err) != esdb.ErrorCodeResourceNotFound {
		s.Errorf("metadata never set: %v, want not found", err)
	}
}

func metadataRoundTrip(s *suite) {
	acl := esdb.Acl{}
	acl.AddReadRoles("readers")
	s.describe(func(m *esdb.StreamMetadata) {
		m.SetMaxCount(7)
		m.SetMaxAge(time.Hour)
		m.SetTruncateBefore(1)
		m.SetCacheControl(time.Minute)
		m.SetAcl(acl)
		m.AddCustomProperty("owner", "us")
	})
	got := s.described()
	if *got.MaxCount() != 7 || *got.MaxAge() != time.Hour || *got.TruncateBefore() != 1 ||
		*got.CacheControl() != time.Minute || got.CustomProperty("owner") != "us" ||
		!slices.Equal(got.StreamAcl().ReadRoles(), []string{"readers"}) {
		s.Errorf("metadata came back as %+v", got)
	}
}

func metadataMaxCount(s *suite) {
	s.write(esdb.NoStream{}, events(10)...)
	s.describe(func(m *esdb.StreamMetadata) { m.SetMaxCount(3) })
	s.wantRevisions(7, 8, 9)
	s.write(esdb.Revision(9), event("a"))
	s.wantRevisions(8, 9, 10)
	if got := s.mustRead(esdb.ReadStreamOptions{}, 1); len(got) != 1 || got[0].Event.EventNumber != 8 {
		s.Errorf("one event from the start is %v, want the first visible one, 8", revisions(got))
	}
}

// metadataMaxAge waits for events to pass the least age the server knows.
func metadataMaxAge(s *suite) {
	s.write(esdb.NoStream{}, events(2)...)
	s.describe(func(m *esdb.StreamMetadata) { m.SetMaxAge(time.Second) })
	s.await("the events to expire", func() bool {
		return len(s.mustRead(esdb.ReadStreamOptions{}, 10)) == 0
	})
	s.write(esdb.Revision(1), event("young"))
	if got := revisions(s.mustRead(esdb.ReadStreamOptions{}, 10)); !slices.Equal(got, []uint64{2}) {
		s.Errorf("stream shows %v, want 2", got)
	}
}

func metadataTruncateBefore(s *suite) {
	s.write(esdb.NoStream{}, events(5)...)
	s.describe(func(m *esdb.StreamMetadata) { m.SetTruncateBefore(3) })
	s.wantRevisions(3, 4)
	s.describe(func(m *esdb.StreamMetadata) { m.SetTruncateBefore(100) })
	s.wantRevisions()
	s.write(esdb.Revision(4), event("still hidden"))
	s.wantRevisions()
}

func metadataLatest(s *suite) {
	s.write(esdb.NoStream{}, events(5)...)
	s.describe(func(m *esdb.StreamMetadata) { m.SetMaxCount(1) })
	s.describe(func(m *esdb.StreamMetadata) { m.AddCustomProperty("k", "v") })
	s.wantRevisions(0, 1, 2, 3, 4)
	if got := s.described(); got.MaxCount() != nil || got.CustomProperty("k") != "v" {
		s.Errorf("metadata is %+v, want that of the last event", got)
	}
}

func metadataNonsense(s *suite) {
	s.write(esdb.NoStream{}, events(3)...)
	for _, text := range []string{`{"$maxCount":0}`, `{"$maxCount":"two"}`, `[1]`, `{`, ``} {
		e := event("$metadata")
		e.Data = []byte(text)
		s.writeTo("$$"+s.stream, esdb.Any{}, e)
		s.wantRevisions(0, 1, 2)
	}
}

func metadataRevision(s *suite) {
	options := esdb.AppendToStreamOptions{ExpectedRevision: esdb.NoStream{}}
	var meta esdb.StreamMetadata
	if _, err := s.client.SetStreamMetadata(s.ctx, s.stream, options, meta); err != nil {
		s.Fatal(err)
	}
	_, err := s.client.SetStreamMetadata(s.ctx, s.stream, options, meta)
	s.wantCode(err, esdb.ErrorCodeWrongExpectedVersion)
}
