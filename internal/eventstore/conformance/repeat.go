package conformance

import "github.com/EventStore/EventStore-Client-Go/v4/esdb"

var repeatCases = []testCase{
	{"no stream", repeatNoStream},
	{"revision", repeatRevision},
	{"revision in the past", repeatInThePast},
	{"part of the batch", repeatPart},
	{"beyond the end", repeatBeyond},
	{"another order", repeatOtherOrder},
	{"any", repeatAny},
	{"any with an event more", repeatAnyMore},
	{"same id in two streams", repeatOtherStream},
}

func (s *suite) wantCount(want int) {
	s.Helper()
	if got := s.mustRead(esdb.ReadStreamOptions{}, 10_000); len(got) != want {
		s.Errorf("stream has %d events, want %d", len(got), want)
	}
}

// same fails the test unless the repetition was answered like the first time.
func (s *suite) same(first, again *esdb.WriteResult) {
	s.Helper()
	if *first != *again {
		s.Errorf("repeated append was answered %+v, the first %+v", *again, *first)
	}
}

func repeatNoStream(s *suite) {
	batch := events(3)
	s.same(s.write(esdb.NoStream{}, batch...), s.write(esdb.NoStream{}, batch...))
	s.wantCount(3)
}

func repeatRevision(s *suite) {
	s.write(esdb.NoStream{}, events(2)...)
	batch := events(3)
	s.same(s.write(esdb.Revision(1), batch...), s.write(esdb.Revision(1), batch...))
	s.wantCount(5)
}

func repeatInThePast(s *suite) {
	s.write(esdb.NoStream{}, events(2)...)
	batch := events(2)
	first := s.write(esdb.Revision(1), batch...)
	s.write(esdb.Revision(3), events(5)...)
	s.same(first, s.write(esdb.Revision(1), batch...))
	s.wantCount(9)
}

func repeatPart(s *suite) {
	batch := events(3)
	s.write(esdb.NoStream{}, batch...)
	if r := s.write(esdb.NoStream{}, batch[:2]...); r.NextExpectedVersion != 1 {
		s.Errorf("revision is %d, want that of the last event repeated, 1", r.NextExpectedVersion)
	}
	_, err := s.try(s.stream, esdb.NoStream{}, batch[0], event("other"))
	s.wantCode(err, esdb.ErrorCodeWrongExpectedVersion)
	s.wantCount(3)
}

func repeatBeyond(s *suite) {
	batch := events(2)
	s.write(esdb.NoStream{}, batch...)
	_, err := s.try(s.stream, esdb.NoStream{}, append(batch, event("more"))...)
	s.wantCode(err, esdb.ErrorCodeWrongExpectedVersion)
	s.wantCount(2)
}

func repeatOtherOrder(s *suite) {
	batch := events(2)
	s.write(esdb.NoStream{}, batch...)
	_, err := s.try(s.stream, esdb.NoStream{}, batch[1], batch[0])
	s.wantCode(err, esdb.ErrorCodeWrongExpectedVersion)
}

func repeatAny(s *suite) {
	batch := events(2)
	first := s.write(esdb.Any{}, batch...)
	s.write(esdb.Any{}, event("between"))
	s.same(first, s.write(esdb.Any{}, batch...))
	s.same(first, s.write(esdb.StreamExists{}, batch...))
	s.wantCount(3)
}

func repeatAnyMore(s *suite) {
	batch := events(2)
	s.write(esdb.Any{}, batch...)
	_, err := s.try(s.stream, esdb.Any{}, append(batch, event("more"))...)
	s.wantCode(err, esdb.ErrorCodeWrongExpectedVersion)
	s.write(esdb.Any{}, event("new"), batch[0])
	s.wantCount(4)
}

func repeatOtherStream(s *suite) {
	batch := events(1)
	s.write(esdb.Any{}, batch...)
	other := s.stream + "-other"
	s.writeTo(other, esdb.Any{}, batch...)
	if got, err := s.readFrom(other, esdb.ReadStreamOptions{}, 10); err != nil || len(got) != 1 {
		s.Errorf("the other stream has %d events (%v), want 1", len(got), err)
	}
}
