package housekeeping

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"daybook/commands"
	"daybook/domain"
	"daybook/internal/eventstore"
	"daybook/internal/postgres"
)

// ClaimsCheckpoint is the name of the checkpoint up to which claims were looked at.
// It is made at the start of the store when it is missing: to look again is harmless.
const ClaimsCheckpoint = "housekeeping:claims"

// Claims drives claims of addresses to an end, Age after they were left: it fences
// registrations that never reached their account's stream, and releases addresses
// that accounts have changed for another. It reads the whole store's events once, in
// commit order.
type Claims struct {
	Pool     *pgxpool.Pool
	Client   *eventstore.Client
	StoreID  uuid.UUID
	Commands *commands.Handler
	Age      time.Duration // defaults to 5 minutes
}

const (
	claimAge     = 5 * time.Minute
	maxScanned   = 50_000 // events in a run
	maxUnarrived = 1000   // claims in a run
)

// Task returns abandon_registrations, which goes on from where its last run ended.
func (c Claims) Task(every time.Duration) Task {
	if c.Age == 0 {
		c.Age = claimAge
	}
	return Task{Name: "abandon_registrations", Every: every, Run: (&claimScan{Claims: c}).run}
}

// claimScan knows by its own clock how old a position is: what an event says of its
// time is the word of another machine.
type claimScan struct {
	Claims
	tail  uint64 // of the store
	taken time.Time
}

// run looks at what was in the store an Age ago.
func (c *claimScan) run(ctx context.Context) (int, error) {
	if !c.taken.IsZero() && time.Since(c.taken) < c.Age {
		return 0, nil
	}
	now := time.Now()
	tail, err := c.Client.Tail(ctx)
	if err != nil {
		return 0, err
	}
	until := c.tail
	c.tail, c.taken = tail, now
	if until == 0 {
		return 0, nil
	}
	return c.look(ctx, until)
}

func (c *claimScan) look(ctx context.Context, until uint64) (done int, err error) {
	if err := postgres.CreateCheckpoint(ctx, c.Pool, ClaimsCheckpoint, c.StoreID, 0); err != nil {
		return 0, err
	}
	at, err := postgres.TakeCheckpoint(ctx, c.Pool, ClaimsCheckpoint)
	if err != nil || at.Position >= until {
		return 0, err
	}
	found := scanned{missing: map[uuid.UUID]bool{}, former: map[formerClaim]bool{}}
	if err := found.scan(ctx, c.Client, at.Position, until); err != nil {
		return 0, fmt.Errorf("look for claims: %w", err)
	}
	for account := range found.missing {
		abandoned, err := c.abandon(ctx, account)
		if err != nil {
			return done, fmt.Errorf("abandon the registration of %s: %w", account, err)
		}
		if abandoned {
			done++
		}
	}
	released, err := c.release(ctx, found.former)
	if done += released; err != nil {
		return done, err
	}
	batch := &pgx.Batch{}
	at.Advance(batch, found.position, found.events)
	return done, postgres.Explain(c.Pool.SendBatch(ctx, batch).Close())
}

// release gives up what a change of address has left behind. An account that cannot
// be opened any more keeps its claim: anybody may take it over.
func (c *claimScan) release(ctx context.Context, former map[formerClaim]bool) (done int, err error) {
	for claim := range former {
		released, err := c.Commands.ReleaseAddress(ctx, caller(uuid.New()), claim.account, claim.stream)
		if err != nil && !errors.Is(err, domain.ErrUnreadable) {
			return done, fmt.Errorf("release an address of %s: %w", claim.account, err)
		}
		if released {
			done++
		}
	}
	return done, nil
}

// abandon looks at the stream itself first: an account whose events cannot be opened
// has arrived all the same.
func (c *claimScan) abandon(ctx context.Context, account uuid.UUID) (bool, error) {
	for _, err := range c.Client.ReadStreamBackwards(ctx, domain.AccountStream(account), 1) {
		return false, err
	}
	return c.Commands.AbandonRegistration(ctx, caller(uuid.New()), account)
}

// scanned is what a part of the store says.
type scanned struct {
	position uint64
	events   int
	missing  map[uuid.UUID]bool // accounts of claims without an event of theirs so far
	former   map[formerClaim]bool
}

// formerClaim is of an address that its account has changed, not released so far.
type formerClaim struct {
	account uuid.UUID
	stream  string
}

func (s *scanned) scan(ctx context.Context, client *eventstore.Client, after, until uint64) error {
	s.position = until
	for stored, err := range client.ReadAll(ctx, after) {
		if err != nil {
			return err
		}
		if stored.Position > until {
			break
		}
		if err := s.note(stored); err != nil {
			return err
		}
		if s.events++; s.events == maxScanned || len(s.missing)+len(s.former) == maxUnarrived {
			s.position = stored.Position
			break
		}
	}
	return nil
}

// note follows one event. The account's first one comes right behind the claim, the
// release right behind the change.
func (s *scanned) note(stored domain.Stored) error {
	account, ok := domain.StreamSubject(stored.Stream)
	if ok {
		delete(s.missing, account)
	}
	if !domain.IsAddressStream(stored.Stream) && stored.Type != domain.NameOf(domain.AddressChanged{}) {
		return nil
	}
	recorded, err := domain.Decode(stored, shut)
	if err != nil {
		return err
	}
	switch e := recorded.Event.(type) {
	case domain.AddressClaimed:
		s.missing[e.AccountID] = true
	case domain.AddressChanged:
		s.former[formerClaim{account, e.FormerClaim}] = true
	case domain.AddressReleased:
		delete(s.former, formerClaim{e.AccountID, stored.Stream})
	}
	return nil
}

// shut opens no box: claims have none.
func shut([]byte) ([]byte, error) { return nil, domain.ErrErased }
