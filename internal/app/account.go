package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"text/tabwriter"
	"time"
	"unicode"

	"github.com/google/uuid"

	"daybook/commands"
	"daybook/domain"
)

type accountCommand struct {
	Show        accountShowCommand        `cmd:"" help:"Show an account and its open sessions."`
	CreateStaff accountCreateStaffCommand `cmd:"" help:"Open an account with staff rights. A mailed link proves the address and leads to the choice of a password."`
	Deactivate  accountDeactivateCommand  `cmd:"" help:"Shut an account: its sessions and links are dead at once."`
	Reactivate  accountReactivateCommand  `cmd:"" help:"Open a shut account again; the person signs in anew."`
	Erase       accountEraseCommand       `cmd:"" help:"Erase an account for good: its key is destroyed, and nothing brings it back."`
	GrantStaff  accountGrantStaffCommand  `cmd:"" help:"Give staff rights."`
	RevokeStaff accountRevokeStaffCommand `cmd:"" help:"Take staff rights away."`
}

// accountArgument names the account that an operator means.
type accountArgument struct {
	Account string `arg:"" help:"Its id or mail address."`
}

// accountChange is a change with a reason, which becomes part of the account's
// history for good.
type accountChange struct {
	accountArgument
	Reason string `required:"" help:"Why. It is stored in the clear and for good: name no person in it."`
}

const maxReason = 200

func (c accountChange) check() error { return checkReason(c.Reason) }

func checkReason(reason string) error {
	if strings.TrimSpace(reason) == "" || len(reason) > maxReason || strings.ContainsFunc(reason, func(r rune) bool { return !unicode.IsPrint(r) || r == unicode.ReplacementChar }) {
		return fmt.Errorf("--reason must have 1 to %d bytes of printable text", maxReason)
	}
	return nil
}

type (
	accountShowCommand        struct{ accountArgument }
	accountDeactivateCommand  struct{ accountChange }
	accountReactivateCommand  struct{ accountChange }
	accountEraseCommand       struct{ accountChange }
	accountGrantStaffCommand  struct{ accountChange }
	accountRevokeStaffCommand struct{ accountChange }
)

// accountCommands are the commands that need neither passwords nor objects.
func (o *operator) accountCommands(s *Settings, logger *slog.Logger) *commands.Handler {
	return &commands.Handler{
		Store: o.repository, Sessions: o.sessions, Vault: o.vault, Now: time.Now, Logger: logger,
		Config: commands.Config{IDKey: o.idKey, Producer: producer(), ActivationLifetime: s.ActivationLifetime, MailsPerHour: domain.MailCap(s.MailsPerHour)},
	}
}

// Run shows what the stream says; no view is asked.
func (c accountShowCommand) Run(i *invocation) error {
	return i.withRecords(func(ctx context.Context, o *operator) error {
		account, err := o.accountCommands(i.settings, i.logger).FindAccount(ctx, c.Account)
		if err != nil {
			return plain(err)
		}
		return i.showAccount(ctx, o, account)
	})
}

func (i *invocation) showAccount(ctx context.Context, o *operator, a domain.Account) error {
	open, err := o.sessions.List(ctx, a.ID)
	if err != nil {
		return err
	}
	email, name := a.Email, a.Profile.FirstName+" "+a.Profile.LastName
	if a.Erased {
		email, name = "erased", "erased"
	}
	table := tabwriter.NewWriter(i.out, 0, 0, 2, ' ', 0)
	for _, row := range [][2]string{
		{"id", a.ID.String()}, {"email", email}, {"name", name},
		{"status", string(a.Status)}, {"staff", fmt.Sprint(a.Staff)}, {"joined", a.JoinedAt.UTC().Format(time.RFC3339)},
		{"revision", fmt.Sprint(a.Revision)}, {"sessions", fmt.Sprint(len(open))},
	} {
		_, _ = fmt.Fprintf(table, "%s\t%s\n", row[0], row[1])
	}
	return table.Flush()
}

// changeAccount runs a change and shows what the account is after it.
func (i *invocation) changeAccount(c accountChange, change func(context.Context, *commands.Handler, commands.Caller, uuid.UUID) (commands.Result, error)) error {
	if err := c.check(); err != nil {
		return err
	}
	return i.withRecords(func(ctx context.Context, o *operator) error {
		h := o.accountCommands(i.settings, i.logger)
		account, err := h.FindAccount(ctx, c.Account)
		if err != nil {
			return plain(err)
		}
		result, err := change(ctx, h, console(), account.ID)
		if err != nil {
			return plain(err)
		}
		if result.Account.Revision == account.Revision {
			_, _ = fmt.Fprintf(i.notes, "Nothing to change: the account is %s.\n", account.Status)
		}
		return i.showAccount(ctx, o, result.Account)
	})
}

// console is the caller of what is done at the machine itself.
func console() commands.Caller {
	return commands.Caller{CommandID: uuid.New(), Actor: domain.SystemActor(consoleActor)}
}

// plain takes the sentence of a refusal; its code is for programs.
func plain(err error) error {
	if refused, ok := errors.AsType[*domain.Error](err); ok {
		return errors.New(refused.Message)
	}
	return err
}

// Run implements the subcommand.
func (c accountDeactivateCommand) Run(i *invocation) error {
	return i.changeAccount(c.accountChange, func(ctx context.Context, h *commands.Handler, by commands.Caller, id uuid.UUID) (commands.Result, error) {
		return h.Deactivate(ctx, by, id, c.Reason)
	})
}

// Run implements the subcommand.
func (c accountReactivateCommand) Run(i *invocation) error {
	return i.changeAccount(c.accountChange, func(ctx context.Context, h *commands.Handler, by commands.Caller, id uuid.UUID) (commands.Result, error) {
		return h.Reactivate(ctx, by, id, c.Reason)
	})
}

// Run implements the subcommand. Pictures are left to housekeeping, which is by the
// objects.
func (c accountEraseCommand) Run(i *invocation) error {
	return i.changeAccount(c.accountChange, func(ctx context.Context, h *commands.Handler, by commands.Caller, id uuid.UUID) (commands.Result, error) {
		return h.EraseFor(ctx, by, id, c.Reason)
	})
}

// Run implements the subcommand.
func (c accountGrantStaffCommand) Run(i *invocation) error {
	return i.grantStaff(c.accountChange, true)
}

// Run implements the subcommand.
func (c accountRevokeStaffCommand) Run(i *invocation) error {
	return i.grantStaff(c.accountChange, false)
}

func (i *invocation) grantStaff(c accountChange, staff bool) error {
	return i.changeAccount(c, func(ctx context.Context, h *commands.Handler, by commands.Caller, id uuid.UUID) (commands.Result, error) {
		return h.GrantStaff(ctx, by, id, staff, c.Reason)
	})
}
