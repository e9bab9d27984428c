package app

import (
	"context"
	"time"

	"daybook/projections"
)

// readyTimeout bounds how long asking one backend may take.
const readyTimeout = 2 * time.Second

// partState is how one part of the service is.
type partState struct {
	OK    bool   `json:"ok"`
	Error string `json:"error,omitempty"`
	// Lag in events and seconds, of consumers.
	LagSeconds *float64 `json:"lag_seconds,omitempty"`
}

// ready asks each backend. Errors are named by class only: the page is public.
func (a *App) ready(ctx context.Context) (report any, ready bool) {
	ctx, cancel := context.WithTimeout(ctx, readyTimeout)
	defer cancel()
	states := map[string]partState{
		"event_store": stateOf(a.parts.client.Ping(ctx)),
		"database":    stateOf(a.parts.pool.Ping(ctx)),
	}
	if a.parts.vaultPool != a.parts.pool {
		states["vault"] = stateOf(a.parts.vaultPool.Ping(ctx))
	}
	ready = true
	for _, state := range states {
		ready = ready && state.OK
	}
	for _, view := range views() {
		states["projection_"+view.Name()] = a.lag(ctx, view)
	}
	return states, ready
}

func stateOf(err error) partState {
	if err != nil {
		return partState{Error: "does not answer"}
	}
	return partState{OK: true}
}

// lag tells how long the view has been behind the store's end.
func (a *App) lag(ctx context.Context, view projections.View) partState {
	name := (&projections.Projector{View: view}).CheckpointName()
	tail, err := a.parts.client.Tail(ctx)
	if err != nil {
		return partState{Error: "unknown"}
	}
	var position int64
	var age float64
	err = a.parts.pool.QueryRow(ctx, `SELECT position, extract(epoch FROM now() - updated_at) FROM app.checkpoints WHERE name = $1`, name).Scan(&position, &age)
	if err != nil {
		return partState{Error: "unknown"}
	}
	if uint64(position) >= tail {
		age = 0
	}
	return partState{OK: age < time.Minute.Seconds(), LagSeconds: &age}
}
