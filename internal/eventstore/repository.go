package eventstore

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/google/uuid"

	"daybook/domain"
	"daybook/internal/vault"
)

// accessAge is how long sign-ins and sign-outs are kept.
const accessAge = 400 * 24 * time.Hour

// Repository keeps accounts and claims as streams. Personal members are sealed
// on their way in and opened on their way out, here and nowhere else on the
// write side.
type Repository struct {
	Client *Client
	Vault  *vault.Vault
	// Addresses keys the names of claim streams, the current key first. With more
	// than one an address is claimed under each of them; see docs/decisions.md.
	Addresses vault.Keys
	// Fresh, when set, fails while this process cannot know which keys of addresses
	// the others use; then nothing is registered.
	Fresh  func() error
	Logger *slog.Logger
}

// Account folds the stream of the account: one read.
func (r *Repository) Account(ctx context.Context, id uuid.UUID) (domain.Account, error) {
	history, err := r.history(ctx, domain.AccountStream(id))
	if err != nil {
		return domain.Account{}, err
	}
	return domain.Fold(domain.NewAccount(id), history...), nil
}

// History returns the events of the account: one read.
func (r *Repository) History(ctx context.Context, id uuid.UUID) ([]domain.Recorded, error) {
	return r.history(ctx, domain.AccountStream(id))
}

// ErrNoEvent says that a stream has no event at a revision, or none any more.
var ErrNoEvent = errors.New("there is no such event")

// Access returns one event of the account's access stream, opened: one read. An
// error is ErrNoEvent when it has grown too old.
func (r *Repository) Access(ctx context.Context, id uuid.UUID, revision int64) (domain.Recorded, error) {
	for s, err := range r.Client.ReadStream(ctx, domain.AccessStream(id), revision) {
		if err != nil {
			return domain.Recorded{}, unavailable(err)
		}
		if s.Revision != revision {
			break
		}
		recorded, err := r.Vault.Decode(ctx, s)
		if err != nil {
			return domain.Recorded{}, fmt.Errorf("load: %w", err)
		}
		return recorded[0], nil
	}
	return domain.Recorded{}, ErrNoEvent
}

func (r *Repository) history(ctx context.Context, stream string) ([]domain.Recorded, error) {
	var stored []domain.Stored
	for s, err := range r.Client.ReadStream(ctx, stream, 0) {
		if err != nil {
			return nil, unavailable(err)
		}
		stored = append(stored, s)
	}
	recorded, err := r.Vault.Decode(ctx, stored...)
	if err != nil {
		return nil, fmt.Errorf("load: %w", err)
	}
	return recorded, nil
}

// Append seals and writes all events or none: one append. A conflict is
// domain.ErrConflict.
func (r *Repository) Append(ctx context.Context, a domain.Append) ([]domain.Recorded, error) {
	proposed, recorded, err := r.propose(ctx, a)
	if err != nil {
		return nil, err
	}
	appended, err := r.Client.Append(ctx, a.Stream, a.Expected, proposed...)
	if _, conflict := errors.AsType[*ConflictError](err); conflict {
		return nil, domain.ErrConflict
	}
	if err != nil {
		return nil, unavailable(err)
	}
	first := appended.Revision - int64(len(recorded)) + 1
	for i := range recorded {
		recorded[i].Revision = first + int64(i)
	}
	if a.Expected == domain.AnyRevision && first == 0 {
		r.limitAge(ctx, a.Stream)
	}
	return recorded, nil
}

func (r *Repository) limitAge(ctx context.Context, stream string) {
	if err := r.Client.SetMaxAge(ctx, stream, accessAge); err != nil {
		r.Logger.WarnContext(ctx, "the age of a stream is not limited", slog.String("stream", stream), slog.Any("error", err))
	}
}

func (r *Repository) propose(ctx context.Context, a domain.Append) ([]Proposed, []domain.Recorded, error) {
	proposed := make([]Proposed, len(a.Events))
	recorded := make([]domain.Recorded, len(a.Events))
	for i, event := range a.Events {
		id := domain.EventID(a.Stream, a.Metadata.CommandID, i)
		encoded, err := domain.Encode(event)
		if err != nil {
			return nil, nil, err
		}
		metadata := a.Metadata
		metadata.Schema = encoded.Schema
		if proposed[i], err = r.seal(ctx, a.Stream, id, encoded, metadata); err != nil {
			return nil, nil, err
		}
		recorded[i] = domain.Recorded{Stream: a.Stream, ID: id, Event: event, Metadata: metadata}
	}
	return proposed, recorded, nil
}

func (r *Repository) seal(ctx context.Context, stream string, id uuid.UUID, e domain.Encoded, m domain.Metadata) (Proposed, error) {
	var box []byte
	if e.Personal != nil {
		subject, ok := domain.StreamSubject(stream)
		if !ok {
			return Proposed{}, fmt.Errorf("stream %s is nobody's", stream)
		}
		var err error
		place := vault.Place{Stream: stream, EventID: id, Type: e.Type, Schema: e.Schema, Subject: subject}
		if box, err = r.Vault.Seal(ctx, place, e.Personal); err != nil {
			return Proposed{}, fmt.Errorf("seal: %w", err)
		}
	}
	data, err := e.Data(box)
	if err != nil {
		return Proposed{}, err
	}
	metadata, err := json.Marshal(m)
	return Proposed{ID: id, Type: e.Type, Data: data, Metadata: metadata}, err
}

// unavailable tells the domain's kind of a store that does not answer.
func unavailable(err error) error {
	if errors.Is(err, ErrUnavailable) || errors.Is(err, ErrClosed) || errors.Is(err, ErrOtherStore) {
		return errors.Join(domain.Refuse(domain.KindUnavailable, "event_store_unavailable", "The service cannot be reached right now. Try again in a moment"), err)
	}
	return err
}
