package app

import (
	"context"

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
