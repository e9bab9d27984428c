package node

import (
	"testing"

	"github.com/google/uuid"
)

// TestReplayOfAGroupThatEnded: a replay that comes in while its group makes way for
// another leaves the parked events to that one.
func TestReplayOfAGroupThatEnded(t *testing.T) {
	n, err := Open(Config{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = n.Close() }()
	ctx, key := t.Context(), groupKey{Stream: "s", Group: "workers"}
	if err := n.writeEvent(ctx, "s", newEvent{id: uuid.New(), typ: "happened"}); err != nil {
		t.Fatal(err)
	}
	if err := n.groups.create(ctx, groupConfig{groupKey: key, MaxRetryCount: 1, HistoryBufferSize: 1, ReadBatchSize: 1}); err != nil {
		t.Fatal(err)
	}
	former, err := n.groups.find(key)
	if err != nil {
		t.Fatal(err)
	}
	if err := former.writeLink(ctx, &delivery{event: resolved{event: &record{stream: "s"}}}); err != nil {
		t.Fatal(err)
	}
	if err := n.groups.restart(); err != nil {
		t.Fatal(err)
	}
	if err := former.replay(ctx, lastRevision); err == nil {
		t.Error("a group that ended has replayed")
	}
	now, err := n.groups.find(key)
	if err != nil {
		t.Fatal(err)
	}
	if parked, err := now.parkedCount(); parked != 1 || err != nil {
		t.Errorf("%d events are parked, %v", parked, err)
	}
}
