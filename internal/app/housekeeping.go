package app

import (
	"context"
	"log/slog"
	"time"

	"daybook/commands"
	"daybook/projections"
	"daybook/workers/email"
	"daybook/workers/housekeeping"
)

// How often tasks run. What a person may notice is done often, what only costs space
// seldom.
const (
	oftenKept  = time.Minute
	kept       = 5 * time.Minute
	seldomKept = time.Hour
	rarelyKept = 6 * time.Hour
)

// housekeeper does what nobody waits for.
func (a *App) housekeeper() *housekeeping.Housekeeper {
	return &housekeeping.Housekeeper{
		Pool: a.parts.pool, Tasks: a.chores(), Observe: a.observer.metrics.Housekept,
		Logger: a.logger.With(slog.String("worker", "housekeeping")),
	}
}

func (a *App) chores() []housekeeping.Task {
	p := a.parts
	do := &commands.Handler{
		Store: observedStore{p.repository, p.observer}, Sessions: p.sessions, Objects: p.objects, Vault: p.vault, Now: time.Now, Logger: a.logger,
		Config: commands.Config{IDKey: p.idKey, Producer: producer()}, Observe: p.observer.command,
	}
	accounts := &projections.Projector{View: projections.Accounts{}}
	return []housekeeping.Task{
		housekeeping.Guards{Pool: p.pool, Store: p.repository, Sessions: p.sessions}.Task(oftenKept),
		housekeeping.Erasures{Repository: p.repository, Vault: p.vault, StoreID: p.identity.StoreID, Commands: do}.Task(oftenKept),
		housekeeping.Purge("purge_farewells", oftenKept, p.vault.PurgeFarewells),
		housekeeping.Refused{Pool: p.pool, Repository: p.repository, Commands: do, Window: a.settings.SignInWindow}.Task(kept),
		housekeeping.Claims{Pool: p.pool, Client: p.client, StoreID: p.identity.StoreID, Commands: do}.Task(kept),
		housekeeping.Expire{Pool: p.pool, Commands: do}.Task(seldomKept),
		housekeeping.Purge("purge_sessions", kept, p.sessions.Purge),
		housekeeping.Purge("purge_idempotency_keys", kept, p.idempotency().Purge),
		housekeeping.Purge("purge_activity", seldomKept, func(ctx context.Context) (int64, error) { return projections.PurgeActivity(ctx, p.pool) }),
		housekeeping.Purge("purge_devices", seldomKept, func(ctx context.Context) (int64, error) { return email.PurgeDevices(ctx, p.pool, p.vaultPool) }),
		housekeeping.Credentials{Vault: p.vaultPool, Store: p.repository}.Task(seldomKept),
		housekeeping.Thumbnails{Objects: p.objects, Pool: p.pool, Client: p.client, Store: p.repository, Checkpoint: accounts.CheckpointName()}.Task(rarelyKept),
	}
}
