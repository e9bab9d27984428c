package email

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/riverqueue/river"

	"daybook/domain"
	"daybook/internal/messaging"
	"daybook/internal/postgres"
)

// CheckpointName is under which the reactor's place is kept. It is never
// created here: a reactor that guessed its place would mail a whole history.
const CheckpointName = "reactor:email"

// Reactor inserts a job for every event that asks for a mail. It is a Watermill
// handler for messages of one event each, in commit order. Make it with
// NewReactor.
type Reactor struct {
	// Devices notices sign-ins from new devices; nil for not at all. It is set
	// before Start.
	Devices *Devices

	pool  *pgxpool.Pool
	queue *river.Client[pgx.Tx]

	mu         sync.Mutex
	checkpoint postgres.Checkpoint
}

// NewReactor returns a reactor over the database. It does no I/O.
func NewReactor(pool *pgxpool.Pool, logger *slog.Logger) (*Reactor, error) {
	queue, err := inserter(pool, logger)
	if err != nil {
		return nil, err
	}
	return &Reactor{pool: pool, queue: queue}, nil
}

// Start makes this reactor the owner of the checkpoint and returns the position
// after which its events begin. An error is postgres.ErrNoCheckpoint when there
// is none.
func (r *Reactor) Start(ctx context.Context) (after uint64, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.checkpoint, err = postgres.TakeCheckpoint(ctx, r.pool, CheckpointName)
	return r.checkpoint.Position, err
}

// Handle reacts to the event of the message.
func (r *Reactor) Handle(msg *message.Message) error {
	event, ok := messaging.EventFromContext(msg.Context())
	if !ok {
		return errors.New("react by mail: the message has no event")
	}
	return r.React(msg.Context(), event)
}

// React inserts the event's job and moves the checkpoint, both or neither.
// Events from before the checkpoint change nothing. The error is
// postgres.ErrNotOwner when another reactor has started.
func (r *Reactor) React(ctx context.Context, event domain.Stored) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	err := r.react(ctx, event)
	if errors.Is(err, postgres.ErrNotOwner) && r.resume(ctx) {
		err = r.react(ctx, event)
	}
	if err != nil {
		return fmt.Errorf("react by mail to %s@%d: %w", event.Stream, event.Revision, err)
	}
	return nil
}

func (r *Reactor) react(ctx context.Context, event domain.Stored) error {
	if event.Position < r.checkpoint.Position {
		return nil
	}
	jobs, err := jobsOf(event)
	if err != nil {
		return err
	}
	if len(jobs) == 0 {
		return r.reactToAccess(ctx, event)
	}
	var moved postgres.Checkpoint
	err = pgx.BeginFunc(ctx, r.pool, func(tx pgx.Tx) (err error) {
		if moved, err = r.checkpoint.AdvanceIn(ctx, tx, event.Position, 1); err != nil {
			return err
		}
		_, err = r.queue.InsertManyTx(ctx, tx, jobs)
		return err
	})
	if err != nil {
		return err
	}
	r.checkpoint = moved
	return nil
}

// reactToAccess looks at what is no event of an account: of the others, only
// sign-ins may ask for a mail.
func (r *Reactor) reactToAccess(ctx context.Context, event domain.Stored) error {
	account, in, ok, err := r.Devices.signIn(ctx, event)
	switch {
	case err != nil:
		return err
	case ok:
		return r.reactToSignIn(ctx, event, account, in)
	}
	return r.skip(ctx, event)
}

// skip moves the checkpoint without waiting for the disk: if a crash loses the
// move, the event is skipped once more.
func (r *Reactor) skip(ctx context.Context, event domain.Stored) error {
	moved, err := r.checkpoint.AdvanceUnsynchronised(ctx, r.pool, event.Position, 1)
	r.checkpoint = moved
	return err
}

// resume finds the checkpoint where a commit left it whose answer was lost, and
// reports whether it is still this reactor's.
func (r *Reactor) resume(ctx context.Context) bool {
	found, owned := r.checkpoint.Resume(ctx, r.pool)
	moved := owned && found.Position != r.checkpoint.Position
	r.checkpoint = found
	return moved
}

// jobsOf returns the jobs that the event asks for. Names are not needed: every
// sealed box is left shut.
func jobsOf(event domain.Stored) ([]river.InsertManyParams, error) {
	if !domain.IsAccountStream(event.Stream) || !asksForMail(event.Type) {
		return nil, nil
	}
	account, ok := domain.StreamSubject(event.Stream)
	if !ok {
		return nil, fmt.Errorf("%q is not the stream of an account", event.Stream)
	}
	recorded, err := domain.Decode(event, func([]byte) ([]byte, error) { return nil, domain.ErrErased })
	if err != nil {
		return nil, err
	}
	at := recorded.Metadata.OccurredAt
	job := func(mail kind, request uuid.UUID, until time.Time) river.InsertManyParams {
		return river.InsertManyParams{Args: eventJob{
			EventID: event.ID, Account: account, Revision: event.Revision, Mail: mail, Request: request,
			OccurredAt: at, Until: until, Traceparent: recorded.Metadata.Traceparent,
		}}
	}
	notice := at.Add(noticeAge)
	switch e := recorded.Event.(type) {
	case domain.ActivationRequested:
		mail := kindActivation
		if e.CredentialID == uuid.Nil {
			mail = kindInvitation
		}
		return []river.InsertManyParams{job(mail, e.ActivationID, e.ExpiresAt)}, nil
	case domain.ResetRequested:
		return []river.InsertManyParams{job(kindReset, e.ResetID, e.ExpiresAt)}, nil
	case domain.PasswordChanged:
		return []river.InsertManyParams{job(kindPasswordChanged, uuid.Nil, notice)}, nil
	case domain.AddressChangeRequested:
		return []river.InsertManyParams{job(kindNewAddress, e.ChangeID, e.ExpiresAt), job(kindAddressChangeRequested, e.ChangeID, notice)}, nil
	case domain.AddressChanged:
		return []river.InsertManyParams{job(kindAddressChanged, e.ChangeID, notice)}, nil
	case domain.AccountErased:
		return []river.InsertManyParams{job(kindErased, uuid.Nil, at.Add(domain.FarewellLife))}, nil
	}
	return nil, nil
}

// mailing are the events that ask for mail, by their stored names.
var mailing = []string{
	domain.NameOf(domain.ActivationRequested{}), domain.NameOf(domain.ResetRequested{}), domain.NameOf(domain.PasswordChanged{}),
	domain.NameOf(domain.AddressChangeRequested{}), domain.NameOf(domain.AddressChanged{}), domain.NameOf(domain.AccountErased{}),
}

func asksForMail(eventType string) bool { return slices.Contains(mailing, eventType) }
