package conformance

import (
	"fmt"
	"sync"
	"time"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"
)

var liveCases = []testCase{
	{"no gap and no duplicate under concurrent writers", liveSwitch},
	{"writers of one stream", liveContention},
	{"read your writes", liveReadYourWrites},
	{"slow reader", liveSlowReader},
	{"idle connection", liveIdle},
}

// volume is how many events the live switch is tested with.
func volume() int {
	if Long() {
		return 100_000
	}
	return 5_000
}

// liveSwitch subscribes while writers write, several times, each time at another point of
// the switch from history to live events.
func liveSwitch(s *suite) {
	const writers, batch = 8, 10
	perWriter := volume() / writers / batch * batch
	begin := s.write(esdb.NoStream{}, event("begin"))
	from := esdb.Position{Commit: begin.CommitPosition, Prepare: begin.PreparePosition}
	var writing, reading sync.WaitGroup
	for w := range writers {
		writing.Go(func() { s.fill(fmt.Sprintf("%s-w%d", s.stream, w), perWriter, batch) })
	}
	for range 4 {
		reading.Go(func() { s.checkComplete(from, writers, perWriter) })
		s.write(esdb.Any{}, event("pause"))
	}
	writing.Wait()
	reading.Go(func() { s.checkComplete(from, writers, perWriter) })
	reading.Wait()
}

func (s *suite) fill(stream string, count, batch int) {
	for written := 0; written < count; written += batch {
		if _, err := s.try(stream, esdb.Any{}, events(batch)...); err != nil {
			s.Errorf("append to %s: %v", stream, err)
			return
		}
	}
}

// checkComplete follows all writers' streams and checks that each event comes once, in
// order. It reports with Errorf, for it runs on a goroutine of its own.
func (s *suite) checkComplete(from esdb.Position, writers, perWriter int) {
	sub, err := s.client.SubscribeToAll(s.ctx, esdb.SubscribeToAllOptions{
		From:   from,
		Filter: &esdb.SubscriptionFilter{Type: esdb.StreamFilterType, Prefixes: []string{s.stream + "-w"}},
	})
	if err != nil {
		s.Errorf("subscribe: %v", err)
		return
	}
	defer sub.Close()
	next := map[string]uint64{}
	last := from.Commit
	for received := 0; received < writers*perWriter; {
		message := sub.Recv()
		if message.SubscriptionDropped != nil {
			s.Errorf("dropped after %d events: %v", received, message.SubscriptionDropped.Error)
			return
		}
		if message.EventAppeared == nil {
			continue
		}
		e := message.EventAppeared.Event
		if e.EventNumber != next[e.StreamID] || e.Position.Commit <= last {
			s.Errorf("%s: revision %d at %d came where %d behind %d was due", e.StreamID, e.EventNumber, e.Position.Commit, next[e.StreamID], last)
			return
		}
		next[e.StreamID]++
		last = e.Position.Commit
		received++
	}
}

// liveContention has writers race for each revision: exactly one may win.
func liveContention(s *suite) {
	const writers, rounds = 8, 25
	for round := range rounds {
		var expected esdb.ExpectedRevision = esdb.NoStream{}
		if round > 0 {
			expected = esdb.Revision(uint64(round - 1))
		}
		outcomes := make(chan error, writers)
		for range writers {
			go func() {
				_, err := s.try(s.stream, expected, event("a"))
				outcomes <- err
			}()
		}
		won := 0
		for range writers {
			if err := <-outcomes; err == nil {
				won++
			} else if code(err) != esdb.ErrorCodeWrongExpectedVersion {
				s.Errorf("a loser was told %v", err)
			}
		}
		if won != 1 {
			s.Fatalf("%d writers won round %d", won, round)
		}
	}
	s.wantCount(rounds)
}

func liveReadYourWrites(s *suite) {
	for i := range 200 {
		s.write(esdb.Any{}, event("a"))
		got := s.mustRead(esdb.ReadStreamOptions{Direction: esdb.Backwards, From: esdb.End{}}, 1)
		if len(got) != 1 || got[0].Event.EventNumber != uint64(i) {
			s.Fatalf("after writing %d the last revision reads as %v", i, revisions(got))
		}
	}
}

// liveSlowReader takes no event before more lie ready than fit into any buffer on the
// way.
func liveSlowReader(s *suite) {
	sub, err := s.client.SubscribeToStream(s.ctx, s.stream, esdb.SubscribeToStreamOptions{})
	if err != nil {
		s.Fatal(err)
	}
	const batches, batch = 40, 20
	for range batches {
		all := events(batch)
		for i := range all {
			all[i].Data, all[i].ContentType = make([]byte, 20_000), esdb.ContentTypeBinary
		}
		s.write(esdb.Any{}, all...)
	}
	f := s.follow(sub, nil)
	for i := range uint64(batches * batch) {
		f.wantNext(i)
	}
}

// liveIdle waits out the time after which grpc-go's default policy cuts off a client for
// its pings, which the client sends every 10 s.
func liveIdle(s *suite) {
	if !Long() {
		s.Skip("takes 45 s; set DAYBOOK_TEST_LONG=1 to run it")
	}
	f := s.subscribe(esdb.SubscribeToStreamOptions{})
	f.caughtUp()
	s.group(defaults)
	c := s.connect(1)
	select {
	case message := <-f.messages:
		s.Fatalf("to the idle subscription came %+v", message)
	case err := <-c.ended:
		s.Fatalf("the idle consumer's connection ended: %v", err)
	case <-time.After(45 * time.Second):
	}
	s.write(esdb.NoStream{}, event("late"))
	f.wantNext(0)
	c.want(0, 0)
}
