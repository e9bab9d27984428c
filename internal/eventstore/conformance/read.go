package conformance

import (
	"fmt"
	"slices"
	"testing"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"
	"github.com/google/uuid"
)

var readStreamCases = []testCase{
	{"ranges", readRanges},
	{"absent stream", readAbsent},
	{"pages", readPages},
	{"names that begin alike", readSimilarNames},
	{"links", readLinks},
	{"refused requests", readRefused},
}

func readRanges(s *suite) {
	s.write(esdb.NoStream{}, events(10)...)
	for _, c := range []struct {
		name  string
		dir   esdb.Direction
		from  esdb.StreamPosition
		count uint64
		want  []uint64
	}{
		{"forwards from start", esdb.Forwards, esdb.Start{}, 3, []uint64{0, 1, 2}},
		{"forwards from revision", esdb.Forwards, esdb.Revision(7), 100, []uint64{7, 8, 9}},
		{"forwards beyond the end", esdb.Forwards, esdb.Revision(10), 100, []uint64{}},
		{"backwards from end", esdb.Backwards, esdb.End{}, 3, []uint64{9, 8, 7}},
		{"backwards from revision", esdb.Backwards, esdb.Revision(2), 100, []uint64{2, 1, 0}},
		{"backwards from beyond the end", esdb.Backwards, esdb.Revision(50), 2, []uint64{9, 8}},
		{"backwards from start", esdb.Backwards, esdb.Start{}, 5, []uint64{0}},
	} {
		s.Run(c.name, func(t *testing.T) {
			got, err := s.read(esdb.ReadStreamOptions{Direction: c.dir, From: c.from}, c.count)
			if err != nil || !slices.Equal(revisions(got), c.want) {
				t.Errorf("read revisions %v (%v), want %v", revisions(got), err, c.want)
			}
		})
	}
}

func readAbsent(s *suite) {
	for _, dir := range []esdb.Direction{esdb.Forwards, esdb.Backwards} {
		_, err := s.read(esdb.ReadStreamOptions{Direction: dir, From: esdb.End{}}, 1)
		s.wantCode(err, esdb.ErrorCodeResourceNotFound)
	}
}

// readPages reads more than any server reads at once.
func readPages(s *suite) {
	const count = 1500
	s.write(esdb.NoStream{}, events(count)...)
	forwards := revisions(s.mustRead(esdb.ReadStreamOptions{}, 1e6))
	backwards := revisions(s.mustRead(esdb.ReadStreamOptions{Direction: esdb.Backwards, From: esdb.End{}}, 1e6))
	slices.Reverse(backwards)
	if len(forwards) != count || !slices.Equal(forwards, backwards) {
		s.Errorf("read %d forwards and %d backwards, want the same %d", len(forwards), len(backwards), count)
	}
	if got := s.mustRead(esdb.ReadStreamOptions{From: esdb.Revision(100)}, 1000); len(got) != 1000 || got[999].Event.EventNumber != 1099 {
		s.Errorf("read %d events, want 1000 ending with 1099", len(got))
	}
}

func readSimilarNames(s *suite) {
	for i, suffix := range []string{"", "0", "00", "-", "ä"} {
		s.writeTo(s.stream+suffix, esdb.NoStream{}, events(i+1)...)
	}
	for i, suffix := range []string{"", "0", "00", "-", "ä"} {
		got, err := s.readFrom(s.stream+suffix, esdb.ReadStreamOptions{}, 100)
		if err != nil || len(got) != i+1 {
			s.Errorf("stream with suffix %q has %d events (%v), want %d", suffix, len(got), err, i+1)
		}
	}
}

func readLinks(s *suite) {
	target := s.stream + "-target"
	s.writeTo(target, esdb.NoStream{}, events(2)...)
	link := func(data string) esdb.EventData {
		return esdb.EventData{EventID: uuid.New(), EventType: "$>", Data: []byte(data)}
	}
	s.write(esdb.NoStream{}, link("1@"+target), link("5@"+target), link("0@"+target+"-absent"), event("plain"))
	plain := s.mustRead(esdb.ReadStreamOptions{}, 10)
	if plain[0].Link != nil || plain[0].Event.EventType != "$>" {
		s.Errorf("without resolving, the link came as %+v", plain[0])
	}
	got := s.mustRead(esdb.ReadStreamOptions{ResolveLinkTos: true}, 10)
	if len(got) != 4 {
		s.Fatalf("read %d events, want 4", len(got))
	}
	if e := got[0]; e.Event == nil || e.Link == nil || e.Event.EventType != "e1" || e.Event.StreamID != target || e.Link.EventNumber != 0 {
		s.Errorf("first link resolved to %+v", e)
	}
	for i := 1; i <= 2; i++ {
		if got[i].Event != nil || got[i].Link == nil {
			s.Errorf("link %d to nothing resolved to %+v", i, got[i].Event)
		}
	}
	if got[3].Link != nil || got[3].Event.EventType != "plain" {
		s.Errorf("event that is no link came as %+v", got[3])
	}
}

func readRefused(s *suite) {
	s.write(esdb.NoStream{}, event("a"))
	if _, err := s.read(esdb.ReadStreamOptions{}, 0); err == nil {
		s.Error("a read of 0 events was accepted")
	}
	if _, err := s.readFrom("", esdb.ReadStreamOptions{}, 1); err == nil {
		s.Error("a read of a stream without a name was accepted")
	}
}

var readAllCases = []testCase{
	{"forwards is inclusive", readAllForwards},
	{"backwards is exclusive", readAllBackwards},
	{"system events are there", readAllSystem},
}

func (s *suite) readAll(dir esdb.Direction, from esdb.AllPosition, count uint64) []*esdb.ResolvedEvent {
	s.Helper()
	reading, err := s.client.ReadAll(s.ctx, esdb.ReadAllOptions{Direction: dir, From: from}, count)
	if err != nil {
		s.Fatal(err)
	}
	defer reading.Close()
	all, err := collect(reading)
	if err != nil {
		s.Fatalf("read $all: %v", err)
	}
	return all
}

// mine keeps the events of the test's own streams.
func (s *suite) mine(all []*esdb.ResolvedEvent) []string {
	found := []string{}
	for _, e := range all {
		if e.Event != nil && e.Event.StreamID == s.stream {
			found = append(found, e.Event.EventType)
		}
	}
	return found
}

// positions writes three events one by one.
func (s *suite) positions() []esdb.Position {
	s.Helper()
	var at []esdb.Position
	for i := range 3 {
		r := s.write(esdb.Any{}, event(fmt.Sprintf("p%d", i)))
		at = append(at, esdb.Position{Commit: r.CommitPosition, Prepare: r.PreparePosition})
	}
	return at
}

func readAllForwards(s *suite) {
	at := s.positions()
	if got := s.mine(s.readAll(esdb.Forwards, at[1], 1e6)); !slices.Equal(got, []string{"p1", "p2"}) {
		s.Errorf("forwards from the second event gave %v", got)
	}
	if got := s.readAll(esdb.Forwards, at[1], 1); len(got) != 1 || got[0].Event.Position != at[1] {
		s.Errorf("one event from a position isn't the event at it")
	}
	if got := s.readAll(esdb.Forwards, esdb.Start{}, 1); len(got) != 1 {
		s.Errorf("one event from the start gave %d", len(got))
	}
}

func readAllBackwards(s *suite) {
	at := s.positions()
	if got := s.mine(s.readAll(esdb.Backwards, at[2], 2)); !slices.Equal(got, []string{"p1", "p0"}) {
		s.Errorf("backwards from the third event gave %v", got)
	}
	got := s.mine(s.readAll(esdb.Backwards, esdb.End{}, 1000))
	if !slices.Equal(got, []string{"p2", "p1", "p0"}) {
		s.Errorf("backwards from the end gave %v", got)
	}
}

func readAllSystem(s *suite) {
	at := s.positions()
	meta := esdb.StreamMetadata{}
	meta.SetMaxCount(1)
	if _, err := s.client.SetStreamMetadata(s.ctx, s.stream, esdb.AppendToStreamOptions{}, meta); err != nil {
		s.Fatal(err)
	}
	if _, err := s.client.TombstoneStream(s.ctx, s.stream, esdb.TombstoneStreamOptions{}); err != nil {
		s.Fatal(err)
	}
	var types []string
	for _, e := range s.readAll(esdb.Forwards, at[0], 1e6) {
		if e.Event != nil && (e.Event.StreamID == s.stream || e.Event.StreamID == "$$"+s.stream) {
			types = append(types, e.Event.EventType)
		}
	}
	if want := []string{"p0", "p1", "p2", "$metadata", "$streamDeleted"}; !slices.Equal(types, want) {
		s.Errorf("$all shows %v, want %v", types, want)
	}
}
