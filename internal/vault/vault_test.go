package vault_test

import (
	"bytes"
	"context"
	"errors"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"daybook/domain"
	"daybook/internal/postgres"
	"daybook/internal/testkit"
	"daybook/internal/vault"
)

func TestMain(m *testing.M) { os.Exit(testkit.Main(m)) }

// statements counts what is sent.
type statements struct{ atomic.Int64 }

func (s *statements) TraceQueryStart(ctx context.Context, _ *pgx.Conn, _ pgx.TraceQueryStartData) context.Context {
	s.Add(1)
	return ctx
}

func (s *statements) TraceQueryEnd(context.Context, *pgx.Conn, pgx.TraceQueryEndData) {}

func counted(t *testing.T) (*pgxpool.Pool, *statements) {
	t.Helper()
	sent := &statements{}
	pool, err := postgres.Open(t.Context(), postgres.Config{Setting: "test", URL: testkit.DatabaseURL(t), Tracer: sent})
	must(t, err)
	t.Cleanup(pool.Close)
	sent.Store(0)
	return pool, sent
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func place(subject uuid.UUID) vault.Place {
	return vault.Place{Stream: domain.AccountStream(subject), EventID: uuid.New(), Type: "ProfileUpdated", Schema: 1, Subject: subject}
}

func open(t *testing.T, v *vault.Vault, p vault.Place, box []byte) ([]byte, error) {
	t.Helper()
	ring, err := v.Keyring(t.Context(), p.Subject)
	must(t, err)
	return ring.Open(p, box)
}

// erase does what an erasure does: the fence, then no key.
func erase(t *testing.T, pool *pgxpool.Pool, subject uuid.UUID) {
	t.Helper()
	_, err := pool.Exec(t.Context(), `INSERT INTO vault.erased_subjects (subject) VALUES ($1)`, subject)
	must(t, err)
	_, err = pool.Exec(t.Context(), `DELETE FROM vault.data_keys WHERE subject = $1`, subject)
	must(t, err)
}

func TestBoxesAreBoundToTheirPlace(t *testing.T) {
	pool := testkit.Database(t)
	masters := testkit.KeySet("master")
	v := vault.New(pool, masters)
	p := place(uuid.New())
	plain := []byte(`{"email":"ada@example.com"}`)
	box, err := v.Seal(t.Context(), p, plain)
	must(t, err)
	if bytes.Contains(box, []byte("ada")) {
		t.Fatal("the box is readable")
	}
	again, err := v.Seal(t.Context(), p, plain)
	must(t, err)
	if bytes.Equal(box, again) {
		t.Fatal("two boxes are alike")
	}
	for _, reader := range []*vault.Vault{v, vault.New(pool, masters)} {
		opened, err := open(t, reader, p, box)
		if err != nil || !bytes.Equal(opened, plain) {
			t.Fatalf("%q, %v", opened, err)
		}
	}
	other := place(uuid.New())
	_, err = v.Seal(t.Context(), other, plain)
	must(t, err)
	for name, change := range map[string]func(*vault.Place){
		"stream": func(p *vault.Place) { p.Stream = other.Stream }, "event": func(p *vault.Place) { p.EventID = other.EventID },
		"type": func(p *vault.Place) { p.Type = "AccountRegistered" }, "schema": func(p *vault.Place) { p.Schema = 2 },
		"subject": func(p *vault.Place) { p.Subject = other.Subject },
		"shifted": func(p *vault.Place) { p.Stream, p.Type = p.Stream+"P", strings.TrimPrefix(p.Type, "P") },
	} {
		moved := p
		change(&moved)
		if _, err := open(t, v, moved, box); err == nil || errors.Is(err, domain.ErrErased) {
			t.Errorf("%s changed: %v", name, err)
		}
	}
	for i := range box {
		damaged := bytes.Clone(box)
		damaged[i] ^= 1
		if _, err := open(t, v, p, damaged); err == nil || errors.Is(err, domain.ErrErased) {
			t.Errorf("byte %d changed: %v", i, err)
		}
		if _, err := open(t, v, p, box[:i]); err == nil || errors.Is(err, domain.ErrErased) {
			t.Errorf("cut to %d bytes: %v", i, err)
		}
	}
}

// TestOneKeyForAll: processes that need a new person's key at once get one.
func TestOneKeyForAll(t *testing.T) {
	pool := testkit.Database(t)
	masters := testkit.KeySet("master")
	p := place(uuid.New())
	boxes := make([][]byte, 16)
	var all sync.WaitGroup
	for i := range boxes {
		all.Go(func() {
			box, err := vault.New(pool, masters).Seal(t.Context(), p, []byte("{}"))
			if err != nil {
				t.Error(err)
			}
			boxes[i] = box
		})
	}
	all.Wait()
	for i, box := range boxes {
		if _, err := open(t, vault.New(pool, masters), p, box); err != nil {
			t.Errorf("box %d: %v", i, err)
		}
	}
}

func TestErasedLostAndOutOfReach(t *testing.T) {
	pool := testkit.Database(t)
	masters := testkit.KeySet("master")
	v := vault.New(pool, masters)
	erased, lost := place(uuid.New()), place(uuid.New())
	erasedBox, err := v.Seal(t.Context(), erased, []byte("{}"))
	must(t, err)
	lostBox, err := v.Seal(t.Context(), lost, []byte("{}"))
	must(t, err)
	erase(t, pool, erased.Subject)
	_, err = pool.Exec(t.Context(), `DELETE FROM vault.data_keys`)
	must(t, err)

	v = vault.New(pool, masters)
	if _, err := open(t, v, erased, erasedBox); !errors.Is(err, domain.ErrErased) {
		t.Errorf("erased: %v", err)
	}
	if _, err := v.Secret(t.Context(), erased.Subject); !errors.Is(err, domain.ErrErased) {
		t.Errorf("secret of an erased: %v", err)
	}
	if _, err := v.Seal(t.Context(), erased, []byte("{}")); !errors.Is(err, domain.ErrErased) {
		t.Errorf("an erased person gets a key again: %v", err)
	}
	if _, err := open(t, v, lost, lostBox); !errors.Is(err, vault.ErrKeyLost) {
		t.Errorf("lost: %v", err)
	}
	if _, err := v.Secret(t.Context(), lost.Subject); !errors.Is(err, vault.ErrKeyLost) {
		t.Errorf("secret of a lost one: %v", err)
	}
	pool.Close()
	_, err = vault.New(pool, masters).Keyring(t.Context(), erased.Subject)
	if err == nil || errors.Is(err, domain.ErrErased) || errors.Is(err, vault.ErrKeyLost) {
		t.Errorf("out of reach: %v", err)
	}
	_, err = vault.New(pool, masters).Seal(t.Context(), lost, []byte("{}"))
	if err == nil || errors.Is(err, domain.ErrErased) {
		t.Errorf("seal, out of reach: %v", err)
	}
}

// TestFenceWins: a key that outlived the fence opens nothing.
func TestFenceWins(t *testing.T) {
	pool := testkit.Database(t)
	masters := testkit.KeySet("master")
	p := place(uuid.New())
	box, err := vault.New(pool, masters).Seal(t.Context(), p, []byte("{}"))
	must(t, err)
	_, err = pool.Exec(t.Context(), `INSERT INTO vault.erased_subjects (subject) VALUES ($1)`, p.Subject)
	must(t, err)
	v := vault.New(pool, masters)
	if _, err := open(t, v, p, box); !errors.Is(err, domain.ErrErased) {
		t.Errorf("open: %v", err)
	}
	if _, err := v.Seal(t.Context(), p, []byte("{}")); !errors.Is(err, domain.ErrErased) {
		t.Errorf("seal: %v", err)
	}
	if _, err := v.Secret(t.Context(), p.Subject); !errors.Is(err, domain.ErrErased) {
		t.Errorf("secret: %v", err)
	}
}

// TestOneQueryABatch: keys are loaded for all at once, and only those not known.
func TestOneQueryABatch(t *testing.T) {
	pool, sent := counted(t)
	masters := testkit.KeySet("master")
	v := vault.New(pool, masters)
	subjects := make([]uuid.UUID, 60)
	for i := range subjects {
		subjects[i] = uuid.New()
		_, err := v.Seal(t.Context(), place(subjects[i]), []byte("{}"))
		must(t, err)
	}
	v = vault.New(pool, masters)
	for _, step := range []struct {
		subjects []uuid.UUID
		queries  int64
	}{{subjects[:40], 1}, {subjects[:40], 0}, {subjects, 1}, {subjects, 0}, {nil, 0}} {
		before := sent.Load()
		_, err := v.Keyring(t.Context(), step.subjects...)
		must(t, err)
		if got := sent.Load() - before; got != step.queries {
			t.Errorf("%d queries for %d subjects, want %d", got, len(step.subjects), step.queries)
		}
	}
}

func TestDecodeOpensABatch(t *testing.T) {
	pool := testkit.Database(t)
	repository := testkit.Repository(t, pool)
	ctx := t.Context()
	id := uuid.New()
	_, err := repository.Append(ctx, domain.Append{
		Stream: domain.AccountStream(id), Expected: domain.NoStream, Metadata: domain.Metadata{CommandID: uuid.New()},
		Events: []domain.Event{
			domain.AccountRegistered{AddressClaim: "address-k-00", Personal: domain.Seal(domain.RegisteredDetails{Email: "ada@example.com"})},
			domain.AccountDeactivated{Reason: "test"},
		},
	})
	must(t, err)
	var stored []domain.Stored
	for s, err := range repository.Client.ReadStream(ctx, domain.AccountStream(id), 0) {
		must(t, err)
		if bytes.Contains(s.Data, []byte("ada")) {
			t.Fatal("the stored event is readable")
		}
		stored = append(stored, s)
	}
	recorded, err := repository.Vault.Decode(ctx, stored...)
	must(t, err)
	registered, ok := recorded[0].Event.(domain.AccountRegistered)
	if !ok || len(recorded) != 2 || registered.Personal.Value.Email != "ada@example.com" {
		t.Fatalf("decoded %+v", recorded)
	}
	erase(t, pool, id)
	recorded, err = vault.New(pool, nil).Decode(ctx, stored...)
	must(t, err)
	if registered := recorded[0].Event.(domain.AccountRegistered); !registered.Personal.Erased {
		t.Fatalf("after the erasure: %+v", registered)
	}
}

func TestRewrap(t *testing.T) {
	pool := testkit.Database(t)
	before := testkit.KeySet("one")
	after := append(testkit.KeySet("two"), before...)
	p := place(uuid.New())
	box, err := vault.New(pool, before).Seal(t.Context(), p, []byte("{}"))
	must(t, err)
	for range 4 {
		_, err := vault.New(pool, before).Seal(t.Context(), place(uuid.New()), []byte("{}"))
		must(t, err)
	}
	_, err = vault.New(pool, after[:1]).Keyring(t.Context(), p.Subject)
	if err == nil || errors.Is(err, vault.ErrKeyLost) || errors.Is(err, domain.ErrErased) {
		t.Fatalf("an unknown master key: %v", err)
	}
	if n, err := vault.New(pool, after).Rewrap(t.Context()); n != 5 || err != nil {
		t.Fatalf("rewrapped %d, %v", n, err)
	}
	if n, err := vault.New(pool, after).Rewrap(t.Context()); n != 0 || err != nil {
		t.Fatalf("rewrapped %d again, %v", n, err)
	}
	if _, err := open(t, vault.New(pool, after[:1]), p, box); err != nil {
		t.Fatalf("without the old master key: %v", err)
	}
}
