package node_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/EventStore/EventStore-Client-Go/v4/protos/shared"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/streams"
	"github.com/google/uuid"

	"daybook/internal/eventstore/node"
)

// crashWriter appends to a stream of its own, each time expecting the revision it got
// before, and keeps the ids that were acknowledged.
type crashWriter struct {
	stream string
	acked  []string
	// unsure are the ids of the append whose answer was lost.
	unsure []string
}

// request is an append of the ids behind the acknowledged ones.
func (w *crashWriter) request(ids []string) []*streams.AppendReq {
	options := &streams.AppendReq_Options{StreamIdentifier: identifier(w.stream)}
	options.ExpectedStreamRevision = &streams.AppendReq_Options_NoStream{NoStream: &shared.Empty{}}
	if n := len(w.acked); n > 0 {
		options.ExpectedStreamRevision = &streams.AppendReq_Options_Revision{Revision: uint64(n - 1)}
	}
	messages := []*streams.AppendReq{{Content: &streams.AppendReq_Options_{Options: options}}}
	for _, id := range ids {
		messages = append(messages, proposed(func(m *streams.AppendReq_ProposedMessage) {
			m.Id = &shared.UUID{Value: &shared.UUID_String_{String_: id}}
		}))
	}
	return messages
}

// once appends some events, first those of which it is unsure.
func (w *crashWriter) once(ctx context.Context, c streams.StreamsClient) error {
	if w.unsure == nil {
		for range 1 + rand.IntN(3) {
			w.unsure = append(w.unsure, uuid.NewString())
		}
	}
	call, err := c.Append(ctx)
	if err != nil {
		return err
	}
	for _, m := range w.request(w.unsure) {
		if err := call.Send(m); err != nil {
			return err
		}
	}
	answer, err := call.CloseAndRecv()
	if err != nil {
		return err
	}
	if success := answer.GetSuccess(); success == nil || success.GetCurrentRevision() != uint64(len(w.acked)+len(w.unsure)-1) {
		return fmt.Errorf("%w: append behind %d events was answered %v", errWrongAnswer, len(w.acked), answer)
	}
	w.acked = append(w.acked, w.unsure...)
	w.unsure = nil
	return nil
}

var errWrongAnswer = errors.New("wrong answer")

// TestCrash kills a node again and again while writers write. Nothing acknowledged may
// be lost, nothing may be there twice, and neither revisions nor positions have a gap.
// Every other process has a log so small that it is nearly always killed in a move. A
// subscriber goes on behind what it had; what it saw stays true.
func TestCrash(t *testing.T) {
	kills := 15
	if os.Getenv("DAYBOOK_TEST_LONG") == "1" {
		kills = 200
	}
	c := newChild(t)
	writers := make([]*crashWriter, 32)
	for i := range writers {
		writers[i] = &crashWriter{stream: fmt.Sprintf("writer-%d", i)}
	}
	follower := &crashFollower{}
	for i := range kills {
		c.log = [...]string{"", "16384"}[i%2]
		writeUntilKilled(c, writers, follower, time.Duration(5+rand.IntN(80))*time.Millisecond)
		follower.compare(c, checkAfterCrash(c, writers))
		if t.Failed() {
			return
		}
	}
	acked := 0
	for _, w := range writers {
		acked += len(w.acked)
	}
	t.Logf("%d kills, %d events acknowledged, none lost; %d seen by the subscriber", kills, acked, len(follower.seen))
}

// crashFollower subscribes to everything and keeps the ids that came.
type crashFollower struct {
	seen []string
}

// follow goes on behind what was seen, until the subscription ends.
func (f *crashFollower) follow(ctx context.Context, c *child, client streams.StreamsClient) {
	from := &streams.ReadReq_Options_AllOptions{AllOption: &streams.ReadReq_Options_AllOptions_Start{Start: &shared.Empty{}}}
	if last := uint64(len(f.seen)); last > 0 {
		from.AllOption = &streams.ReadReq_Options_AllOptions_Position{
			Position: &streams.ReadReq_Options_Position{CommitPosition: last, PreparePosition: last},
		}
	}
	call, err := client.Read(ctx, readOptions(func(o *streams.ReadReq_Options) {
		o.StreamOption = &streams.ReadReq_Options_All{All: from}
		o.CountOption = &streams.ReadReq_Options_Subscription{Subscription: &streams.ReadReq_Options_SubscriptionOptions{}}
	}))
	for err == nil {
		var message *streams.ReadResp
		message, err = call.Recv()
		e := message.GetEvent().GetEvent()
		if e == nil {
			continue
		}
		if e.GetCommitPosition() != uint64(len(f.seen)+1) {
			c.Errorf("the subscriber got position %d behind %d", e.GetCommitPosition(), len(f.seen))
			return
		}
		f.seen = append(f.seen, e.GetId().GetString_())
	}
}

// compare holds what was seen against the log as it was left: what anybody has seen no
// crash may take away.
func (f *crashFollower) compare(c *child, log []string) {
	if len(f.seen) > len(log) || !slices.Equal(f.seen, log[:len(f.seen)]) {
		c.Errorf("the subscriber had seen %d events, which are not the first of the %d there are", len(f.seen), len(log))
	}
}

func writeUntilKilled(c *child, writers []*crashWriter, follower *crashFollower, after time.Duration) {
	client := c.start()
	ctx, cancel := context.WithCancel(c.Context())
	defer cancel()
	var running sync.WaitGroup
	running.Go(func() { follower.follow(ctx, c, client) })
	for _, w := range writers {
		running.Go(func() {
			for {
				err := w.once(ctx, client)
				if isWrongAnswer(err) {
					c.Error(err)
				}
				if err != nil {
					return
				}
			}
		})
	}
	<-time.After(after)
	c.kill()
	cancel()
	running.Wait()
}

func isWrongAnswer(err error) bool { return errors.Is(err, errWrongAnswer) }

// checkAfterCrash reads the whole log as it was left, and returns the ids in it.
func checkAfterCrash(c *child, writers []*crashWriter) (log []string) {
	client := c.start()
	defer c.kill()
	all, err := receive(c.Context(), client, readOptions(func(o *streams.ReadReq_Options) {
		o.StreamOption = &streams.ReadReq_Options_All{All: &streams.ReadReq_Options_AllOptions{
			AllOption: &streams.ReadReq_Options_AllOptions_Start{Start: &shared.Empty{}},
		}}
		o.CountOption = &streams.ReadReq_Options_Count{Count: 1 << 40}
	}))
	if err != nil {
		c.Fatal(err)
	}
	found := map[string][]string{}
	for i, message := range all {
		e := message.GetEvent().GetEvent()
		stream := string(e.GetStreamIdentifier().GetStreamName())
		if e.GetCommitPosition() != uint64(i+1) || e.GetStreamRevision() != uint64(len(found[stream])) {
			c.Fatalf("event %d is revision %d of %s at position %d", i, e.GetStreamRevision(), stream, e.GetCommitPosition())
		}
		found[stream] = append(found[stream], e.GetId().GetString_())
		log = append(log, e.GetId().GetString_())
	}
	for _, w := range writers {
		w.compare(c, found[w.stream])
	}
	return log
}

// compare holds what was found against what was acknowledged. An append whose answer was
// lost may be there, but then the whole of it.
func (w *crashWriter) compare(c *child, found []string) {
	want := w.acked
	if len(found) > len(want) {
		want = append(append([]string{}, want...), w.unsure...)
	}
	if len(found) != len(want) {
		c.Errorf("%s has %d events, %d are acknowledged and %d of unknown outcome", w.stream, len(found), len(w.acked), len(w.unsure))
		return
	}
	for i := range want {
		if found[i] != want[i] {
			c.Errorf("%s: event %d has id %s, want %s", w.stream, i, found[i], want[i])
			return
		}
	}
}

// TestFullDisk lets a node run into a full disk. Appends are refused from then on, what
// was acknowledged can still be read, and with room again a new process goes on from there.
func TestFullDisk(t *testing.T) {
	t.Run("log is full first", func(t *testing.T) { testFullDisk(t, "") })
	t.Run("file is full first", func(t *testing.T) { testFullDisk(t, "16384") })
}

func testFullDisk(t *testing.T, log string) {
	c := newChild(t)
	c.Limit, c.log = 512<<10, log
	w := &crashWriter{stream: "writer"}
	client := c.start()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	err := w.once(ctx, client)
	for err == nil {
		err = w.once(ctx, client)
	}
	if len(w.acked) == 0 || isWrongAnswer(err) {
		t.Fatalf("after %d events: %v", len(w.acked), err)
	}
	if again := w.once(ctx, client); again == nil {
		t.Error("an append was accepted after the disk was full")
	}
	got, err := receive(ctx, client, readOptions(func(o *streams.ReadReq_Options) {
		o.CountOption = &streams.ReadReq_Options_Count{Count: 1 << 40}
		o.GetStream().StreamIdentifier = identifier(w.stream)
	}))
	if err != nil || len(got) != len(w.acked) {
		t.Errorf("%d events can be read (%v), %d were acknowledged", len(got), err, len(w.acked))
	}
	c.kill()
	c.Limit = 0
	if err := w.once(ctx, c.start()); err != nil {
		t.Errorf("with room again: %v", err)
	}
	c.kill()
	if _, err := node.Verify(c.Path); err != nil {
		t.Error(err)
	}
}
