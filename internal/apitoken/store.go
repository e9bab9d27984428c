package apitoken

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"daybook/domain"
)

// ErrInvalid says that the token does not exist, has expired or was revoked:
// which of them is nobody's business.
var ErrInvalid = domain.Refuse(domain.KindUnauthenticated, "invalid_token", "A valid access token is needed")

// ErrUnknown says that no token has this id.
var ErrUnknown = errors.New("there is no token with this id")

// Store keeps the tokens.
type Store struct {
	Pool *pgxpool.Pool
	// Append records what was done with tokens.
	Append func(ctx context.Context, a domain.Append) ([]domain.Recorded, error)
	// Producer is put into the metadata of events.
	Producer string
}

// Create makes a token and returns it: it cannot be shown again. The event comes
// before the row, so that no token works that is not recorded.
func (s *Store) Create(ctx context.Context, actor, name string, scopes []Scope, expires time.Time) (string, Token, error) {
	t := Token{ID: uuid.New(), Name: name, Scopes: scopes, ExpiresAt: domain.Micro(expires)}
	event := domain.TokenCreated{TokenID: t.ID, ExpiresAt: t.ExpiresAt}
	for _, scope := range scopes {
		event.Scopes = append(event.Scopes, string(scope))
	}
	if err := s.record(ctx, "CreateToken", uuid.New(), actor, event); err != nil {
		return "", Token{}, err
	}
	text := newToken(t.ID)
	err := s.Pool.QueryRow(ctx, `
		INSERT INTO app.api_tokens (token_id, token_hash, name, scopes, expires_at) VALUES ($1, $2, $3, $4, $5)
		RETURNING created_at`, t.ID, hash(text), name, scopes, t.ExpiresAt).Scan(&t.CreatedAt)
	if err != nil {
		return "", Token{}, fmt.Errorf("store the token: %w", err)
	}
	return text, t, nil
}

// Revoke ends the token at once. It may be repeated: the event of a token has
// one id, however often it is revoked.
func (s *Store) Revoke(ctx context.Context, actor string, id uuid.UUID) error {
	tag, err := s.Pool.Exec(ctx, `UPDATE app.api_tokens SET revoked_at = coalesce(revoked_at, now()) WHERE token_id = $1`, id)
	if err != nil {
		return fmt.Errorf("revoke token %s: %w", id, err)
	}
	if tag.RowsAffected() == 0 {
		return fmt.Errorf("revoke token %s: %w", id, ErrUnknown)
	}
	return s.record(ctx, "RevokeToken", uuid.NewSHA1(id, []byte("revoke")), actor, domain.TokenRevoked{TokenID: id})
}

func (s *Store) record(ctx context.Context, command string, commandID uuid.UUID, actor string, event domain.Event) error {
	_, err := s.Append(ctx, domain.Append{
		Stream: domain.StoreStream, Expected: domain.AnyRevision, Events: []domain.Event{event},
		Metadata: domain.Metadata{
			Command: command, CommandID: commandID, CorrelationID: commandID.String(), CausationID: commandID.String(),
			Actor: actor, OccurredAt: domain.Micro(time.Now()), Producer: s.Producer,
		},
	})
	if err != nil {
		return fmt.Errorf("record %s: %w", command, err)
	}
	return nil
}

const columns = `token_id, name, scopes, created_at, expires_at, coalesce(revoked_at, '0001-01-01Z'), coalesce(last_used_at, '0001-01-01Z')`

func scan(row pgx.CollectableRow) (t Token, err error) {
	err = row.Scan(&t.ID, &t.Name, &t.Scopes, &t.CreatedAt, &t.ExpiresAt, &t.RevokedAt, &t.LastUsedAt)
	return t, err
}

// Check returns the token if it may be used now, else ErrInvalid: one statement.
// It also notes, at most once a minute and without waiting for the disk, that
// the token is in use.
func (s *Store) Check(ctx context.Context, token string) (Token, error) {
	id, ok := idOf(token)
	if !ok {
		return Token{}, ErrInvalid
	}
	rows, err := s.Pool.Query(ctx, `
		WITH quick AS (SELECT set_config('synchronous_commit', 'off', true)),
		valid AS (
			SELECT * FROM app.api_tokens
			WHERE token_id = $1 AND token_hash = $2 AND revoked_at IS NULL AND expires_at > now()),
		used AS (
			UPDATE app.api_tokens t SET last_used_at = now() FROM quick, valid
			WHERE t.token_id = valid.token_id AND (t.last_used_at IS NULL OR t.last_used_at < now() - interval '1 minute'))
		SELECT `+columns+` FROM valid`, id, hash(token))
	if err != nil {
		return Token{}, fmt.Errorf("check a token: %w", err)
	}
	found, err := pgx.CollectExactlyOneRow(rows, scan)
	if errors.Is(err, pgx.ErrNoRows) {
		return Token{}, ErrInvalid
	}
	if err != nil {
		return Token{}, fmt.Errorf("check a token: %w", err)
	}
	return found, nil
}

// List returns all tokens, the newest first.
func (s *Store) List(ctx context.Context) ([]Token, error) {
	rows, err := s.Pool.Query(ctx, `SELECT `+columns+` FROM app.api_tokens ORDER BY created_at DESC, token_id`)
	if err != nil {
		return nil, fmt.Errorf("list tokens: %w", err)
	}
	return pgx.CollectRows(rows, scan)
}
