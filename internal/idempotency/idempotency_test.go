package idempotency_test

import (
	"errors"
	"os"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/google/uuid"

	"daybook/domain"
	"daybook/internal/idempotency"
	"daybook/internal/testkit"
)

func TestMain(m *testing.M) { os.Exit(testkit.Main(m)) }

func newStore(t *testing.T) *idempotency.Store {
	return &idempotency.Store{Pool: testkit.Database(t), Key: []byte("0123456789abcdef0123456789abcdef")}
}

func command(t *testing.T, s *idempotency.Store, route, subject, key, body string) uuid.UUID {
	t.Helper()
	id, err := s.Command(t.Context(), route, subject, key, []byte(body))
	if err != nil {
		t.Fatal(err)
	}
	return id
}

func TestSameKeySameCommand(t *testing.T) {
	s := newStore(t)
	id := command(t, s, "POST /users/", "ada", "key", "body")
	if id.Version() != 4 || id.Variant() != uuid.RFC4122 {
		t.Errorf("%s is no random UUID", id)
	}
	if again := command(t, s, "POST /users/", "ada", "key", "body"); again != id {
		t.Errorf("%s, then %s", id, again)
	}
	seen := map[uuid.UUID]bool{id: true}
	for _, other := range [][4]string{
		{"PATCH /users/", "ada", "key", "body"}, {"POST /users/", "bob", "key", "body"}, {"POST /users/", "ada", "other", "body"},
		{"POST /users/a", "da", "key", "body"}, {"POST /users/", "adak", "ey", "body"}, {"POST /users/", "ada", "", "body"}, {"POST /users/", "ada", "", "body"},
	} {
		id := command(t, s, other[0], other[1], other[2], other[3])
		if seen[id] {
			t.Errorf("%q is the same command as another", other)
		}
		seen[id] = true
	}
	elsewhere := &idempotency.Store{Pool: s.Pool, Key: []byte("another key of thirty-two bytes.")}
	if seen[command(t, elsewhere, "POST /users/", "ada", "key", "body")] {
		t.Error("ids can be foreseen without the key")
	}
}

func TestOtherBodyIsAConflict(t *testing.T) {
	s := newStore(t)
	id := command(t, s, "route", "ada", "key", "body")
	for _, body := range []string{"other", "", "body "} {
		_, err := s.Command(t.Context(), "route", "ada", "key", []byte(body))
		if !errors.Is(err, idempotency.ErrKeyReused) || !domain.IsKind(err, domain.KindConflict) {
			t.Errorf("body %q: %v", body, err)
		}
	}
	if again := command(t, s, "route", "ada", "key", "body"); again != id {
		t.Error("the refused bodies took the key over")
	}
}

// TestBodiesAtOnce: of two bodies under one key, one is the command.
func TestBodiesAtOnce(t *testing.T) {
	s := newStore(t)
	var accepted, refused atomic.Int64
	var all sync.WaitGroup
	for i := range 16 {
		all.Go(func() {
			_, err := s.Command(t.Context(), "route", "ada", "key", []byte{byte(i % 2)})
			switch {
			case err == nil:
				accepted.Add(1)
			case errors.Is(err, idempotency.ErrKeyReused):
				refused.Add(1)
			default:
				t.Error(err)
			}
		})
	}
	all.Wait()
	if accepted.Load() != 8 || refused.Load() != 8 {
		t.Errorf("%d accepted, %d refused", accepted.Load(), refused.Load())
	}
}

func TestPurge(t *testing.T) {
	s := newStore(t)
	old := command(t, s, "route", "ada", "old", "body")
	command(t, s, "route", "ada", "new", "body")
	if _, err := s.Pool.Exec(t.Context(), `UPDATE app.idempotency SET created_at = now() - interval '24 hours 1 second' WHERE command_id = $1`, old); err != nil {
		t.Fatal(err)
	}
	if n, err := s.Purge(t.Context()); n != 1 || err != nil {
		t.Errorf("purged %d, %v", n, err)
	}
	if command(t, s, "route", "ada", "old", "other body") != old {
		t.Error("a forgotten key gives another command")
	}
	if _, err := s.Command(t.Context(), "route", "ada", "new", []byte("other body")); !errors.Is(err, idempotency.ErrKeyReused) {
		t.Errorf("a young key was forgotten: %v", err)
	}
}

func TestNothingReadableIsKept(t *testing.T) {
	s := newStore(t)
	command(t, s, "route", "ada@example.com", "my key", "my password")
	var kept int
	err := s.Pool.QueryRow(t.Context(), `SELECT count(*) FROM app.idempotency i WHERE encode(fingerprint, 'escape') ~ 'password|key|ada'`).Scan(&kept)
	if err != nil || kept != 0 {
		t.Errorf("%d rows, %v", kept, err)
	}
}
