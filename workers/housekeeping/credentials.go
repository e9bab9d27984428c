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
)

// Credentials deletes password hashes that no account can use any more: the stream
// is past the revision at which an event could have named the credential, and the
// fold does not name it. The one that counts is marked, so that accounts at rest are
// not read again and again.
type Credentials struct {
	Vault *pgxpool.Pool
	Store commands.Store
	Age   time.Duration // of rows that are looked at; defaults to 24 hours
}

const credentialAge = 24 * time.Hour

// Task returns sweep_credentials, which counts the hashes that it deleted.
func (c Credentials) Task(every time.Duration) Task {
	if c.Age == 0 {
		c.Age = credentialAge
	}
	s := &sweep[uuid.UUID, uuid.UUID]{find: c.find, key: same[uuid.UUID], each: c.each}
	return Task{Name: "sweep_credentials", Every: every, Run: s.run}
}

// find returns accounts with credentials of which nothing is known yet. A later
// credential is what an older one may have been replaced by.
func (c Credentials) find(ctx context.Context, after uuid.UUID, limit int) ([]uuid.UUID, error) {
	rows, err := c.Vault.Query(ctx, `
		SELECT DISTINCT account_id FROM vault.credentials
		WHERE named_at IS NULL AND created_at < now() - $1::interval AND account_id > $2
		ORDER BY account_id LIMIT $3`, c.Age, after, limit)
	if err != nil {
		return nil, fmt.Errorf("find credentials to look at: %w", err)
	}
	return pgx.CollectRows(rows, pgx.RowTo[uuid.UUID])
}

// stagedCredential is a row as it was before the account was folded.
type stagedCredential struct {
	ID       uuid.UUID
	Expected int64
}

func (c Credentials) each(ctx context.Context, id uuid.UUID) (bool, error) {
	deleted, err := c.sweepAccount(ctx, id)
	if err != nil {
		err = fmt.Errorf("sweep the credentials of %s: %w", id, err)
	}
	return deleted, err
}

func (c Credentials) sweepAccount(ctx context.Context, id uuid.UUID) (deleted bool, err error) {
	rows, err := c.Vault.Query(ctx, `SELECT credential_id, expected_revision FROM vault.credentials
		WHERE account_id = $1 AND created_at < now() - $2::interval`, id, c.Age)
	if err != nil {
		return false, err
	}
	staged, err := pgx.CollectRows(rows, pgx.RowToStructByPos[stagedCredential])
	if err != nil {
		return false, err
	}
	account, err := c.Store.Account(ctx, id) // after the rows: see unused
	if err != nil {
		return false, err
	}
	for _, credential := range staged {
		switch {
		case credential.ID == account.Credential:
			err = c.mark(ctx, credential)
		case unused(account, credential):
			err = c.delete(ctx, credential)
			deleted = true
		}
		if err != nil {
			return deleted, err
		}
	}
	return deleted, nil
}

func (c Credentials) mark(ctx context.Context, named stagedCredential) error {
	_, err := c.Vault.Exec(ctx, `UPDATE vault.credentials SET named_at = now() WHERE credential_id = $1 AND named_at IS NULL`, named.ID)
	return err
}

// delete leaves the row alone if somebody has staged the credential again, which
// raises its revision.
func (c Credentials) delete(ctx context.Context, s stagedCredential) error {
	_, err := c.Vault.Exec(ctx, `DELETE FROM vault.credentials WHERE credential_id = $1 AND expected_revision = $2`, s.ID, s.Expected)
	return err
}

// unused says that no event names the credential nor ever will: the append that
// would is refused, since the stream has moved on from where it expects it.
func unused(a domain.Account, c stagedCredential) bool {
	if a.Revision <= c.Expected {
		return false
	}
	if a.Status == domain.StatusPending {
		for _, activation := range a.Activations {
			if activation.CredentialID == c.ID {
				return false
			}
		}
	}
	return a.Credential != c.ID
}
