package app

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"daybook/internal/eventstore"
	"daybook/projections"
	"daybook/workers/relay"
)

// Times of a probe. The page is public, so that however often it is asked for,
// the backends are asked once a second.
const (
	probeTimeout = 2 * time.Second
	reportAge    = time.Second
)

// partState is how one part of the service is: names and numbers only, because
// the page is public.
type partState struct {
	OK    bool   `json:"ok"`
	State string `json:"state,omitempty"`
	// Lag of consumers: events that wait (10000 stands for more) and the age of
	// the oldest of them in seconds.
	LagEvents  *int     `json:"lag_events,omitempty"`
	LagSeconds *float64 `json:"lag_seconds,omitempty"`
	// Parked is how many accounts a view leaves out because of an event that it
	// cannot show. The view is well otherwise.
	Parked int `json:"parked,omitempty"`
	// Waiting is how many jobs of a queue are due.
	Waiting *int `json:"waiting,omitempty"`
}

const (
	stateNoAnswer   = "no_answer"
	stateOtherStore = "other_store"
)

// probe asks one part how it is.
type probe struct {
	name string
	// here says that this process needs the part. Another one is shown, and does
	// not make this one unready.
	here bool
	ask  func(ctx context.Context) partState
}

// health asks all parts and keeps the answer for a moment.
type health struct {
	probes []probe

	mu      sync.Mutex
	taken   time.Time
	report  map[string]partState
	isReady bool
}

// check returns the report of the last second, or a new one. The probes outlive
// a caller who goes away: others wait for them.
func (h *health) check(ctx context.Context) (report map[string]partState, ready bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if time.Since(h.taken) < reportAge {
		return h.report, h.isReady
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), probeTimeout)
	defer cancel()
	states := make([]partState, len(h.probes))
	var asking sync.WaitGroup
	for i, p := range h.probes {
		asking.Go(func() { states[i] = p.ask(ctx) })
	}
	asking.Wait()
	h.report, h.isReady = make(map[string]partState, len(states)), true
	for i, p := range h.probes {
		h.report[p.name] = states[i]
		h.isReady = h.isReady && (states[i].OK || !p.here)
	}
	h.taken = time.Now()
	return h.report, h.isReady
}

// ready answers /readyz.
func (a *App) ready(ctx context.Context) (report any, ready bool) { return a.health.check(ctx) }

// newHealth lists the parts. It is called when all consumers are watched.
func (a *App) newHealth() *health {
	h := &health{probes: []probe{
		{"event_store", true, answers(a.eventStore)},
		{"database", true, answers(a.parts.pool.Ping)},
		{"object_store", a.roles.API || a.roles.Housekeeper, answers(a.parts.objects.Ping)},
	}}
	if a.parts.vaultPool != a.parts.pool {
		h.probes = append(h.probes, probe{"vault", true, answers(a.parts.vaultPool.Ping)})
	}
	if a.mailer != nil {
		h.probes = append(h.probes, probe{"smtp", true, answers(a.mailer.Ping)},
			probe{"mail_queue", true, func(ctx context.Context) partState { return mailQueue(ctx, a.parts.pool) }})
	}
	if a.brokers != nil {
		// While Kafka is away events wait: that is no reason to take the API out of
		// service.
		h.probes = append(h.probes, probe{"kafka", !a.roles.API, answers(a.brokers)})
	}
	lags := &lags{parts: a.parts, quiet: map[string]uint64{}}
	for _, name := range consumerNames(a.settings) {
		w := a.watched(name)
		here := w != nil && (name != relay.CheckpointName || !a.roles.API)
		h.probes = append(h.probes, probe{name, here, func(ctx context.Context) partState { return consumerState(ctx, lags, name, w) }})
	}
	return h
}

// eventStore asks for reads and for writes: a full disk takes only the second away.
func (a *App) eventStore(ctx context.Context) error {
	if err := a.parts.client.Ping(ctx); err != nil {
		return err
	}
	return a.parts.client.Writable(ctx)
}

// consumerNames are the names of the checkpoints of all views and reactors.
func consumerNames(s *Settings) []string {
	var names []string
	for _, view := range views() {
		names = append(names, (&projections.Projector{View: view}).CheckpointName())
	}
	return append(names, reactors(s)...)
}

func (a *App) watched(name string) *watched {
	for _, w := range a.consumers {
		if w.name == name {
			return w
		}
	}
	return nil
}

// answers makes a probe of what returns nil if the part answers.
func answers(ping func(context.Context) error) func(context.Context) partState {
	return func(ctx context.Context) partState {
		err := ping(ctx)
		switch {
		case errors.Is(err, eventstore.ErrOtherStore):
			return partState{State: stateOtherStore}
		case err != nil:
			return partState{State: stateNoAnswer}
		}
		return partState{OK: true}
	}
}

// consumerState puts together what the consumer does in this process, if it runs
// here, and how far it is, wherever it runs.
func consumerState(ctx context.Context, lags *lags, name string, w *watched) partState {
	state := partState{OK: true}
	var reached uint64
	if w != nil {
		state.State, state.OK = w.state(time.Now())
		status, _ := w.status()
		reached = status.Position
	}
	behind, err := lags.of(ctx, name, reached)
	if err != nil {
		return partState{State: stateNoAnswer}
	}
	seconds := behind.Age.Seconds()
	state.LagEvents, state.LagSeconds, state.Parked = &behind.Events, &seconds, behind.Parked
	if state.OK && behind.stalled() {
		state.State, state.OK = stateStalled, false
	}
	return state
}

// mailQueue is well while due jobs are taken up.
func mailQueue(ctx context.Context, pool *pgxpool.Pool) partState {
	queue, err := queueOf(ctx, pool)
	if err != nil {
		return partState{State: stateNoAnswer}
	}
	if queue.stalled {
		return partState{State: stateStalled, Waiting: &queue.due}
	}
	return partState{OK: true, State: stateLive, Waiting: &queue.due}
}
