package audit

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/google/uuid"
	"golang.org/x/sync/semaphore"

	"daybook/domain"
	"daybook/internal/eventstore"
	"daybook/internal/vault"
)

// Refusals of a reader.
var (
	errTooManyReaders = domain.Refuse(domain.KindUnavailable, "too_many_readers", "Too many readers replay the audit trail right now. Try again in a moment")
	errUnavailable    = domain.Refuse(domain.KindUnavailable, "event_store_unavailable", "The service cannot be reached right now. Try again in a moment")
)

// ErrStopping ends replays because the process ends.
var ErrStopping = errors.New("the audit reader is stopping")

// openTimeout bounds how long a store that is away is waited for.
const openTimeout = 5 * time.Second

// Config says what a Reader reads and how many may read.
type Config struct {
	// Client reads. It should be one of its own with a small
	// eventstore.Config.BufferBytes: that is what a reader that stands still
	// costs.
	Client  *eventstore.Client
	Vault   *vault.Vault
	Cursors Cursors
	// Append records each use.
	Append func(ctx context.Context, a domain.Append) ([]domain.Recorded, error)
	// Producer is put into the metadata of what is recorded.
	Producer string
	// MaxReaders bounds replays at a time; default 32.
	MaxReaders int64
	// Tick is how long Replay.Batches stays silent at most; default 1 s.
	Tick time.Duration
	// Logger gets boxes that do not open; nil means silence.
	Logger *slog.Logger
}

func (c Config) withDefaults() Config {
	if c.MaxReaders <= 0 {
		c.MaxReaders = 32
	}
	if c.Tick <= 0 {
		c.Tick = time.Second
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	return c
}

// Reader replays the event store. It is safe for concurrent use.
type Reader struct {
	config  Config
	readers *semaphore.Weighted
	// lifetime ends with Run.
	lifetime context.Context
	end      context.CancelCauseFunc
}

// New returns a reader. It does no I/O.
func New(config Config) *Reader {
	config = config.withDefaults()
	r := &Reader{config: config, readers: semaphore.NewWeighted(config.MaxReaders)}
	r.lifetime, r.end = context.WithCancelCause(context.Background())
	return r
}

// Run blocks until ctx ends and then ends all replays with ErrStopping, so that
// those who follow do not hold up the end of the process.
func (r *Reader) Run(ctx context.Context) error {
	<-ctx.Done()
	r.end(ErrStopping)
	return nil
}

// Cursors returns the cursors of the store.
func (r *Reader) Cursors() Cursors { return r.config.Cursors }

// Use says who reads, for the record.
type Use struct {
	Command                       string // such as ReadAudit
	Actor, RequestID, Traceparent string
	// Token is the id of the token, nil for an operator at the machine.
	Token *uuid.UUID
}

// Open checks the query, takes a place among the readers and records the use.
// The caller must Close what it returns. What the caller did wrong is a
// *domain.Error, as is a store that does not answer.
func (r *Reader) Open(ctx context.Context, q Query, use Use) (*Replay, error) {
	if err := q.Validate(); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, openTimeout)
	defer cancel()
	tail, err := r.config.Client.Tail(ctx)
	if err != nil {
		return nil, unavailable(err)
	}
	if q.FromEnd {
		q.After = tail
	}
	if q.After > tail {
		return nil, errBeyondStore
	}
	if !r.readers.TryAcquire(1) {
		return nil, errTooManyReaders
	}
	p := &Replay{reader: r, query: q, tail: tail, position: q.After}
	if err := r.record(ctx, q, use); err != nil {
		p.Close()
		return nil, err
	}
	return p, nil
}

func (r *Reader) record(ctx context.Context, q Query, use Use) error {
	id := uuid.New()
	_, err := r.config.Append(ctx, domain.Append{
		Stream: domain.StoreStream, Expected: domain.AnyRevision, Events: []domain.Event{q.read(use.Token)},
		Metadata: domain.Metadata{
			Command: use.Command, CommandID: id, CorrelationID: id.String(), CausationID: id.String(), Actor: use.Actor,
			RequestID: use.RequestID, Traceparent: use.Traceparent, OccurredAt: domain.Micro(time.Now()), Producer: r.config.Producer,
		},
	})
	if err != nil {
		return fmt.Errorf("record the use of the audit trail: %w", err)
	}
	return nil
}

// unavailable tells the domain's kind of a store that does not answer.
func unavailable(err error) error {
	if errors.Is(err, eventstore.ErrUnavailable) || errors.Is(err, eventstore.ErrClosed) {
		return errors.Join(errUnavailable, err)
	}
	return err
}
