package projections

import (
	"slices"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"daybook/domain"
	"daybook/internal/vault"
)

// TestHeadStart: what was prepared is applied without being decoded again, so
// also while no key can be loaded.
func TestHeadStart(t *testing.T) {
	w := newWorld(t)
	events := w.population(t, 3, 2)
	w.freshVault()
	p := w.projector(t, Accounts{})
	half := len(events) / 2
	p.Prepare(w.ctx, events[:half])
	p.Prepare(w.ctx, events[half:])
	p.Vault = unreachableVault(t, w)
	apply(t, w, p, events[:2])
	apply(t, w, p, events[2:half+1])
	apply(t, w, p, events[half+1:])
	checkAccounts(t, w, w.recorded(t, events))
}

// TestHeadStartIsDropped: decoded events are not kept when they are old, have been
// tried before, or when the projector starts anew; then the vault is asked.
func TestHeadStartIsDropped(t *testing.T) {
	w := newWorld(t)
	events := w.population(t, 2, 1)
	w.freshVault()
	cases := map[string]func(p *Projector){
		"old":   func(p *Projector) { p.ready.ready[0].at = time.Now().Add(-2 * headStartAge) },
		"tried": func(p *Projector) { p.ready.take(events[:1], events[len(events)-1].Position, time.Now()) },
		"anew": func(p *Projector) {
			if _, err := p.Start(w.ctx); err != nil {
				t.Fatal(err)
			}
		},
		"partly": func(p *Projector) { p.ready.ready[0].events = slices.Delete(p.ready.ready[0].events, 1, 2) },
	}
	for name, drop := range cases {
		t.Run(name, func(t *testing.T) {
			p := w.projectorAt(t, Accounts{}, 0)
			p.Prepare(w.ctx, events)
			if len(p.ready.ready) != 1 {
				t.Fatal("nothing was prepared")
			}
			drop(p)
			p.Vault = unreachableVault(t, w)
			if err := p.Apply(w.ctx, events); err == nil {
				t.Error("applied without the vault")
			}
		})
	}
}

// TestHeadStartOfNothing: events that cannot be decoded, or that no view wants, are
// left to Apply.
func TestHeadStartOfNothing(t *testing.T) {
	w := newWorld(t)
	p := w.projector(t, Accounts{})
	events := w.population(t, 1, 1)
	broken := slices.Clone(events)
	broken[1].Data = []byte("{}")
	p.Prepare(w.ctx, broken)
	p.Prepare(w.ctx, []domain.Stored{{Stream: "access-x"}})
	if len(p.ready.ready) != 0 {
		t.Errorf("%d batches were prepared", len(p.ready.ready))
	}
	apply(t, w, p, broken) // parks
	if len(p.parked) != 1 {
		t.Errorf("%d accounts are parked", len(p.parked))
	}
}

// unreachableVault has no keys cached and a database that is closed.
func unreachableVault(t *testing.T, w *world) *vault.Vault {
	t.Helper()
	pool, err := pgxpool.NewWithConfig(w.ctx, w.pool.Config())
	if err != nil {
		t.Fatal(err)
	}
	pool.Close()
	return vault.New(pool, w.masters)
}
