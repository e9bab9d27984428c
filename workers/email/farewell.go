package email

import (
	"context"
	"errors"
	"fmt"

	"github.com/riverqueue/river"

	"daybook/internal/vault"
)

// bidFarewell sends the one mail to an erased person. The account's events do not
// open any more: what the mail needs was put aside when its key was destroyed, and is
// forgotten as soon as the relay has the mail or will never take it. Before the key is
// destroyed there is nothing to say yet.
func (m *Mailer) bidFarewell(ctx context.Context, t task) (output, error) {
	farewell, found, err := m.tokens.Vault.Farewell(ctx, t.account)
	switch {
	case errors.Is(err, vault.ErrNotErased):
		return undecided, river.JobSnooze(foldPause)
	case err != nil:
		return undecided, err
	case !found:
		return skipped(erased), nil
	}
	l, err := render(t.mail, facts{Name: greetingName(farewell.Name), Host: m.host, At: instant(t.occurredAt)})
	if err != nil {
		return undecided, err
	}
	l.id, l.to = t.id.String()+"@"+m.name, farewell.Email
	err = m.sender.send(ctx, l)
	result := outcome(err)
	if result == undecided {
		return result, err
	}
	if forgotten := m.tokens.Vault.Told(ctx, t.account); forgotten != nil {
		return undecided, fmt.Errorf("forget a farewell: %w", forgotten)
	}
	return result, err
}
