package conformance

import (
	"slices"
	"testing"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"
)

var removeCases = []testCase{
	{"deleted reads as missing", deleteMissing},
	{"deleted continues its numbering", deleteContinues},
	{"deleted can be made anew", deleteRecreate},
	{"deleted does not exist", deleteStreamExists},
	{"deleted comes back by metadata", deleteUndelete},
	{"delete checks the revision", deleteRevisions},
	{"tombstoned is gone", tombstoneGone},
	{"tombstone checks the revision", tombstoneRevisions},
	{"tombstone of an absent stream", tombstoneAbsent},
	{"tombstone ends a subscription", tombstoneSubscription},
}

func (s *suite) remove(expected esdb.ExpectedRevision) {
	s.Helper()
	r, err := s.client.DeleteStream(s.ctx, s.stream, esdb.DeleteStreamOptions{ExpectedRevision: expected})
	if err != nil {
		s.Fatalf("delete: %v", err)
	}
	if r.Position.Commit == 0 {
		s.Error("deletion has no position")
	}
}

func deleteMissing(s *suite) {
	s.write(esdb.NoStream{}, events(3)...)
	s.remove(esdb.Revision(2))
	for _, dir := range []esdb.Direction{esdb.Forwards, esdb.Backwards} {
		_, err := s.read(esdb.ReadStreamOptions{Direction: dir, From: esdb.End{}}, 5)
		s.wantCode(err, esdb.ErrorCodeResourceNotFound)
	}
	s.remove(esdb.Any{})
}

func deleteContinues(s *suite) {
	s.write(esdb.NoStream{}, events(3)...)
	s.remove(esdb.Any{})
	if r := s.write(esdb.Any{}, event("again")); r.NextExpectedVersion != 3 {
		s.Errorf("revision is %d, want 3", r.NextExpectedVersion)
	}
	s.wantRevisions(3)
	if tb := s.described().TruncateBefore(); tb == nil || *tb != 3 {
		s.Errorf("truncate before is %v, want 3", tb)
	}
}

func deleteRecreate(s *suite) {
	s.write(esdb.NoStream{}, events(2)...)
	s.remove(esdb.Any{})
	batch := events(2)
	if r := s.write(esdb.NoStream{}, batch...); r.NextExpectedVersion != 3 {
		s.Errorf("revision is %d, want 3", r.NextExpectedVersion)
	}
	s.wantRevisions(2, 3)
	s.remove(esdb.Revision(3))
	s.write(esdb.Revision(3), event("by its last revision"))
	s.wantRevisions(4)
}

func deleteStreamExists(s *suite) {
	s.write(esdb.NoStream{}, event("a"))
	s.remove(esdb.StreamExists{})
	_, err := s.try(s.stream, esdb.StreamExists{}, event("b"))
	s.wantCode(err, esdb.ErrorCodeStreamDeleted)
}

func deleteUndelete(s *suite) {
	s.write(esdb.NoStream{}, events(2)...)
	s.remove(esdb.Any{})
	s.describe(func(m *esdb.StreamMetadata) { m.AddCustomProperty("k", "v") })
	meta := s.described()
	if tb := meta.TruncateBefore(); tb == nil || *tb != 2 || meta.CustomProperty("k") != "v" {
		s.Errorf("metadata is %+v, want k and a truncation before 2", meta)
	}
	s.wantRevisions()
	s.write(esdb.Revision(1), event("visible"))
	s.wantRevisions(2)
}

func deleteRevisions(s *suite) {
	for _, expected := range []esdb.ExpectedRevision{esdb.Any{}, esdb.NoStream{}, esdb.Revision(0), esdb.StreamExists{}} {
		if _, err := s.client.DeleteStream(s.ctx, s.stream, esdb.DeleteStreamOptions{ExpectedRevision: expected}); err == nil {
			s.Errorf("a stream that never was could be deleted, expecting %T", expected)
		}
	}
	s.write(esdb.NoStream{}, events(2)...)
	for _, expected := range []esdb.ExpectedRevision{esdb.NoStream{}, esdb.Revision(0), esdb.Revision(5)} {
		if _, err := s.client.DeleteStream(s.ctx, s.stream, esdb.DeleteStreamOptions{ExpectedRevision: expected}); err == nil {
			s.Errorf("delete was accepted, expecting %v", expected)
		}
	}
	s.wantRevisions(0, 1)
}

func (s *suite) tombstone(expected esdb.ExpectedRevision) {
	s.Helper()
	if _, err := s.client.TombstoneStream(s.ctx, s.stream, esdb.TombstoneStreamOptions{ExpectedRevision: expected}); err != nil {
		s.Fatalf("tombstone: %v", err)
	}
}

func tombstoneGone(s *suite) {
	batch := events(2)
	s.write(esdb.NoStream{}, batch...)
	s.tombstone(esdb.Revision(1))
	for _, expected := range []esdb.ExpectedRevision{esdb.Any{}, esdb.NoStream{}, esdb.Revision(1), esdb.StreamExists{}} {
		_, err := s.try(s.stream, expected, batch...)
		s.wantCode(err, esdb.ErrorCodeStreamDeleted)
	}
	_, err := s.read(esdb.ReadStreamOptions{}, 1)
	s.wantCode(err, esdb.ErrorCodeStreamDeleted)
	_, err = s.client.DeleteStream(s.ctx, s.stream, esdb.DeleteStreamOptions{})
	s.wantCode(err, esdb.ErrorCodeStreamDeleted)
	_, err = s.client.TombstoneStream(s.ctx, s.stream, esdb.TombstoneStreamOptions{})
	s.wantCode(err, esdb.ErrorCodeStreamDeleted)
	_, err = s.client.SetStreamMetadata(s.ctx, s.stream, esdb.AppendToStreamOptions{}, esdb.StreamMetadata{})
	s.wantCode(err, esdb.ErrorCodeStreamDeleted)
}

func tombstoneRevisions(s *suite) {
	s.write(esdb.NoStream{}, events(2)...)
	for _, expected := range []esdb.ExpectedRevision{esdb.NoStream{}, esdb.Revision(0), esdb.Revision(7)} {
		s.Run("", func(t *testing.T) {
			if _, err := s.client.TombstoneStream(s.ctx, s.stream, esdb.TombstoneStreamOptions{ExpectedRevision: expected}); err == nil {
				t.Errorf("tombstone was accepted, expecting %v", expected)
			}
		})
	}
	s.wantRevisions(0, 1)
}

func tombstoneAbsent(s *suite) {
	s.tombstone(esdb.Any{})
	_, err := s.try(s.stream, esdb.NoStream{}, event("a"))
	s.wantCode(err, esdb.ErrorCodeStreamDeleted)
}

func tombstoneSubscription(s *suite) {
	s.write(esdb.NoStream{}, events(2)...)
	f := s.subscribe(esdb.SubscribeToStreamOptions{From: esdb.Start{}})
	if got := f.caughtUp(); len(got) != 2 {
		s.Errorf("got %d events, want 2", len(got))
	}
	s.tombstone(esdb.Any{})
	seen := []bool{}
	for {
		message := f.next()
		seen = append(seen, message.SubscriptionDropped != nil)
		if message.SubscriptionDropped != nil {
			break
		}
	}
	if !slices.Contains(seen, true) {
		s.Error("the subscription went on")
	}
}
