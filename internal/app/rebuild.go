package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"daybook/projections"
)

// sampled is of how many accounts a new version is compared with folds by default.
const sampled = 1000

type rebuildCommand struct {
	View     string `arg:"" help:"Which view, such as accounts."`
	All      bool   `help:"Compare every account's rows with fresh folds of its streams, not only those of a thousand drawn at random."`
	Restart  bool   `help:"Drop what an interrupted build has made and begin again." xor:"what"`
	Rollback bool   `help:"Show the version from before the last switch again. It is kept up to date, so this takes a moment; it may be repeated to and fro." xor:"what"`
	Drop     bool   `help:"Drop the version from before the last switch, which is kept up to date until then, and what an interrupted build has made." xor:"what"`
}

// Run builds the view beside the one that is shown and then switches. Ended
// before, it goes on where it was when it is run again.
func (c rebuildCommand) Run(i *invocation) error {
	return i.withRecords(func(ctx context.Context, o *operator) error {
		projector, err := o.projector(c.View, i.logger)
		if err != nil {
			return err
		}
		rebuild := &projections.Rebuild{
			Pool: o.pool, Vault: o.vault, View: projector.View, Logger: i.logger,
			Log: o.client.ReadAll, Tail: o.client.Tail, Stream: o.client.ReadStream, Progress: shown(i.notes),
		}
		switch {
		case c.Drop:
			return rebuild.Drop(ctx)
		case c.Rollback:
			err = rebuild.Rollback(ctx)
		default:
			err = c.build(ctx, rebuild, i.notes)
		}
		if err != nil {
			return fmt.Errorf("rebuild %s: %w", c.View, err)
		}
		_, _ = fmt.Fprintf(i.notes, "%s is switched; daybook rebuild %s --rollback switches back\n", c.View, c.View)
		return nil
	})
}

func (c rebuildCommand) build(ctx context.Context, rebuild *projections.Rebuild, notes io.Writer) error {
	if err := rebuild.Build(ctx, c.Restart); err != nil {
		if errors.Is(err, context.Canceled) {
			return fmt.Errorf("it was interrupted, and goes on from there when it is run again: %w", err)
		}
		return err
	}
	sample := sampled
	if c.All {
		sample = 0
	}
	compared, err := rebuild.Compare(ctx, sample)
	if err != nil {
		return err
	}
	_, _ = fmt.Fprintf(notes, "the rows of %d accounts equal fresh folds of their streams\n", compared)
	return rebuild.Switch(ctx)
}

// shown tells the person at the terminal, once a second and at the end.
func shown(out io.Writer) func(projections.Progress) {
	var next time.Time
	return func(p projections.Progress) {
		if now := time.Now(); now.After(next) || p.Done == 1 {
			next = now.Add(time.Second)
			_, _ = fmt.Fprintf(out, "%.0f %%, %d events, %.0f a second, %v left\n", 100*p.Done, p.Events, p.Rate, p.Left)
		}
	}
}
