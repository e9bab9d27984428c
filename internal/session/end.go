package session

import (
	"context"
	"errors"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"daybook/domain"
)

// List returns the open sessions of the account, newest first.
func (s *Store) List(ctx context.Context, account uuid.UUID) ([]Session, error) {
	rows, err := s.Pool.Query(ctx, `
		SELECT s.session_id, s.account_id, s.account_revision, s.created_at, s.last_seen_at, s.expires_at, s.user_agent
		FROM app.sessions s JOIN app.account_guards g USING (account_id)
		WHERE s.account_id = $1 AND s.expires_at > now() AND s.credential_revision >= g.credential_revision
			AND ($2::interval IS NULL OR s.last_seen_at > now() - $2)
		ORDER BY s.created_at DESC, s.session_id`, account, s.idle())
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowToStructByPos[Session])
}

// End ends the session of the token.
func (s *Store) End(ctx context.Context, token string) (ended domain.EndedSession, found bool, err error) {
	err = s.Pool.QueryRow(ctx, `DELETE FROM app.sessions WHERE token_hash = $1 RETURNING session_id, account_id`, hash(token)).
		Scan(&ended.ID, &ended.AccountID)
	if errors.Is(err, pgx.ErrNoRows) {
		return domain.EndedSession{}, false, nil
	}
	return ended, err == nil, err
}

// EndOne ends a session of the account by its public id. found is false for a
// session that is not the account's.
func (s *Store) EndOne(ctx context.Context, account, id uuid.UUID) (found bool, err error) {
	tag, err := s.Pool.Exec(ctx, `DELETE FROM app.sessions WHERE session_id = $1 AND account_id = $2`, id, account)
	return tag.RowsAffected() == 1, err
}

// EndOthers ends the sessions that were opened with a credential older than the
// account's, but the one to keep, which gets the account's credential revision and
// has seen the account as it is, and returns the ended ones. Of an account that was not folded
// (domain.NewAccount), all others end.
func (s *Store) EndOthers(ctx context.Context, a domain.Account, keep uuid.UUID) ([]domain.EndedSession, error) {
	rows, err := s.Pool.Query(ctx, `
		WITH kept AS (
			UPDATE app.sessions SET credential_revision = greatest(credential_revision, $3),
				account_revision = greatest(account_revision, $4)
			WHERE session_id = $2 AND account_id = $1)
		DELETE FROM app.sessions WHERE account_id = $1 AND session_id <> $2 AND (credential_revision < $3 OR $3 < 0)
		RETURNING session_id, account_id`, a.ID, keep, a.CredentialRevision, a.Revision)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowToStructByPos[domain.EndedSession])
}

// purgedAtOnce bounds the rows that one statement deletes and locks.
const purgedAtOnce = 1000

// Purge deletes sessions that are over, at most 1,000, and returns how many.
func (s *Store) Purge(ctx context.Context) (int64, error) {
	tag, err := s.Pool.Exec(ctx, `
		DELETE FROM app.sessions WHERE token_hash IN (
			SELECT s.token_hash FROM app.sessions s JOIN app.account_guards g USING (account_id)
			WHERE s.expires_at < now() OR s.credential_revision < g.credential_revision
				OR s.last_seen_at <= now() - $1::interval OR g.status <> 'active'
			LIMIT $2)`, s.idle(), purgedAtOnce)
	return tag.RowsAffected(), err
}
