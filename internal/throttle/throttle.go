package throttle

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"log/slog"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
)

// Limit allows so many tries within a window, which begins with the first of them.
// The zero Limit allows any number.
type Limit struct {
	Tries  int
	Window time.Duration
}

// Try is one try of what Key names.
type Try struct {
	Key   string
	Limit Limit
}

// Store keeps the counters. Its fields are set once.
type Store struct {
	Pool *pgxpool.Pool
	// Key keys the hashes of the keys. 32 bytes.
	Key    []byte
	Logger *slog.Logger
}

// Reserve reserves one try under each key, in order, until one is used up: what
// comes after that one is not charged. Callers must agree on the order of shared
// keys. It returns how long to wait before the next try; 0 says that this one may
// be made. Tries without a limit cost nothing.
func (s *Store) Reserve(ctx context.Context, tries ...Try) (wait time.Duration, err error) {
	var keys []string
	var limits []int
	var windows []time.Duration
	for _, try := range tries {
		if try.Limit.Tries > 0 {
			keys, limits, windows = append(keys, s.hash(try.Key)), append(limits, try.Limit.Tries), append(windows, try.Limit.Window)
		}
	}
	if len(keys) == 0 {
		return 0, nil
	}
	var seconds int
	err = s.Pool.QueryRow(ctx, `SELECT app.reserve_tries($1, $2, $3)`, keys, limits, windows).Scan(&seconds)
	return time.Duration(seconds) * time.Second, err
}

// prefix tells the rows of this package from those of sign-in tries, which others
// read and purge.
const prefix = "limit:"

func (s *Store) hash(key string) string {
	mac := hmac.New(sha256.New, s.Key)
	mac.Write([]byte(key))
	return prefix + hex.EncodeToString(mac.Sum(nil)[:16])
}

// Purge forgets counters whose window began longer ago than that.
func (s *Store) Purge(ctx context.Context, age time.Duration) (int64, error) {
	tag, err := s.Pool.Exec(ctx, `DELETE FROM app.throttles WHERE window_start < now() - $1::interval AND starts_with(key, $2)`, age, prefix)
	return tag.RowsAffected(), err
}

const purgeEvery = 10 * time.Minute

// Run purges what is older than longest, the longest window in use, until the
// context ends.
func (s *Store) Run(ctx context.Context, longest time.Duration) error {
	ticker := time.NewTicker(purgeEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return nil
		}
		if _, err := s.Purge(ctx, longest); err != nil && ctx.Err() == nil {
			s.Logger.WarnContext(ctx, "old throttles were not removed", slog.Any("error", err))
		}
	}
}
