package app

import (
	"context"
	"fmt"
	"log/slog"
	"math"

	"github.com/google/uuid"
)

// carryOutErasures destroys, before anything is served or shown, the key of every
// account whose stream says that it was erased and that the vault has no fence for: a
// vault that was restored from an older copy has such keys, and so has one whose
// process was killed in between. Only what housekeeping has not passed yet is read.
func (p *parts) carryOutErasures(ctx context.Context, logger *slog.Logger) error {
	again, err := p.vault.Reerase(ctx)
	if err != nil {
		return fmt.Errorf("destroy keys behind their fences: %w", err)
	}
	seen, err := p.vault.ErasuresSeen(ctx, p.identity.StoreID)
	if err != nil {
		return fmt.Errorf("read which erasures the vault has seen: %w", err)
	}
	_, _, err = p.repository.EachErased(ctx, seen, math.MaxInt, func(ctx context.Context, account uuid.UUID) error {
		fenced, err := p.vault.Fenced(ctx, account)
		if fenced || err != nil {
			return err
		}
		again++
		remains, err := p.repository.Remains(ctx, account)
		if err != nil {
			return err
		}
		return p.vault.Erase(ctx, account, remains.Farewell)
	})
	if again > 0 {
		logger.WarnContext(ctx, "keys of erased accounts were there and are destroyed: the vault was restored, or an erasure was cut short", slog.Int64("keys", again))
	}
	return err
}
