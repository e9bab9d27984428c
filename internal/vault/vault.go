package vault

import (
	"context"
	"crypto/cipher"
	"crypto/rand"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"daybook/domain"
)

// ErrKeyLost says that a person's key is gone without having been erased. It
// is an alarm: the account is parked, nothing is shown as empty.
var ErrKeyLost = errors.New("the data key is lost")

// Vault holds data keys. Make it with New.
type Vault struct {
	pool    *pgxpool.Pool
	masters Keys
	cache   *cache
}

// New returns a vault over the database. It does no I/O.
func New(pool *pgxpool.Pool, masters Keys) *Vault {
	return &Vault{pool: pool, masters: masters, cache: newCache(cacheSize, cacheAge)}
}

// dataKey is an unwrapped key, ready for use.
type dataKey struct {
	version int
	secret  []byte
	aead    cipher.AEAD
}

// key returns the subject's key, making one if there is none yet. A fenced
// subject never gets one again.
func (v *Vault) key(ctx context.Context, subject uuid.UUID) (dataKey, error) {
	if key, ok := v.cache.get(subject, time.Now()); ok {
		return key, nil
	}
	secret := make([]byte, 32)
	_, _ = rand.Read(secret) // never fails (crypto/rand)
	return v.createOrGet(ctx, subject, secret)
}

// createOrGet gives the subject the secret if it has none yet.
func (v *Vault) createOrGet(ctx context.Context, subject uuid.UUID, secret []byte) (dataKey, error) {
	master := v.masters.Set().Current()
	wrapped, err := wrap(master, subject, 1, secret)
	if err != nil {
		return dataKey{}, err
	}
	row := wrappedKey{Subject: subject}
	err = v.pool.QueryRow(ctx, `
		INSERT INTO vault.data_keys AS k (subject, master_key_id, wrapped)
		SELECT $1, $2, $3 WHERE NOT EXISTS (SELECT FROM vault.erased_subjects WHERE subject = $1)
		ON CONFLICT (subject) DO UPDATE SET subject = k.subject
		RETURNING k.version, k.master_key_id, k.wrapped`, subject, master.ID, wrapped).
		Scan(&row.Version, &row.MasterKeyID, &row.Wrapped)
	if errors.Is(err, pgx.ErrNoRows) {
		return dataKey{}, domain.ErrErased
	}
	if err != nil {
		return dataKey{}, fmt.Errorf("create or get a data key: %w", err)
	}
	return v.unwrap(row)
}

type wrappedKey struct {
	Subject     uuid.UUID
	Version     int
	MasterKeyID string
	Wrapped     []byte
}

func (v *Vault) unwrap(row wrappedKey) (dataKey, error) {
	master, ok := v.masters.Set().Find(row.MasterKeyID)
	if !ok {
		return dataKey{}, fmt.Errorf("the data key of %s is wrapped by master key %q, which DAYBOOK_MASTER_KEYS does not have", row.Subject, row.MasterKeyID)
	}
	aead, err := newAEAD(master.Secret)
	if err != nil {
		return dataKey{}, err
	}
	secret, err := open(aead, row.Wrapped, wrapping(row.Subject, row.Version))
	if err != nil {
		return dataKey{}, fmt.Errorf("unwrap the data key of %s: %w", row.Subject, err)
	}
	key := dataKey{version: row.Version, secret: secret}
	if key.aead, err = newAEAD(secret); err != nil {
		return dataKey{}, err
	}
	v.cache.put(row.Subject, key, time.Now())
	return key, nil
}

func wrap(master Key, subject uuid.UUID, version int, secret []byte) ([]byte, error) {
	aead, err := newAEAD(master.Secret)
	if err != nil {
		return nil, err
	}
	return seal(aead, secret, wrapping(subject, version)), nil
}

func wrapping(subject uuid.UUID, version int) []byte {
	return lengthPrefixed("data key", subject.String(), fmt.Sprint(version))
}

// Wrapped counts the data keys that each master key wraps, and the farewells that it
// seals, which are not wrapped anew: they are gone when they are told, or too old.
func (v *Vault) Wrapped(ctx context.Context) (map[string]int64, error) {
	rows, err := v.pool.Query(ctx, `SELECT master_key_id, count(*) FROM (
		SELECT master_key_id FROM vault.data_keys UNION ALL SELECT master_key_id FROM vault.farewells WHERE expires_at > now()) w GROUP BY 1`)
	if err != nil {
		return nil, err
	}
	counts := map[string]int64{}
	var id string
	var n int64
	_, err = pgx.ForEachRow(rows, []any{&id, &n}, func() error {
		counts[id] = n
		return nil
	})
	return counts, err
}

// Rewrap wraps every data key that an older master key wraps with the current
// one, batch by batch, and returns how many. It is repeatable.
func (v *Vault) Rewrap(ctx context.Context) (rewrapped int, err error) {
	for {
		n, err := v.rewrapBatch(ctx)
		rewrapped += n
		if n == 0 || err != nil {
			return rewrapped, err
		}
	}
}

func (v *Vault) rewrapBatch(ctx context.Context) (int, error) {
	const batchSize = 500
	master, n := v.masters.Set().Current(), 0
	err := pgx.BeginFunc(ctx, v.pool, func(tx pgx.Tx) error {
		rows, err := tx.Query(ctx, `SELECT subject, version, master_key_id, wrapped FROM vault.data_keys
			WHERE master_key_id <> $1 ORDER BY subject LIMIT $2 FOR UPDATE`, master.ID, batchSize)
		if err != nil {
			return err
		}
		keys, err := pgx.CollectRows(rows, pgx.RowToStructByPos[wrappedKey])
		if err != nil {
			return err
		}
		batch := &pgx.Batch{}
		for _, row := range keys {
			key, err := v.unwrap(row)
			if err != nil {
				return err
			}
			wrapped, err := wrap(master, row.Subject, row.Version, key.secret)
			if err != nil {
				return err
			}
			batch.Queue(`UPDATE vault.data_keys SET master_key_id = $2, wrapped = $3 WHERE subject = $1`, row.Subject, master.ID, wrapped)
		}
		n = len(keys)
		return tx.SendBatch(ctx, batch).Close()
	})
	return n, err
}

// Subjects returns whose data keys there are, in order, behind one of them. What stands
// for a secret of the deployment is nobody: see Fixed.
func (v *Vault) Subjects(ctx context.Context, after uuid.UUID, limit int) ([]uuid.UUID, error) {
	rows, err := v.pool.Query(ctx, `SELECT subject FROM vault.data_keys
		WHERE subject > $1 AND substr(subject::text, 15, 1) <> '5' ORDER BY subject LIMIT $2`, after, limit)
	if err != nil {
		return nil, fmt.Errorf("list data keys: %w", err)
	}
	return pgx.CollectRows(rows, pgx.RowTo[uuid.UUID])
}
