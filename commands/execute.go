package commands

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"

	"github.com/google/uuid"

	"daybook/domain"
)

// maxAttempts bounds how often a command is decided anew. Every conflict means
// that somebody else's command went through.
const maxAttempts = 10

var errBusy = domain.Refuse(domain.KindUnavailable, "busy", "The account is being changed from several sides. Try again in a moment")

// step is one command on one account.
type step struct {
	name    string
	command domain.Decider
	// stage, when set, runs before each append: what must stand before the
	// event that names it.
	stage func(ctx context.Context, at domain.Account) error
}

// execute loads the account and runs the step on it.
func (h *Handler) execute(ctx context.Context, c Caller, id uuid.UUID, s step) (domain.Account, error) {
	account, err := h.Store.Account(ctx, id)
	if err != nil {
		return domain.Account{}, err
	}
	return h.executeFrom(ctx, c, account, s)
}

// executeFrom runs the step on an account that was just folded.
func (h *Handler) executeFrom(ctx context.Context, c Caller, account domain.Account, s step) (domain.Account, error) {
	ctx, end := h.observe(ctx, c, s.name, account.ID)
	after, err := h.decide(ctx, c, account, s)
	end(err)
	return after, err
}

// decide decides, appends at the folded revision, and after a conflict looks for
// the own command before deciding again.
func (h *Handler) decide(ctx context.Context, c Caller, account domain.Account, s step) (domain.Account, error) {
	for attempt := range maxAttempts {
		if account.Applied(c.CommandID) {
			return account, nil
		}
		after, err := h.try(ctx, c, account, s)
		if !errors.Is(err, domain.ErrConflict) {
			return after, err
		}
		if err := pause(ctx, attempt); err != nil {
			return domain.Account{}, err
		}
		if account, err = h.Store.Account(ctx, account.ID); err != nil {
			return domain.Account{}, err
		}
	}
	return domain.Account{}, errBusy
}

func (h *Handler) try(ctx context.Context, c Caller, account domain.Account, s step) (domain.Account, error) {
	events, err := s.command.Decide(account, h.Now())
	if err != nil || len(events) == 0 {
		return account, err
	}
	if s.stage != nil {
		if err := s.stage(ctx, account); err != nil {
			return domain.Account{}, err
		}
	}
	recorded, err := h.Store.Append(ctx, domain.Append{
		Stream: domain.AccountStream(account.ID), Expected: account.Revision,
		Events: events, Metadata: h.metadata(c, s.name),
	})
	if err != nil {
		return domain.Account{}, err
	}
	return domain.Fold(account, recorded...), nil
}

// pause waits with full jitter, so that competitors do not meet again.
func pause(ctx context.Context, attempt int) error {
	timer := time.NewTimer(rand.N(time.Millisecond << min(attempt, 6)))
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
