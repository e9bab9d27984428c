package app

import (
	"context"
	"errors"
	"fmt"

	"daybook/commands"
	"daybook/domain"
)

// accountCreateStaffCommand takes no password: nobody but the person ever has it.
type accountCreateStaffCommand struct {
	Email     string `arg:"" help:"Mail address of the person, who gets a link."`
	FirstName string `required:"" help:"First name."`
	LastName  string `required:"" help:"Last name."`
	Reason    string `required:"" help:"Why. It is stored in the clear and for good: name no person in it."`
}

// Run opens the account. The mail goes out when a service runs.
func (c accountCreateStaffCommand) Run(i *invocation) error {
	if err := checkReason(c.Reason); err != nil {
		return err
	}
	return i.withRecords(func(ctx context.Context, o *operator) error {
		// Before the first start of a service nobody has said where mails begin; they
		// must not begin behind this one.
		if err := o.createCheckpoints(ctx, reactors(i.settings)); err != nil {
			return err
		}
		result, err := o.accountCommands(i.settings, i.logger).CreateStaff(ctx, console(), commands.CreateStaff(c))
		if errors.Is(err, domain.ErrAddressTaken) {
			return errors.New("an account has that address already; account grant-staff gives rights to one that is active")
		}
		if err != nil {
			return plain(err)
		}
		_, _ = fmt.Fprintln(i.notes, "A link is mailed to the address. It works for "+i.settings.ActivationLifetime.String()+
			"; until it was used and a password was chosen, nobody can sign in.")
		return i.showAccount(ctx, o, result.Account)
	})
}
