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
// handler for messages of batches in commit order, or of one event each. Make it
// with NewReactor.
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

// Handle reacts to the events of the message.
func (r *Reactor) Handle(msg *message.Message) error {
	events := messaging.BatchFromContext(msg.Context()).Events
	if len(events) == 0 {
		return errors.New("react by mail: the message has no event")
	}
	return r.React(msg.Context(), events...)
}

// React inserts the jobs of ordered events and moves the checkpoint, both or
// neither, in one transaction for as many as can be. Events from before the
// checkpoint change nothing. After an error the checkpoint stands behind what was
// done, and reacting to all again goes on from there. The error is
// postgres.ErrNotOwner when another reactor has started.
func (r *Reactor) React(ctx context.Context, events ...domain.Stored) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	err := r.react(ctx, events)
	if errors.Is(err, postgres.ErrNotOwner) && r.resume(ctx) {
		err = r.react(ctx, events)
	}
	if err != nil {
		return fmt.Errorf("react by mail: %w", err)
	}
	return nil
}

// react does what comes before the first event that it cannot react to, and then
// tells of that one.
func (r *Reactor) react(ctx context.Context, events []domain.Stored) error {
	var p pending
	for _, event := range events {
		if event.Position < r.checkpoint.Position {
			continue
		}
		if err := r.add(ctx, &p, event); err != nil {
			return errors.Join(r.flush(ctx, &p), fmt.Errorf("%s@%d: %w", event.Stream, event.Revision, err))
		}
	}
	return r.flush(ctx, &p)
}

// pending is what is to be done with the next move of the checkpoint.
type pending struct {
	jobs   []river.InsertManyParams
	to     uint64
	events int
}

func (p *pending) pass(event domain.Stored) { p.to, p.events = event.Position, p.events+1 }

// add adds what the event asks for. A sign-in has a transaction of its own, behind
// what comes before it.
func (r *Reactor) add(ctx context.Context, p *pending, event domain.Stored) error {
	jobs, err := jobsOf(event)
	if err != nil {
		return err
	}
	if len(jobs) > 0 {
		p.jobs = append(p.jobs, jobs...)
		p.pass(event)
		return nil
	}
	account, in, ok, err := r.Devices.signIn(ctx, event)
	if err != nil {
		return err
	}
	if !ok {
		p.pass(event)
		return nil
	}
	if err := r.flush(ctx, p); err != nil {
		return err
	}
	return r.reactToSignIn(ctx, event, account, in)
}

// flush inserts the pending jobs with the checkpoint. Without any it moves that
// without waiting for the disk: if a crash loses the move, the events are passed
// over once more.
func (r *Reactor) flush(ctx context.Context, p *pending) error {
	done := *p
	*p = pending{}
	if done.events == 0 {
		return nil
	}
	if len(done.jobs) == 0 {
		moved, err := r.checkpoint.AdvanceUnsynchronised(ctx, r.pool, done.to, done.events)
		r.checkpoint = moved
		return err
	}
	moved := r.checkpoint
	err := pgx.BeginFunc(ctx, r.pool, func(tx pgx.Tx) (err error) {
		if moved, err = r.checkpoint.AdvanceIn(ctx, tx, done.to, done.events); err != nil {
			return err
		}
		_, err = r.queue.InsertManyTx(ctx, tx, done.jobs)
		return err
	})
	if err == nil {
		r.checkpoint = moved
	}
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
