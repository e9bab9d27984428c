package session

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"daybook/domain"
	"daybook/internal/device"
)

// Store keeps the sessions.
type Store struct {
	Pool *pgxpool.Pool
	// Lifetime is the absolute life of a session.
	Lifetime time.Duration
	// IdleLifetime ends a session that nobody uses; zero for none. Use is noted
	// once a minute at most, so a session may end up to a minute early, and must be
	// allowed to be idle for some minutes.
	IdleLifetime time.Duration
	// Account folds the stream of an account; asked only while a change is
	// pending.
	Account func(ctx context.Context, id uuid.UUID) (domain.Account, error)
}

// Session is an open session.
type Session struct {
	ID        uuid.UUID // public id
	AccountID uuid.UUID
	// AccountRevision is the newest that the session has seen.
	AccountRevision int64
	CreatedAt       time.Time
	LastSeenAt      time.Time
	ExpiresAt       time.Time
	UserAgent       string
}

// Checked is a valid session with the view of its account.
type Checked struct {
	Session Session
	// View is the row of readmodel.accounts as JSON; nil when there is none, or
	// when the account is parked and the row says nothing of what came later.
	View json.RawMessage
}

// Open stores a new session and returns its token. opened is false when the
// guard has moved past the credential that was proved.
func (s *Store) Open(ctx context.Context, n domain.NewSession) (token string, opened bool, err error) {
	secret := make([]byte, 32)
	_, _ = rand.Read(secret) // never fails (crypto/rand)
	token = base64.RawURLEncoding.EncodeToString(secret)
	tag, err := s.Pool.Exec(ctx, `
		WITH guard AS (
			INSERT INTO app.account_guards AS g (account_id, credential_revision) VALUES ($3, $4)
			ON CONFLICT (account_id) DO UPDATE SET credential_revision = $4
			WHERE g.credential_revision <= $4 AND g.status = 'active'
			RETURNING 1)
		INSERT INTO app.sessions (token_hash, session_id, account_id, credential_revision, account_revision, user_agent, expires_at)
		SELECT $1, $2, $3, $4, $5, $6, now() + $7 FROM guard`,
		hash(token), n.ID, n.AccountID, n.CredentialRevision, n.AccountRevision, device.Name(n.UserAgent), s.Lifetime)
	return token, tag.RowsAffected() == 1, err
}

// Check returns the session of the token, or domain.ErrNotSignedIn.
func (s *Store) Check(ctx context.Context, token string) (Checked, error) {
	row, err := s.find(ctx, token)
	if err != nil {
		return Checked{}, err
	}
	if row.pending != nil {
		if err := s.checkPending(ctx, row); err != nil {
			return Checked{}, err
		}
		return row.checked, nil
	}
	if row.sessionRevision < row.guardRevision || row.status != string(domain.StatusActive) {
		return Checked{}, domain.ErrNotSignedIn
	}
	return row.checked, nil
}

type found struct {
	checked         Checked
	sessionRevision int64
	guardRevision   int64
	status          string
	pending         *int64
}

// find is the one statement of a check. It also notes, at most once a minute
// and without waiting for the disk, that the session is in use.
func (s *Store) find(ctx context.Context, token string) (found, error) {
	var f found
	c := &f.checked.Session
	err := s.Pool.QueryRow(ctx, `
		WITH quick AS (SELECT set_config('synchronous_commit', 'off', true)),
		seen AS (
			UPDATE app.sessions SET last_seen_at = now() FROM quick
			WHERE token_hash = $1 AND last_seen_at < now() - interval '1 minute' AND expires_at > now()
				AND ($2::interval IS NULL OR last_seen_at > now() - $2))
		SELECT s.session_id, s.account_id, s.account_revision, s.created_at, s.last_seen_at, s.expires_at, s.user_agent,
			s.credential_revision, g.credential_revision, g.status, g.pending_revision, to_jsonb(v)
		FROM app.sessions s
		JOIN app.account_guards g USING (account_id)
		LEFT JOIN readmodel.accounts v ON v.id = s.account_id AND NOT EXISTS (
			SELECT FROM app.parked_accounts p WHERE p.projection = 'projection:accounts' AND p.account_id = s.account_id)
		WHERE s.token_hash = $1 AND s.expires_at > now() AND ($2::interval IS NULL OR s.last_seen_at > now() - $2)`,
		hash(token), s.idle()).Scan(&c.ID, &c.AccountID, &c.AccountRevision, &c.CreatedAt, &c.LastSeenAt, &c.ExpiresAt, &c.UserAgent,
		&f.sessionRevision, &f.guardRevision, &f.status, &f.pending, &f.checked.View)
	if errors.Is(err, pgx.ErrNoRows) {
		return found{}, domain.ErrNotSignedIn
	}
	return f, err
}

func (s *Store) idle() *time.Duration {
	if s.IdleLifetime == 0 {
		return nil
	}
	return &s.IdleLifetime
}

// checkPending judges by the stream itself, and clears the mark if the stream
// has reached it.
func (s *Store) checkPending(ctx context.Context, f found) error {
	account, err := s.Account(ctx, f.checked.Session.AccountID)
	if err != nil {
		return err
	}
	if account.Revision >= *f.pending {
		if err := s.Settle(ctx, account); err != nil {
			return err
		}
	}
	if !account.Active() || f.sessionRevision < account.CredentialRevision {
		return domain.ErrNotSignedIn
	}
	return nil
}

// Suspect marks the account's sessions as pending until the fold has passed the
// expected revision: until then each check folds the account's stream.
func (s *Store) Suspect(ctx context.Context, account uuid.UUID, expectedRevision int64) error {
	_, err := s.Pool.Exec(ctx, `
		INSERT INTO app.account_guards AS g (account_id, pending_revision) VALUES ($1, $2 + 1)
		ON CONFLICT (account_id) DO UPDATE SET pending_revision = greatest(g.pending_revision, $2 + 1)`, account, expectedRevision)
	return err
}

// Settle moves the guard to what the folded account says, never backwards, and
// clears the pending mark that the fold has reached. When the guard moves to a
// new credential the address's failed tries are forgotten in the same statement
// (vault.Credentials counts them): they were tries of the old one. Sessions of an
// account that is not active are deleted, so that they do not come back when it is
// opened again.
func (s *Store) Settle(ctx context.Context, a domain.Account) error {
	_, err := s.Pool.Exec(ctx, `
		WITH forgotten AS (
			DELETE FROM app.throttles WHERE key = 'sign-in:' || $5
				AND EXISTS (SELECT FROM app.account_guards WHERE account_id = $1 AND credential_revision < $2)),
		ended AS (
			DELETE FROM app.sessions WHERE account_id = $1 AND $3 <> 'active'
				AND NOT EXISTS (SELECT FROM app.account_guards WHERE account_id = $1 AND revision > $4))
		INSERT INTO app.account_guards AS g (account_id, credential_revision, status, revision) VALUES ($1, $2, $3, $4)
		ON CONFLICT (account_id) DO UPDATE SET
			credential_revision = greatest(g.credential_revision, $2),
			status = CASE WHEN g.revision <= $4 THEN $3 ELSE g.status END,
			revision = greatest(g.revision, $4),
			pending_revision = CASE WHEN g.pending_revision > $4 THEN g.pending_revision END`,
		a.ID, a.CredentialRevision, a.Status, a.Revision, a.AddressClaim)
	return err
}

// Saw notes, without waiting for the disk, which account revision the session
// has seen: a query of the same session shows nothing older.
func (s *Store) Saw(ctx context.Context, id uuid.UUID, revision int64) error {
	_, err := s.Pool.Exec(ctx, `
		WITH quick AS (SELECT set_config('synchronous_commit', 'off', true))
		UPDATE app.sessions SET account_revision = greatest(account_revision, $2) FROM quick WHERE session_id = $1`, id, revision)
	return err
}

func hash(token string) []byte {
	sum := sha256.Sum256([]byte(token))
	return sum[:]
}
