package app

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"

	"daybook/commands"
	"daybook/domain"
	"daybook/internal/keyring"
	"daybook/internal/pause"
)

type keysRewrapCommand struct {
	Kind string `arg:"" enum:"master,address" default:"master" help:"master or address."`
}

// Run may be repeated, and cut off anywhere.
func (c keysRewrapCommand) Run(i *invocation) error {
	return i.withRecords(func(ctx context.Context, o *operator) error {
		if err := o.awaitKnown(ctx, c.Kind); err != nil {
			return err
		}
		if c.Kind == keyring.Address {
			return i.indexAddresses(ctx, o)
		}
		n, err := o.vault.Rewrap(ctx)
		if err != nil {
			return err
		}
		_, err = fmt.Fprintf(i.notes, "%d data keys are wrapped anew; all are wrapped by master key %s.\n", n, o.rings[keyring.Master].Set().Current().ID)
		return err
	})
}

// knownWithin is how long a rewrap waits for the processes to take up the key: longer
// than one that was killed counts as alive.
const knownWithin = 2 * keyring.Life

// awaitKnown waits until every process knows the key that is coming, if there is one,
// and until it is current, if it needs no claims for that.
func (o *operator) awaitKnown(ctx context.Context, kind string) error {
	wanted := o.follower.Wanted(kind)
	for end := time.Now().Add(knownWithin); o.follower.Identity().IsComing(kind, wanted); pause.For(ctx, time.Second/4) {
		ignorant, err := o.follower.Holders.Ignorant(ctx, kind+":"+wanted)
		if err == nil && ignorant == 0 && kind == keyring.Address {
			return nil
		}
		if err := errors.Join(err, ctx.Err(), o.follower.Promote(ctx)); err != nil {
			return err
		}
		if time.Now().After(end) {
			return fmt.Errorf("%d running processes do not know the %s key %s yet: give it to them first", ignorant, kind, wanted)
		}
	}
	return nil
}

// indexAddresses claims, under all keys, the addresses that accounts own, and makes the
// wanted key current. Every process claims new ones under it already.
func (i *invocation) indexAddresses(ctx context.Context, o *operator) error {
	accounts, claimed, err := o.index(ctx, o.accountCommands(i.settings, i.logger))
	if err != nil {
		return err
	}
	if wanted := o.follower.Wanted(keyring.Address); o.follower.Identity().IsComing(keyring.Address, wanted) {
		if err := o.follower.MakeCurrent(ctx, keyring.Address, wanted); err != nil {
			return err
		}
	}
	_, err = fmt.Fprintf(i.notes, "%d claims were added for %d accounts; address key %s is current.\n",
		claimed, accounts, o.follower.Identity().Current[keyring.Address])
	return err
}

// index goes through all accounts that were in the store when it began.
func (o *operator) index(ctx context.Context, do *commands.Handler) (accounts, claimed int, err error) {
	tail, err := o.client.Tail(ctx)
	if err != nil {
		return 0, 0, err
	}
	for stored, err := range o.client.ReadAll(ctx, 0) {
		if err != nil {
			return accounts, claimed, err
		}
		if stored.Position > tail {
			break
		}
		// An account's first event is the one that may own an address.
		account, ok := domain.StreamSubject(stored.Stream)
		if !ok || stored.Revision != 0 || !domain.IsAccountStream(stored.Stream) {
			continue
		}
		accounts++
		n, err := do.IndexAddress(ctx, commands.Caller{CommandID: uuid.New(), Actor: domain.SystemActor(consoleActor)}, account)
		if claimed += n; err != nil {
			return accounts, claimed, fmt.Errorf("claim the address of account %s: %w", account, err)
		}
	}
	return accounts, claimed, nil
}
