package messaging_test

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"pgregory.net/rapid"

	"daybook/domain"
	"daybook/internal/eventstore"
	"daybook/internal/eventstore/node/nodetest"
	"daybook/internal/messaging"
)

// TestBatchModeEqualsEventMode: however events come, whatever is nacked and
// however often the subscriber starts anew, both modes ack the same events in
// the same order, those of ReadAll.
func TestBatchModeEqualsEventMode(t *testing.T) {
	path := socket(nodetest.Start(t))
	rapid.Check(t, func(r *rapid.T) {
		client, err := eventstore.NewClient(eventstore.Config{Socket: path, Namespace: uuid.NewString()})
		if err != nil {
			r.Fatal(err)
		}
		defer client.Close()
		plan := drawPlan(r)
		plan.publish(r, client, plan.before)
		var work sync.WaitGroup
		got := make([][]domain.Stored, 2)
		for mode := range got {
			work.Go(func() { got[mode] = plan.consume(r, client, mode == 1) })
		}
		plan.publish(r, client, plan.after)
		work.Wait()
		var want []domain.Stored
		for e, err := range client.ReadAll(t.Context(), 0) {
			if err != nil {
				r.Fatal(err)
			}
			want = append(want, e)
		}
		for mode, events := range got {
			if diff := cmp.Diff(want, events); diff != "" {
				r.Errorf("batch mode %t: %s", mode == 1, diff)
			}
		}
	})
}

// plan is what happens in one case.
type plan struct {
	// before and after subscribing: the stream of each append and its events.
	before, after []appendPlan
	maxBatch      int
	// nacks says for message after message whether it is nacked first.
	nacks []bool
	// restart is after how many acks the subscriber is replaced.
	restart int
	// prepare: batches are prepared beforehand.
	prepare bool
}

type appendPlan struct{ stream, count int }

func (p plan) total() (n int) {
	for _, a := range slices.Concat(p.before, p.after) {
		n += a.count
	}
	return n
}

func drawPlan(r *rapid.T) plan {
	appends := rapid.SliceOfN(rapid.Custom(func(r *rapid.T) appendPlan {
		return appendPlan{rapid.IntRange(0, 3).Draw(r, "stream"), rapid.IntRange(1, 5).Draw(r, "count")}
	}), 0, 8)
	return plan{
		before: appends.Draw(r, "before"), after: appends.Draw(r, "after"),
		maxBatch: rapid.IntRange(1, 12).Draw(r, "largest batch"),
		nacks:    rapid.SliceOfN(rapid.Bool(), 0, 20).Draw(r, "nacks"),
		restart:  rapid.IntRange(1, 10).Draw(r, "restart"),
		prepare:  rapid.Bool().Draw(r, "prepare"),
	}
}

func (p plan) publish(r *rapid.T, client *eventstore.Client, appends []appendPlan) {
	for _, a := range appends {
		events := make([]eventstore.Proposed, a.count)
		for i := range events {
			events[i] = eventstore.Proposed{ID: uuid.New(), Type: "Noted", Data: []byte(`{}`), Metadata: []byte(`{}`)}
		}
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		if _, err := client.Append(ctx, fmt.Sprintf("account-%d", a.stream), eventstore.Any, events...); err != nil {
			r.Error(err)
		}
		cancel()
	}
}

// consume acks all events and replaces the subscriber now and then.
func (p plan) consume(r *rapid.T, client *eventstore.Client, batch bool) (acked []domain.Stored) {
	store := &checkpoints{saved: map[string]uint64{}, leases: map[string]chan struct{}{}}
	config := store.of("group")
	config.Batch, config.MaxBatch, config.NackBackoff = batch, p.maxBatch, time.Microsecond
	nacks := p.nacks
	for len(acked) < p.total() {
		var ready prepared
		if batch && p.prepare {
			config.Prepare = ready.prepare
		}
		s, err := messaging.NewSubscriber(client, config)
		if err != nil {
			r.Error(err)
			return nil
		}
		began := len(acked)
		nacks, acked = p.consumeSome(r, s, nacks, acked)
		if err := s.Close(); err != nil {
			r.Error(err)
		}
		if batch && p.prepare {
			ready.check(r, acked[began:], p.maxBatch)
		}
		if r.Failed() {
			return nil
		}
	}
	return acked
}

// prepared is what a subscriber had prepared, in its order.
type prepared struct {
	mu     sync.Mutex
	events []domain.Stored
}

func (p *prepared) prepare(_ context.Context, events []domain.Stored) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.events = append(p.events, events...)
}

// check says that the events that were acked have all been prepared, each once and
// in order, and that no more were than one message in hand and one ahead.
func (p *prepared) check(r *rapid.T, acked []domain.Stored, maxBatch int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if ahead := len(p.events) - len(acked); ahead < 0 || ahead > 3*maxBatch {
		r.Fatalf("%d events prepared, %d acked", len(p.events), len(acked))
	}
	if diff := cmp.Diff(acked, p.events[:len(acked)]); diff != "" {
		r.Errorf("prepared in another way than acked: %s", diff)
	}
}

func (p plan) consumeSome(r *rapid.T, s *messaging.Subscriber, nacks []bool, acked []domain.Stored) ([]bool, []domain.Stored) {
	messages, err := s.Subscribe(context.Background(), messaging.All)
	if err != nil {
		r.Error(err)
		return nacks, acked
	}
	var nacked messaging.Batch
	for acks := 0; acks < p.restart && len(acked) < p.total(); {
		select {
		case m := <-messages:
			got := messaging.BatchFromContext(m.Context())
			if len(got.Events) == 0 || len(got.Events) > p.maxBatch {
				r.Errorf("a batch of %d, at most %d", len(got.Events), p.maxBatch)
			}
			if nacked.Events != nil && !cmp.Equal(nacked, got) {
				r.Errorf("another message after a nack: %s", cmp.Diff(nacked, got))
			}
			nacked = messaging.Batch{}
			if len(nacks) > 0 {
				nack := nacks[0]
				nacks = nacks[1:]
				if nack {
					nacked = got
					m.Nack()
					continue
				}
			}
			acked, acks = append(acked, got.Events...), acks+1
			m.Ack()
		case <-time.After(patience):
			r.Errorf("no message")
			return nacks, acked
		}
	}
	return nacks, acked
}
