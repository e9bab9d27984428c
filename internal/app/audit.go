package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"time"

	"daybook/domain"
	"daybook/internal/audit"
)

// replayBuffer is what a reader of the audit trail that stands still costs.
const replayBuffer = 512 << 10

func (p *parts) auditor(logger *slog.Logger) (*audit.Reader, error) {
	cursors, err := audit.NewCursors(p.idKey, p.identity.StoreID)
	if err != nil {
		return nil, err
	}
	return audit.New(audit.Config{
		Client: p.replays, Vault: p.vault, Cursors: cursors, Append: p.repository.Append, Producer: producer(),
		Logger: logger.With(slog.String("part", "audit")),
	}), nil
}

type auditCommand struct {
	Export auditExportCommand `cmd:"" help:"Write what happened to a file."`
	Tail   auditTailCommand   `cmd:"" help:"Print what happens from now on, or behind a cursor."`
	Head   auditHeadCommand   `cmd:"" help:"Print the head of the chain over all events, and compare the store with an earlier one."`
	Verify auditVerifyCommand `cmd:"" help:"Check an export, and compare it with heads that were kept elsewhere. Needs no service and no keys."`
}

// auditFilter is what both commands select by.
type auditFilter struct {
	After    string   `help:"Begin behind this cursor."`
	Account  string   `help:"Only what concerns the account with this id."`
	Type     []string `help:"Only events of these types."`
	Since    string   `help:"Only what occurred then or later (RFC 3339)."`
	Until    string   `help:"Only what occurred before (RFC 3339)."`
	Personal bool     `help:"Open personal fields. That you did is recorded."`
}

func (f auditFilter) query(cursors audit.Cursors) (q audit.Query, err error) {
	q.Personal = f.Personal
	var errs [4]error
	if f.After != "" {
		q.After, errs[0] = cursors.Position(f.After)
	}
	if f.Account != "" {
		q.Account, errs[1] = audit.ParseAccount(f.Account)
	}
	if f.Since != "" {
		q.Since, errs[2] = audit.ParseTime("since", f.Since)
	}
	if f.Until != "" {
		q.Until, errs[3] = audit.ParseTime("until", f.Until)
	}
	if len(f.Type) > 0 {
		q.Types = audit.ParseTypes(strings.Join(f.Type, ","))
	}
	return q, domain.JoinInvalid(errs[:]...)
}

type auditTailCommand struct{ auditFilter }

// Run prints lines until the context ends.
func (c auditTailCommand) Run(i *invocation) error {
	return i.replay(c.auditFilter, "TailAudit", func(q *audit.Query) {
		q.Follow, q.FromEnd = true, c.After == ""
	}, func(ctx context.Context, replay *audit.Replay, cursors audit.Cursors) error {
		p := &progress{out: i.notes, from: replay.Position(), tail: replay.Tail(), position: replay.Position()}
		for batch, err := range replay.Batches(ctx) {
			if errors.Is(err, context.Canceled) {
				break
			}
			if err != nil {
				return err
			}
			if err := writeLines(i.out, batch); err != nil {
				return err
			}
			p.followed(batch)
		}
		_, err := fmt.Fprintf(i.notes, "%d events. What comes later: --after %s\n", p.events, cursors.At(p.position))
		return err
	})
}

// replay opens a replay for a subcommand.
func (i *invocation) replay(f auditFilter, command string, change func(*audit.Query), do func(context.Context, *audit.Replay, audit.Cursors) error) error {
	return i.withRecords(func(ctx context.Context, o *operator) error {
		reader, err := o.auditor(i.logger)
		if err != nil {
			return err
		}
		query, err := f.query(reader.Cursors())
		if err != nil {
			return err
		}
		change(&query)
		replay, err := reader.Open(ctx, query, audit.Use{Command: command, Actor: domain.SystemActor(consoleActor)})
		if err != nil {
			return err
		}
		defer replay.Close()
		return do(ctx, replay, reader.Cursors())
	})
}

func writeLines(out io.Writer, batch audit.Batch) error {
	for _, line := range batch.Lines {
		if _, err := out.Write(append(line.JSON, '\n')); err != nil {
			return err
		}
	}
	return nil
}

// progress tells the person at the terminal, once a second, how far it is.
type progress struct {
	out    io.Writer
	from   uint64
	tail   uint64
	events int
	next   time.Time

	// Of a tail: up to where lines were written, and whether that was all at a time.
	position uint64
	live     bool
}

// followed tells of what was there when a tail began, as an export does, and is silent
// then: what comes is seen.
func (p *progress) followed(batch audit.Batch) {
	p.position = batch.Position
	if !p.live && !batch.CaughtUp && p.position < p.tail {
		p.seen(batch)
		return
	}
	p.events += len(batch.Lines)
	if !p.live && batch.CaughtUp {
		p.live = true
		_, _ = fmt.Fprintf(p.out, "%d events so far; what happens from now on follows, until Ctrl-C\n", p.events)
	}
}

func (p *progress) seen(batch audit.Batch) {
	p.events += len(batch.Lines)
	if now := time.Now(); now.After(p.next) {
		p.next = now.Add(time.Second)
		share := 100.0
		if p.tail > p.from {
			share = 100 * float64(batch.Position-p.from) / float64(p.tail-p.from)
		}
		_, _ = fmt.Fprintf(p.out, "%d events, %.0f %%\n", p.events, share)
	}
}
