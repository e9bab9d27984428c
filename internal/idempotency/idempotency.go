package idempotency

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgxpool"

	"daybook/domain"
)

// Kept is how long a key is remembered.
const Kept = 24 * time.Hour

// ErrKeyReused refuses a key that came with another body before.
var ErrKeyReused = domain.Refuse(domain.KindConflict, "idempotency_key_reused", "This Idempotency-Key was used for another request")

// Store remembers keys.
type Store struct {
	Pool *pgxpool.Pool
	// Key keys the derivation of ids and fingerprints. 32 bytes.
	Key []byte
}

// Command returns the command id for a client's key, in one statement. route is
// the template; subject is the account, or for anonymous calls the address. An
// empty key gives a fresh id and no statement.
func (s *Store) Command(ctx context.Context, route, subject, key string, body []byte) (uuid.UUID, error) {
	if key == "" {
		return uuid.New(), nil
	}
	id, err := uuid.NewRandomFromReader(&reader{s.mac("command", []byte(route), []byte(subject), []byte(key))})
	if err != nil {
		return uuid.UUID{}, err
	}
	fingerprint := s.mac("fingerprint", id[:], body)
	var same bool
	err = s.Pool.QueryRow(ctx, `
		INSERT INTO app.idempotency AS i (command_id, fingerprint) VALUES ($1, $2)
		ON CONFLICT (command_id) DO UPDATE SET command_id = i.command_id
		RETURNING i.fingerprint = $2`, id, fingerprint).Scan(&same)
	if err == nil && !same {
		err = ErrKeyReused
	}
	return id, err
}

// purgedAtOnce bounds the rows that one statement deletes and locks.
const purgedAtOnce = 1000

// Purge forgets keys that are older than Kept, at most 1,000, and returns how many.
func (s *Store) Purge(ctx context.Context) (int64, error) {
	tag, err := s.Pool.Exec(ctx, `
		DELETE FROM app.idempotency WHERE command_id IN (
			SELECT command_id FROM app.idempotency WHERE created_at < now() - $1::interval ORDER BY created_at LIMIT $2)`, Kept, purgedAtOnce)
	return tag.RowsAffected(), err
}

// mac is keyed and unambiguous: every part carries its length.
func (s *Store) mac(purpose string, parts ...[]byte) []byte {
	mac := hmac.New(sha256.New, s.Key)
	for _, part := range append([][]byte{[]byte(purpose)}, parts...) {
		_ = binary.Write(mac, binary.BigEndian, uint64(len(part)))
		mac.Write(part)
	}
	return mac.Sum(nil)
}

type reader struct{ rest []byte }

func (r *reader) Read(p []byte) (int, error) {
	n := copy(p, r.rest)
	r.rest = r.rest[n:]
	return n, nil
}
