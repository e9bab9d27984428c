package conformance

import (
	"fmt"
	"slices"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"
)

var filterCases = []testCase{
	{"stream prefix", filterStreamPrefix},
	{"event type prefix", filterTypePrefix},
	{"stream pattern", filterStreamPattern},
	{"event type pattern", filterTypePattern},
	{"no system events", filterSystem},
	{"checkpoints", filterCheckpoints},
	{"checkpoint resumes", filterResume},
	{"refused patterns", filterRefused},
}

// filtered writes events that differ in stream and type, and returns where they begin.
// Types hold the test's stream name, so that no other test's events are like them.
func (s *suite) filtered() esdb.Position {
	s.Helper()
	r := s.writeTo(s.stream+"-begin", esdb.Any{}, event("begin"))
	for i, suffix := range []string{"-red-1", "-blue-1", "-red-2"} {
		s.writeTo(s.stream+suffix, esdb.Any{}, event(s.stream+fmt.Sprintf("-light-%d", i)), event(s.stream+fmt.Sprintf("-dark-%d", i)))
	}
	return esdb.Position{Commit: r.CommitPosition, Prepare: r.PreparePosition}
}

// selected is what a subscription with the filter gives, as stream and type behind the
// test's name.
func (s *suite) selected(filter esdb.SubscriptionFilter) []string {
	s.Helper()
	f := s.subscribeAll(esdb.SubscribeToAllOptions{From: s.filtered(), Filter: &filter})
	names := []string{}
	for _, e := range f.caughtUp() {
		names = append(names, e.StreamID[len(s.stream):]+e.EventType[len(s.stream):])
	}
	return names
}

func (s *suite) wantSelected(filter esdb.SubscriptionFilter, want ...string) {
	s.Helper()
	if got := s.selected(filter); !slices.Equal(got, want) {
		s.Errorf("filter %+v selects %v, want %v", filter, got, want)
	}
}

func filterStreamPrefix(s *suite) {
	s.wantSelected(
		esdb.SubscriptionFilter{Type: esdb.StreamFilterType, Prefixes: []string{"nothing-", s.stream + "-red"}},
		"-red-1-light-0", "-red-1-dark-0", "-red-2-light-2", "-red-2-dark-2")
}

func filterTypePrefix(s *suite) {
	s.wantSelected(
		esdb.SubscriptionFilter{Type: esdb.EventFilterType, Prefixes: []string{s.stream + "-dark"}},
		"-red-1-dark-0", "-blue-1-dark-1", "-red-2-dark-2")
}

func filterStreamPattern(s *suite) {
	s.wantSelected(
		esdb.SubscriptionFilter{Type: esdb.StreamFilterType, Regex: s.stream[15:] + "-(blue|green)-[0-9]$"},
		"-blue-1-light-1", "-blue-1-dark-1")
}

func filterTypePattern(s *suite) {
	s.wantSelected(
		esdb.SubscriptionFilter{Type: esdb.EventFilterType, Regex: "^" + s.stream + ".*-2$"},
		"-red-2-light-2", "-red-2-dark-2")
}

func filterSystem(s *suite) {
	r := s.write(esdb.Any{}, event("begin"))
	s.describe(func(m *esdb.StreamMetadata) { m.SetMaxCount(9) })
	s.write(esdb.Any{}, event("end"))
	f := s.subscribeAll(esdb.SubscribeToAllOptions{
		From:   esdb.Position{Commit: r.CommitPosition, Prepare: r.PreparePosition},
		Filter: esdb.ExcludeSystemEventsFilter(),
	})
	for {
		e := f.event()
		if e.EventType[0] == '$' {
			s.Fatalf("event of type %s came", e.EventType)
		}
		if e.StreamID == s.stream && e.EventType == "end" {
			return
		}
	}
}

// checkpoints follows with a filter that selects nothing, until the subscription has
// caught up, and returns the checkpoints.
func (s *suite) checkpoints(from esdb.Position, interval int) []esdb.Position {
	s.Helper()
	f := s.subscribeAll(esdb.SubscribeToAllOptions{
		From: from, MaxSearchWindow: 10, CheckpointInterval: interval,
		Filter: &esdb.SubscriptionFilter{Type: esdb.StreamFilterType, Prefixes: []string{s.stream + "-nothing"}},
	})
	var told []esdb.Position
	for {
		message := f.next()
		switch {
		case message.SubscriptionDropped != nil:
			s.Fatalf("dropped: %v", message.SubscriptionDropped.Error)
		case message.EventAppeared != nil:
			s.Fatal("an event came that the filter excludes")
		case message.CheckPointReached != nil:
			told = append(told, *message.CheckPointReached)
		case message.CaughtUp != nil:
			return told
		}
	}
}

func filterCheckpoints(s *suite) {
	r := s.write(esdb.NoStream{}, event("begin"))
	from := esdb.Position{Commit: r.CommitPosition, Prepare: r.PreparePosition}
	end := s.write(esdb.Revision(0), events(100)...)
	for interval, least := range map[int]int{1: 10, 3: 3} {
		told := s.checkpoints(from, interval)
		if len(told) < least {
			s.Errorf("%d checkpoints at interval %d, want %d at least", len(told), interval, least)
		}
		if !slices.IsSortedFunc(told, func(a, b esdb.Position) int { return int(a.Commit) - int(b.Commit) }) {
			s.Errorf("checkpoints %v don't rise", told)
		}
		if last := told[len(told)-1]; last.Commit < end.CommitPosition {
			s.Errorf("last checkpoint before catching up is %d, want %d or more", last.Commit, end.CommitPosition)
		}
	}
}

func filterResume(s *suite) {
	r := s.write(esdb.NoStream{}, event("begin"))
	s.write(esdb.Revision(0), events(50)...)
	told := s.checkpoints(esdb.Position{Commit: r.CommitPosition, Prepare: r.PreparePosition}, 1)
	s.writeTo(s.stream+"-wanted", esdb.NoStream{}, event("a"))
	f := s.subscribeAll(esdb.SubscribeToAllOptions{
		From:   told[len(told)-1],
		Filter: &esdb.SubscriptionFilter{Type: esdb.StreamFilterType, Prefixes: []string{s.stream}},
	})
	if e := f.event(); e.StreamID != s.stream+"-wanted" {
		s.Errorf("first event behind the checkpoint is of %s", e.StreamID)
	}
}

func filterRefused(s *suite) {
	sub, err := s.client.SubscribeToAll(s.ctx, esdb.SubscribeToAllOptions{
		Filter: &esdb.SubscriptionFilter{Type: esdb.StreamFilterType, Regex: "(unclosed"},
	})
	if err == nil {
		_ = sub.Close()
		s.Error("a pattern that is none was accepted")
	}
}
