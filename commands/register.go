package commands

import (
	"context"
	"errors"
	"time"

	"github.com/google/uuid"

	"daybook/domain"
)

// Register is the command to open an account, or to try again on an address
// whose account was never activated.
type Register struct {
	Email     string
	FirstName string
	LastName  string
	Password  string
}

// fenceAfter is how old a claim without an account must be before somebody else
// may fence it. It is politeness; safety needs no clock. A claim that lies as far
// in the future comes from a host whose clock is wrong, and is not waited for.
const fenceAfter = 3 * time.Second

// registration is a Register whose input was checked.
type registration struct {
	email domain.Email
	names domain.Names
	phc   string
	// staff is why an operator opens the account with staff rights, and without a
	// password; empty for everybody else.
	staff string
}

// Register opens the account. When the address has an active owner, the owner
// gets a notice and the answer is domain.ErrAddressTaken: whether the caller is
// told so is the contract's matter.
func (h *Handler) Register(ctx context.Context, c Caller, in Register) error {
	r, err := h.checkRegistration(ctx, in)
	if err != nil {
		return err
	}
	return h.register(ctx, c, r)
}

func (h *Handler) register(ctx context.Context, c Caller, r registration) error {
	for attempt := 0; attempt < maxAttempts; {
		done, fenced, err := h.tryRegister(ctx, c, r, attempt)
		if done || err != nil {
			return err
		}
		if fenced {
			attempt++
		}
	}
	return errBusy
}

func (h *Handler) checkRegistration(ctx context.Context, in Register) (registration, error) {
	email, errEmail := domain.ParseEmail(in.Email)
	first, errFirst := domain.ParseName(domain.FieldFirstName, in.FirstName)
	last, errLast := domain.ParseName(domain.FieldLastName, in.LastName)
	password, errPassword := h.Config.Passwords.Check(in.Password, in.Email, in.FirstName, in.LastName)
	if err := domain.JoinInvalid(errEmail, errFirst, errLast, errPassword); err != nil {
		return registration{}, err
	}
	phc, err := h.Passwords.Hash(ctx, password)
	return registration{email: email, names: domain.Names{FirstName: first, LastName: last}, phc: phc}, err
}

// tryRegister makes one attempt under one account id. fenced says that somebody
// has closed this id for ever.
func (h *Handler) tryRegister(ctx context.Context, c Caller, r registration, attempt int) (done, fenced bool, err error) {
	account, err := h.Store.Account(ctx, h.derive(c, "account", attempt))
	switch {
	case err != nil:
		return false, false, err
	case account.Applied(c.CommandID):
		return true, false, nil
	case account.Status != domain.StatusNone:
		return false, true, nil
	}
	claims, err := h.Store.Claims(ctx, r.email)
	if err != nil {
		return false, false, err
	}
	for _, claim := range inOrder(claims) {
		if !claim.Held || claim.Holder != account.ID {
			done, err = h.obtainClaim(ctx, c, r, claim, account)
			return done, false, err
		}
	}
	return h.openAccount(ctx, c, r, claims[0], account)
}

// openAccount appends the first events, under no-stream: a fence or a twin of
// this very command may have been faster.
func (h *Handler) openAccount(ctx context.Context, c Caller, r registration, claim domain.Claim, account domain.Account) (done, fenced bool, err error) {
	opening := domain.Register{
		AddressClaim: claim.Stream, Email: r.email.Spelling, Names: r.names,
		ActivationID: h.derive(c, "activation", 0), CredentialID: h.derive(c, "credential", 0),
		ExpiresAt: h.activationEnds(),
	}
	do := step{name: "Register", command: opening, stage: h.stage(c, r.phc)}
	if r.staff != "" {
		opening.CredentialID = uuid.Nil
		do = step{name: "CreateStaff", command: domain.CreateStaff{Register: opening, Reason: r.staff}}
	}
	_, err = h.executeFrom(ctx, c, account, do)
	if errors.Is(err, domain.ErrAddressTaken) {
		return false, true, nil
	}
	return err == nil, false, err
}

// obtainClaim takes the claim for the account if it is free, or deals with the
// account that holds it. Without an error and not done it is to be tried again.
func (h *Handler) obtainClaim(ctx context.Context, c Caller, r registration, claim domain.Claim, account domain.Account) (done bool, err error) {
	if claim.Held {
		holder, err := h.Store.Account(ctx, claim.Holder)
		if err != nil {
			return false, err
		}
		free, done, err := h.freeClaim(ctx, c, r, claim, holder)
		if !free || err != nil {
			return done, err
		}
	}
	_, err = h.claim(ctx, c, "Register", claim, account.ID)
	return false, err
}

// freeClaim reports whether the holder's claim may be taken over. A holder that
// owns the address gets this attempt instead.
func (h *Handler) freeClaim(ctx context.Context, c Caller, r registration, claim domain.Claim, holder domain.Account) (free, done bool, err error) {
	switch owner := holder.Owns(claim); {
	case owner && r.staff != "":
		return false, false, domain.ErrAddressTaken
	case owner && (holder.Status == domain.StatusPending || holder.Applied(c.CommandID)):
		err := h.registerAgain(ctx, c, r, holder)
		return false, err == nil, err
	case owner:
		return false, false, h.refuseTaken(ctx, holder)
	}
	free, err = h.takeOver(ctx, c, claim, holder)
	return free, false, err
}

func (h *Handler) refuseTaken(ctx context.Context, owner domain.Account) error {
	if owner.Active() {
		if err := h.Notices.AlreadyRegistered(ctx, owner); err != nil {
			return err
		}
	}
	return domain.ErrAddressTaken
}

// registerAgain adds an attempt of its own to a pending account.
func (h *Handler) registerAgain(ctx context.Context, c Caller, r registration, holder domain.Account) error {
	_, err := h.executeFrom(ctx, c, holder, step{
		name: "Register",
		command: domain.RegisterAgain{
			Names:        r.names,
			ActivationID: h.derive(c, "activation", 0), CredentialID: h.derive(c, "credential", 0),
			ExpiresAt: h.activationEnds(), Cap: h.Config.MailsPerHour,
		},
		stage: h.stage(c, r.phc),
	})
	return err
}

// stage writes the command's credential before the event that names it.
func (h *Handler) stage(c Caller, phc string) func(context.Context, domain.Account) error {
	return func(ctx context.Context, at domain.Account) error {
		return h.Credentials.Stage(ctx, domain.Credential{
			ID: h.derive(c, "credential", 0), AccountID: at.ID, ExpectedRevision: at.Revision, PHC: phc,
		})
	}
}
