package housekeeping

import (
	"context"
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

// Claims fences registrations that claimed an address and never reached their
// account's stream, Age after the claim. It reads the whole store's events once, in
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
	maxUnarrived = 1000   // accounts in a run
)

// Task returns the task.
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
	found := scanned{missing: map[uuid.UUID]bool{}}
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
	batch := &pgx.Batch{}
	at.Advance(batch, found.position, found.events)
	return done, postgres.Explain(c.Pool.SendBatch(ctx, batch).Close())
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
		if s.events++; s.events == maxScanned || len(s.missing) == maxUnarrived {
			s.position = stored.Position
			break
		}
	}
	return nil
}

// note follows one event. The account's first one comes right behind the claim.
func (s *scanned) note(stored domain.Stored) error {
	if !domain.IsAddressStream(stored.Stream) {
		if account, ok := domain.StreamSubject(stored.Stream); ok {
			delete(s.missing, account)
		}
		return nil
	}
	recorded, err := domain.Decode(stored, shut)
	if err != nil {
		return err
	}
	if claimed, ok := recorded.Event.(domain.AddressClaimed); ok {
		s.missing[claimed.AccountID] = true
	}
	return nil
}

// shut opens no box: claims have none.
func shut([]byte) ([]byte, error) { return nil, domain.ErrErased }
