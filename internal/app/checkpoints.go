package app

import (
	"context"
	"fmt"
	"log/slog"

	"github.com/jackc/pgx/v5/pgxpool"

	"daybook/internal/postgres"
	"daybook/projections"
	"daybook/workers/email"
	"daybook/workers/relay"
)

// views are all read models.
func views() []projections.View {
	return []projections.View{
		projections.Accounts{}, projections.Activity{}, projections.Resets{}, projections.Registrations{}, projections.Presence{},
	}
}

// reactors are the names of the checkpoints of what acts on the outside.
func reactors(s *Settings) []string {
	names := []string{email.CheckpointName}
	if s.KafkaURL != "" {
		names = append(names, relay.CheckpointName)
	}
	return names
}

// dropUnlike drops versions of views that a migration has left behind.
func dropUnlike(ctx context.Context, pool *pgxpool.Pool, logger *slog.Logger) error {
	for _, view := range views() {
		dropped, err := (&projections.Rebuild{Pool: pool, View: view}).DropUnlike(ctx)
		if err != nil {
			return fmt.Errorf("drop former versions of %s: %w", view.Name(), err)
		}
		for _, v := range dropped {
			logger.InfoContext(ctx, "a version of a view was dropped: the shown one has another shape now",
				slog.String("view", view.Name()), slog.String("version", string(v)))
		}
	}
	return nil
}

// createCheckpoints makes missing ones: of views at the start of the store, of
// reactors at its tail, so that a new database never mails or
// publishes an old history.
func (p *parts) createCheckpoints(ctx context.Context, reactors []string) error {
	for _, view := range views() {
		name := (&projections.Projector{View: view}).CheckpointName()
		if err := postgres.CreateCheckpoint(ctx, p.pool, name, p.identity.StoreID, 0); err != nil {
			return err
		}
	}
	tail, err := p.client.Tail(ctx)
	if err != nil {
		return err
	}
	for _, name := range reactors {
		if err := postgres.CreateCheckpoint(ctx, p.pool, name, p.identity.StoreID, tail); err != nil {
			return err
		}
	}
	return nil
}
