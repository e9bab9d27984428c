package commands

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/google/uuid"
	"golang.org/x/sync/errgroup"

	"daybook/domain"
)

// ErrCredentials is the one answer to a wrong password and to an unknown,
// inactive or locked account.
var ErrCredentials = domain.Refuse(domain.KindInvalid, "credentials", "Email and password do not match")

// SignedIn is an opened session.
type SignedIn struct {
	Token   string // goes into the cookie and nowhere else
	Session uuid.UUID
	Account domain.Account
}

// SignIn opens a session. Whether the address is known makes no difference to
// what is done: two reads, one statement, one hash. When the queue of hashes is full, it is refused
// before any of them.
func (h *Handler) SignIn(ctx context.Context, c Caller, address, password string) (SignedIn, error) {
	ctx, end := h.observe(ctx, c, "SignIn", uuid.Nil)
	in, err := h.signIn(ctx, c, address, password)
	end(err)
	return in, err
}

func (h *Handler) signIn(ctx context.Context, c Caller, address, password string) (SignedIn, error) {
	email, err := domain.ParseEmail(address)
	if err != nil {
		return SignedIn{}, ErrCredentials
	}
	ctx, leave, err := h.Passwords.AdmitVerify(ctx)
	if err != nil {
		return SignedIn{}, err
	}
	defer leave()
	claim, err := h.Store.Claim(ctx, email)
	if err != nil {
		return SignedIn{}, err
	}
	account, err := h.holder(ctx, claim)
	if err != nil {
		return SignedIn{}, err
	}
	// Tries are counted under a claim of the address: an account's own, whatever key of
	// addresses is current, so that they are counted once.
	tries := cmp.Or(account.AddressClaim, claim.Stream)
	try, err := h.prove(ctx, tries, account, password)
	if err != nil {
		return SignedIn{}, err
	}
	in, err := h.openSession(ctx, c, tries, account)
	if err != nil && !errors.Is(err, ErrCredentials) {
		h.giveBack(ctx, tries, account, try) // the password was right
	}
	return in, err
}

// prove compares the password, if the address has a try left.
func (h *Handler) prove(ctx context.Context, addressKey string, account domain.Account, password string) (domain.SignInTry, error) {
	try, err := h.Credentials.TrySignIn(ctx, addressKey, account.Credential)
	if err != nil {
		return try, err
	}
	if !try.Allowed {
		return try, ErrCredentials
	}
	phc := try.PHC
	if !account.Active() {
		phc = ""
	}
	ok, stale, err := h.Passwords.Verify(ctx, phc, domain.NormalPassword(password))
	if err != nil {
		h.giveBack(ctx, addressKey, account, try)
		return try, err
	}
	if !ok {
		return try, ErrCredentials
	}
	if stale {
		h.rehash(ctx, account, password)
	}
	return try, nil
}

// giveBackWithin bounds how long a try is given back, also when the caller has gone.
const giveBackWithin = 2 * time.Second

// giveBack gives back a try that has compared no password, or the right one: an
// overload must not lock anybody out. Failing to costs the address a try.
func (h *Handler) giveBack(ctx context.Context, addressKey string, account domain.Account, try domain.SignInTry) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), giveBackWithin)
	defer cancel()
	if err := h.Credentials.GiveBack(ctx, addressKey, try); err != nil {
		h.Logger.WarnContext(ctx, "a try to sign in was not given back", slog.String("account", account.ID.String()), slog.Any("error", err))
	}
}

// rehash strengthens the stored hash; failing to is no reason to refuse.
func (h *Handler) rehash(ctx context.Context, account domain.Account, password string) {
	phc, err := h.Passwords.Hash(ctx, domain.NormalPassword(password))
	if err == nil {
		err = h.Credentials.Replace(ctx, account.Credential, phc)
	}
	if err != nil {
		h.Logger.WarnContext(ctx, "password was not hashed anew", slog.String("account", account.ID.String()), slog.Any("error", err))
	}
}

// openSession stores the session beside the access event and the end of the
// failed tries: neither decides anything.
func (h *Handler) openSession(ctx context.Context, c Caller, claim string, account domain.Account) (SignedIn, error) {
	in := SignedIn{Session: uuid.New(), Account: account}
	var opened bool
	group, groupCtx := errgroup.WithContext(ctx)
	group.Go(func() (err error) {
		in.Token, opened, err = h.Sessions.Open(groupCtx, domain.NewSession{
			ID: in.Session, AccountID: account.ID, UserAgent: c.UserAgent,
			CredentialRevision: account.CredentialRevision, AccountRevision: account.Revision,
		})
		return err
	})
	group.Go(func() error { return h.Credentials.SignInSucceeded(groupCtx, claim) })
	group.Go(func() error {
		c.Actor, c.Session = domain.AccountActor(account.ID), in.Session.String()
		return h.access(groupCtx, c, "SignIn", account.ID, domain.SignedIn{
			SessionID: in.Session, Cause: "password", Personal: origin(c),
		})
	})
	if err := group.Wait(); err != nil {
		return SignedIn{}, err
	}
	if !opened {
		return SignedIn{}, ErrCredentials
	}
	return in, nil
}

// access appends facts on which nothing is decided; they need no revision.
func (h *Handler) access(ctx context.Context, c Caller, command string, account uuid.UUID, events ...domain.Event) error {
	_, err := h.Store.Append(ctx, domain.Append{
		Stream: domain.AccessStream(account), Expected: domain.AnyRevision,
		Events: events, Metadata: h.metadata(c, command),
	})
	return err
}

func origin(c Caller) domain.Personal[domain.Origin] {
	return domain.Seal(domain.Origin{ClientAddress: c.ClientAddress, UserAgent: c.UserAgent})
}
