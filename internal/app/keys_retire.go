package app

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"daybook/internal/keyring"
	"daybook/internal/vault"
)

type keysRetireCommand struct {
	kindArgument
	ID    string `arg:"" help:"The id that list shows."`
	Force bool   `help:"Retire a token key although links that it made still work: they end. Or an address key although requests under it may be at work."`
}

// Run refuses what would lose something: a current key, one that some process still
// makes something with, a master key that still wraps a data key, and a token key whose
// links still work. An address key that is coming is given up.
func (c keysRetireCommand) Run(i *invocation) error {
	if err := i.withRecords(func(ctx context.Context, o *operator) error { return c.unused(ctx, i, o) }); err != nil {
		return err
	}
	if i.settings.givenKeys(c.Kind) != "" {
		_, err := fmt.Fprintf(i.notes, "The %s key %s is not needed any more: take it out of %s.\n", c.Kind, c.ID, keySettings[c.Kind])
		return err
	}
	return i.changeGenerated(c.Kind, func(keys vault.KeySet) (vault.KeySet, error) {
		_, _ = fmt.Fprintf(i.notes, "The %s key %s is dropped.\n", c.Kind, c.ID)
		return slices.DeleteFunc(keys, func(key vault.Key) bool { return key.ID == c.ID }), nil
	})
}

func (c keysRetireCommand) unused(ctx context.Context, i *invocation, o *operator) error {
	if _, found := o.rings[c.Kind].Set().Find(c.ID); !found {
		return fmt.Errorf("there is no %s key %s", c.Kind, c.ID)
	}
	current := o.identity.Current[c.Kind]
	if current == c.ID {
		return fmt.Errorf("the %s key %s is current; rotate first", c.Kind, c.ID)
	}
	if o.identity.IsComing(c.Kind, c.ID) {
		return o.follower.MakeCurrent(ctx, c.Kind, current)
	}
	behind, err := o.follower.Holders.Behind(ctx, c.Kind+":"+current)
	if err == nil && behind > 0 {
		err = fmt.Errorf("%d running processes do not use %s key %s yet; try again in a moment", behind, c.Kind, current)
	}
	if err != nil {
		return err
	}
	switch c.Kind {
	case keyring.Master:
		return o.wrapsNothing(ctx, c.ID)
	case keyring.Token:
		return c.linksEnded(i.settings, o.identity.Since[keyring.Token])
	}
	return c.allIndexed(ctx, i, o)
}

// requestsEnd is within what time a request that began under the former keys of
// addresses has come to its end: the API cuts it off sooner.
const requestsEnd = 2 * time.Minute

// allIndexed adds the claims of what began before every process knew the current key.
func (c keysRetireCommand) allIndexed(ctx context.Context, i *invocation, o *operator) error {
	if end := o.identity.Since[keyring.Address].Add(requestsEnd); !c.Force && time.Now().Before(end) {
		return errors.New("requests that began under the address key may still be at work until " + end.UTC().Format(time.RFC3339) + "; wait, or use --force when nobody changes an address")
	}
	_, _, err := o.index(ctx, o.accountCommands(i.settings, i.logger))
	return err
}

func (o *operator) wrapsNothing(ctx context.Context, master string) error {
	wrapped, err := o.vault.Wrapped(ctx)
	if err == nil && wrapped[master] > 0 {
		err = fmt.Errorf("master key %s still wraps %d data keys, or seals mails to people who were erased; run daybook keys rewrap first, and wait for the mails", master, wrapped[master])
	}
	return err
}

// linksEnded refuses while a link of the key may still work.
func (c keysRetireCommand) linksEnded(s *Settings, since time.Time) error {
	end := since.Add(max(s.ActivationLifetime, s.ResetLifetime) + keyring.Life)
	if c.Force || time.Now().After(end) {
		return nil
	}
	return errors.New("links that the token key made work until " + end.UTC().Format(time.RFC3339) + "; wait, or end them with --force")
}
