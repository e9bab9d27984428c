package vault

import (
	"context"
	"errors"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"daybook/domain"
)

// Credentials keeps password hashes. When the vault has a database of its own,
// guards and throttles still live in App, and two statements take the place of
// one.
type Credentials struct {
	Vault *pgxpool.Pool
	App   *pgxpool.Pool
	// Tries is how many sign-ins may fail for one address within TryWindow.
	Tries     int
	TryWindow time.Duration
}

const (
	stageSQL = `
		INSERT INTO vault.credentials AS c (credential_id, account_id, expected_revision, phc) VALUES ($1, $2, $3, $4)
		ON CONFLICT (credential_id) DO UPDATE SET expected_revision = greatest(c.expected_revision, $3)`
	pendingSQL = `
		INSERT INTO app.account_guards AS g (account_id, pending_revision) VALUES ($1, $2 + 1)
		ON CONFLICT (account_id) DO UPDATE SET pending_revision = greatest(g.pending_revision, $2 + 1)`
	reserveSQL = `SELECT app.reserve_try('sign-in:' || $1, $2, $3), app.window_of('sign-in:' || $1)`
	findSQL    = `SELECT phc FROM vault.credentials WHERE credential_id = $1`
)

// Stage writes a credential before the event that names it.
func (c *Credentials) Stage(ctx context.Context, n domain.Credential) error {
	_, err := c.Vault.Exec(ctx, stageSQL, n.ID, n.AccountID, n.ExpectedRevision, n.PHC)
	return err
}

// StageChange also marks the account's sessions as pending: in one statement,
// or before the credential when that has a database of its own.
func (c *Credentials) StageChange(ctx context.Context, n domain.Credential) error {
	if c.Vault != c.App {
		if _, err := c.App.Exec(ctx, pendingSQL, n.AccountID, n.ExpectedRevision); err != nil {
			return err
		}
		return c.Stage(ctx, n)
	}
	_, err := c.App.Exec(ctx, `WITH pending AS (
		INSERT INTO app.account_guards AS g (account_id, pending_revision) VALUES ($2, $3 + 1)
		ON CONFLICT (account_id) DO UPDATE SET pending_revision = greatest(g.pending_revision, $3 + 1))`+stageSQL,
		n.ID, n.AccountID, n.ExpectedRevision, n.PHC)
	return err
}

// TrySignIn reserves a try for the address and returns the credential's hash,
// empty when there is none: a named credential that is missing means that the
// person has to reset, never that the service fails.
func (c *Credentials) TrySignIn(ctx context.Context, addressKey string, credential uuid.UUID) (try domain.SignInTry, err error) {
	if c.Vault == c.App {
		var found *string
		err = c.App.QueryRow(ctx, reserveSQL+`, (SELECT phc FROM vault.credentials WHERE credential_id = $4)`,
			addressKey, c.Tries, c.TryWindow, credential).Scan(&try.Allowed, &try.Window, &found)
		if found != nil {
			try.PHC = *found
		}
		return try, err
	}
	if err = c.App.QueryRow(ctx, reserveSQL, addressKey, c.Tries, c.TryWindow).Scan(&try.Allowed, &try.Window); err != nil {
		return domain.SignInTry{}, err
	}
	err = c.Vault.QueryRow(ctx, findSQL, credential).Scan(&try.PHC)
	if errors.Is(err, pgx.ErrNoRows) {
		err = nil
	}
	return try, err
}

// GiveBack gives an allowed try back in which no password was compared, if the window
// it was reserved in still counts. Of a counter that has passed its limit the limit is
// what was allowed.
func (c *Credentials) GiveBack(ctx context.Context, addressKey string, try domain.SignInTry) error {
	if !try.Allowed {
		return nil
	}
	_, err := c.App.Exec(ctx, `UPDATE app.throttles SET tries = least(tries, $2) - 1
		WHERE key = 'sign-in:' || $1 AND tries > 0 AND window_start = $3`, addressKey, c.Tries, try.Window)
	return err
}

// SignInSucceeded forgets the address's failed tries.
func (c *Credentials) SignInSucceeded(ctx context.Context, addressKey string) error {
	_, err := c.App.Exec(ctx, `DELETE FROM app.throttles WHERE key = 'sign-in:' || $1`, addressKey)
	return err
}

// Replace stores a stronger hash of the same password.
func (c *Credentials) Replace(ctx context.Context, credential uuid.UUID, phc string) error {
	_, err := c.Vault.Exec(ctx, `UPDATE vault.credentials SET phc = $2 WHERE credential_id = $1`, credential, phc)
	return err
}
