package housekeeping

import (
	"context"
	"time"

	"github.com/google/uuid"

	"daybook/commands"
	"daybook/internal/eventstore"
	"daybook/internal/vault"
)

// Erasures drives to an end what a command that erased an account has left, and does
// all of it again for a vault that was restored from an older copy: where it has got
// to lies in the vault. Carried out twice is carried out once.
type Erasures struct {
	Repository *eventstore.Repository
	Vault      *vault.Vault
	StoreID    uuid.UUID
	Commands   *commands.Handler
}

// Task returns finish_erasures, which goes on from the place noted in the vault.
func (e Erasures) Task(every time.Duration) Task {
	return Task{Name: "finish_erasures", Every: every, Run: e.run}
}

// run moves on only when all that it has passed is carried out.
func (e Erasures) run(ctx context.Context) (done int, err error) {
	again, err := e.Vault.Reerase(ctx)
	done = int(again)
	if err != nil {
		return done, err
	}
	seen, err := e.Vault.ErasuresSeen(ctx, e.StoreID)
	for began, end := time.Now(), false; err == nil && !end && time.Since(began) < runFor; {
		var reached uint64
		reached, end, err = e.Repository.EachErased(ctx, seen, maxScanned, func(ctx context.Context, account uuid.UUID) error {
			done++
			return e.Commands.FinishErasure(ctx, caller(uuid.New()), account)
		})
		if err == nil && reached > seen {
			seen, err = reached, e.Vault.SawErasures(ctx, e.StoreID, reached)
		}
	}
	return done, err
}
