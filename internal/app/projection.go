package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"text/tabwriter"
	"time"
	"unicode"

	"github.com/google/uuid"

	"daybook/domain"
	"daybook/projections"
)

type projectionCommand struct {
	Parked  parkedCommand        `cmd:"" help:"List accounts of which an event could not be read or be put into a view. They are left out of it from there on; the API folds their streams."`
	Retry   retryParkedCommand   `cmd:"" help:"Read the events of parked accounts again, with the code of today. Views go on meanwhile."`
	Discard discardParkedCommand `cmd:"" help:"Leave a parked account out of a view for good: no alarm any more."`
}

// projector returns one of a view for an operator's task: it is never started.
func (o *operator) projector(view string, logger *slog.Logger) (*projections.Projector, error) {
	all := views()
	at := slices.IndexFunc(all, func(v projections.View) bool { return v.Name() == view })
	if at < 0 {
		names := make([]string, len(all))
		for i, v := range all {
			names[i] = v.Name()
		}
		return nil, fmt.Errorf("there is no view %q, only %s", view, strings.Join(names, ", "))
	}
	return &projections.Projector{Pool: o.pool, Vault: o.vault, View: all[at], Logger: logger}, nil
}

type parkedCommand struct{}

// Run prints a table. It shows ids and places, nothing of what events hold.
func (parkedCommand) Run(i *invocation) error {
	return i.withRecords(func(ctx context.Context, o *operator) error {
		parked, err := projections.ParkedAccounts(ctx, o.pool)
		if err != nil {
			return err
		}
		table := tabwriter.NewWriter(i.out, 0, 0, 2, ' ', 0)
		_, _ = fmt.Fprintln(table, "VIEW\tACCOUNT\tSTREAM\tREVISION\tREASON\tATTEMPTS\tSINCE\tDISCARDED") // reported by Flush
		for _, p := range parked {
			discarded := ""
			if p.DiscardReason != nil {
				discarded = *p.DiscardReason
			}
			kind, _, _ := strings.Cut(p.Stream, "-")
			_, _ = fmt.Fprintf(table, "%s\t%s\t%s\t%d\t%s\t%d\t%s\t%s\n", viewOf(p), p.AccountID, kind, p.Revision, p.Reason,
				p.Attempts, p.ParkedAt.UTC().Format(time.RFC3339), discarded)
		}
		return table.Flush()
	})
}

func viewOf(p projections.Parked) string { return strings.TrimPrefix(p.Projection, "projection:") }

type retryParkedCommand struct {
	View    string    `arg:"" help:"Which view, such as accounts."`
	Account uuid.UUID `arg:"" optional:"" help:"Which account; without it all that are parked and not discarded."`
}

// Run tries every account, also when one of them fails.
func (c retryParkedCommand) Run(i *invocation) error {
	return i.withRecords(func(ctx context.Context, o *operator) error {
		projector, err := o.projector(c.View, i.logger)
		if err != nil {
			return err
		}
		accounts := []uuid.UUID{c.Account}
		if c.Account == uuid.Nil {
			if accounts, err = waiting(ctx, o, c.View); err != nil {
				return err
			}
		}
		var errs []error
		for _, account := range accounts {
			if err := o.retry(ctx, projector, account); err != nil {
				errs = append(errs, err)
				continue
			}
			_, _ = fmt.Fprintf(i.notes, "%s is in %s again\n", account, c.View)
		}
		return errors.Join(errs...)
	})
}

// retry records it first: what has been left out may be shown from then on.
func (o *operator) retry(ctx context.Context, projector *projections.Projector, account uuid.UUID) error {
	parked, err := projector.Find(ctx, account)
	if err != nil {
		return err
	}
	err = o.record(ctx, "RetryParkedAccount", domain.ParkedAccountRetried{
		View: viewOf(parked), AccountID: account, Position: parked.Position, Revision: parked.Revision, Parked: parked.Reason,
		Discarded: parked.DiscardedAt != nil,
	})
	if err != nil {
		return err
	}
	return projector.Retry(ctx, account, o.client.ReadAll)
}

// waiting lists the parked accounts of a view that nobody has given up.
func waiting(ctx context.Context, o *operator, view string) (accounts []uuid.UUID, err error) {
	parked, err := projections.ParkedAccounts(ctx, o.pool)
	for _, p := range parked {
		if viewOf(p) == view && p.DiscardedAt == nil {
			accounts = append(accounts, p.AccountID)
		}
	}
	return accounts, err
}

type discardParkedCommand struct {
	View    string    `arg:"" help:"Which view, such as accounts."`
	Account uuid.UUID `arg:"" help:"Which account."`
	Reason  string    `required:"" help:"Why, for who looks at the list later. Nothing personal."`
}

func (c discardParkedCommand) Run(i *invocation) error {
	if c.Reason == "" || len(c.Reason) > 200 || strings.ContainsFunc(c.Reason, func(r rune) bool { return !unicode.IsPrint(r) }) {
		return errors.New("--reason must have 1 to 200 printable characters")
	}
	return i.withRecords(func(ctx context.Context, o *operator) error {
		projector, err := o.projector(c.View, i.logger)
		if err != nil {
			return err
		}
		if err := o.discard(ctx, projector, c.Account, c.Reason); err != nil {
			return fmt.Errorf("discard: %w", err)
		}
		return nil
	})
}

// discard records it first: nothing is left out for good that no record tells of.
func (o *operator) discard(ctx context.Context, projector *projections.Projector, account uuid.UUID, reason string) error {
	parked, err := projector.Find(ctx, account)
	if err != nil {
		return err
	}
	err = o.record(ctx, "DiscardParkedAccount", domain.ParkedAccountDiscarded{
		View: viewOf(parked), AccountID: account, Position: parked.Position, Revision: parked.Revision, Parked: parked.Reason, Reason: reason,
	})
	if err != nil {
		return err
	}
	return projector.Discard(ctx, account, reason)
}
