package app

import (
	"context"
	"fmt"
	"text/tabwriter"

	"daybook/internal/keyring"
)

type keysListCommand struct{}

// Run shows ids only. A key that is coming waits for processes that do not know it yet,
// or, of addresses, for their claims.
func (keysListCommand) Run(i *invocation) error {
	return i.withRecords(func(ctx context.Context, o *operator) error {
		wrapped, err := o.vault.Wrapped(ctx)
		if err != nil {
			return err
		}
		table := tabwriter.NewWriter(i.out, 0, 0, 2, ' ', 0)
		_, _ = fmt.Fprintln(table, "KIND\tID\tSTATE\tDATA KEYS\tUNKNOWN TO")
		for _, kind := range keyring.Kinds() {
			for _, key := range o.rings[kind].Set() {
				ignorant, err := o.follower.Holders.Ignorant(ctx, kind+":"+key.ID)
				if err != nil {
					return err
				}
				_, _ = fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%d processes\n", kind, key.ID, o.state(kind, key.ID), wraps(kind, wrapped[key.ID]), ignorant)
			}
		}
		return table.Flush()
	})
}

// state is current, coming (may become current) or old (good for what it made).
func (o *operator) state(kind, id string) string {
	switch {
	case o.identity.Current[kind] == id:
		return "current"
	case o.identity.IsComing(kind, id):
		return "coming"
	}
	return "old"
}

func wraps(kind string, n int64) string {
	if kind != keyring.Master {
		return "-"
	}
	return fmt.Sprint(n)
}
