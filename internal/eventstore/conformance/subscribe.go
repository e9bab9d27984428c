package conformance

import (
	"slices"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"
)

var subscribeCases = []testCase{
	{"stream from start", subscribeStart},
	{"stream from a revision is exclusive", subscribeRevision},
	{"stream from end", subscribeEnd},
	{"stream not there yet", subscribeAbsent},
	{"stream truncated", subscribeTruncated},
	{"stream deleted and made anew", subscribeRecreated},
	{"links", subscribeLinks},
	{"all from a position is exclusive", subscribeAllPosition},
	{"all from end", subscribeAllEnd},
	{"ids differ", subscribeIDs},
	{"closed by the client", subscribeClose},
}

func numbers(all []*esdb.RecordedEvent) []uint64 {
	found := []uint64{}
	for _, e := range all {
		found = append(found, e.EventNumber)
	}
	return found
}

func (f *subscription) wantNumbers(got []*esdb.RecordedEvent, want ...uint64) {
	f.Helper()
	if !slices.Equal(numbers(got), append([]uint64{}, want...)) {
		f.Errorf("subscription gave %v, want %v", numbers(got), want)
	}
}

func (f *subscription) wantNext(want uint64) {
	f.Helper()
	if e := f.event(); e.EventNumber != want {
		f.Errorf("next event has revision %d, want %d", e.EventNumber, want)
	}
}

func subscribeStart(s *suite) {
	s.write(esdb.NoStream{}, events(3)...)
	f := s.subscribe(esdb.SubscribeToStreamOptions{From: esdb.Start{}})
	f.wantNumbers(f.caughtUp(), 0, 1, 2)
	s.write(esdb.Revision(2), events(2)...)
	f.wantNext(3)
	f.wantNext(4)
}

func subscribeRevision(s *suite) {
	s.write(esdb.NoStream{}, events(4)...)
	f := s.subscribe(esdb.SubscribeToStreamOptions{From: esdb.Revision(1)})
	f.wantNumbers(f.caughtUp(), 2, 3)
	last := s.subscribe(esdb.SubscribeToStreamOptions{From: esdb.Revision(3)})
	last.wantNumbers(last.caughtUp())
	s.write(esdb.Revision(3), event("a"))
	f.wantNext(4)
	last.wantNext(4)
}

func subscribeEnd(s *suite) {
	s.write(esdb.NoStream{}, events(3)...)
	f := s.subscribe(esdb.SubscribeToStreamOptions{From: esdb.End{}})
	f.wantNumbers(f.caughtUp())
	s.write(esdb.Revision(2), event("a"))
	f.wantNext(3)
}

func subscribeAbsent(s *suite) {
	f := s.subscribe(esdb.SubscribeToStreamOptions{From: esdb.Start{}})
	f.wantNumbers(f.caughtUp())
	s.write(esdb.NoStream{}, events(2)...)
	f.wantNext(0)
	f.wantNext(1)
}

func subscribeTruncated(s *suite) {
	s.write(esdb.NoStream{}, events(5)...)
	s.describe(func(m *esdb.StreamMetadata) { m.SetTruncateBefore(3) })
	f := s.subscribe(esdb.SubscribeToStreamOptions{From: esdb.Start{}})
	f.wantNumbers(f.caughtUp(), 3, 4)
}

func subscribeRecreated(s *suite) {
	s.write(esdb.NoStream{}, events(2)...)
	f := s.subscribe(esdb.SubscribeToStreamOptions{From: esdb.Start{}})
	f.wantNumbers(f.caughtUp(), 0, 1)
	s.remove(esdb.Any{})
	s.write(esdb.Any{}, event("again"))
	f.wantNext(2)
}

func subscribeLinks(s *suite) {
	target := s.stream + "-target"
	s.writeTo(target, esdb.NoStream{}, events(1)...)
	f := s.subscribe(esdb.SubscribeToStreamOptions{From: esdb.Start{}, ResolveLinkTos: true})
	link := event("$>")
	link.Data = []byte("0@" + target)
	s.write(esdb.NoStream{}, link)
	for {
		message := f.next()
		if message.EventAppeared == nil {
			continue
		}
		if e := message.EventAppeared; e.Event == nil || e.Link == nil || e.Event.StreamID != target {
			s.Errorf("link came as %+v", e)
		}
		return
	}
}

func subscribeAllPosition(s *suite) {
	at := s.positions()
	f := s.subscribeAll(esdb.SubscribeToAllOptions{From: at[0]})
	if e := f.event(); e.Position.Commit <= at[0].Commit {
		s.Errorf("first event is at %d, want it behind %d", e.Position.Commit, at[0].Commit)
	} else if e.StreamID == s.stream && e.EventType != "p1" {
		s.Errorf("first event is %s, want p1", e.EventType)
	}
}

func subscribeAllEnd(s *suite) {
	before := s.positions()
	f := s.subscribeAll(esdb.SubscribeToAllOptions{From: esdb.End{}})
	f.caughtUp()
	s.write(esdb.Any{}, event("after"))
	for {
		e := f.event()
		if e.Position.Commit <= before[2].Commit {
			s.Fatalf("event at %d came, which is before the end", e.Position.Commit)
		}
		if e.StreamID == s.stream {
			if e.EventType != "after" {
				s.Errorf("first event is %s, want after", e.EventType)
			}
			return
		}
	}
}

func subscribeIDs(s *suite) {
	one, err := s.client.SubscribeToStream(s.ctx, s.stream, esdb.SubscribeToStreamOptions{})
	if err != nil {
		s.Fatal(err)
	}
	defer one.Close()
	two, err := s.client.SubscribeToStream(s.ctx, s.stream, esdb.SubscribeToStreamOptions{})
	if err != nil {
		s.Fatal(err)
	}
	defer two.Close()
	if one.Id() == "" || one.Id() == two.Id() {
		s.Errorf("ids are %q and %q", one.Id(), two.Id())
	}
}

func subscribeClose(s *suite) {
	sub, err := s.client.SubscribeToStream(s.ctx, s.stream, esdb.SubscribeToStreamOptions{})
	if err != nil {
		s.Fatal(err)
	}
	if err := sub.Close(); err != nil {
		s.Fatal(err)
	}
	if message := sub.Recv(); message.SubscriptionDropped == nil {
		s.Errorf("after Close came %+v", message)
	}
}
