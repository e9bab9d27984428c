package vault_test

import (
	"bytes"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgxpool"

	"daybook/domain"
	"daybook/internal/postgres"
	"daybook/internal/testkit"
	"daybook/internal/vault"
)

func farewell() domain.Farewell {
	return domain.Farewell{Email: "ada@example.com", Name: "Ada", Until: domain.Micro(time.Now().Add(time.Hour))}
}

func rowsOf(t *testing.T, pool *pgxpool.Pool, table string) (n int) {
	t.Helper()
	must(t, pool.QueryRow(t.Context(), `SELECT count(*) FROM vault.`+table).Scan(&n))
	return n
}

func TestErase(t *testing.T) {
	pool, masters := testkit.Database(t), testkit.KeySet("master")
	v, other := vault.New(pool, masters), vault.New(pool, masters)
	kept, gone := place(uuid.New()), place(uuid.New())
	boxes := map[uuid.UUID][]byte{}
	for _, p := range []vault.Place{kept, gone} {
		box, err := v.Seal(t.Context(), p, []byte("personal"))
		must(t, err)
		boxes[p.Subject] = box
	}
	credentials := &vault.Credentials{Vault: pool, App: pool}
	staged := domain.Credential{ID: uuid.New(), AccountID: gone.Subject, PHC: "hash"}
	must(t, credentials.Stage(t.Context(), staged))
	for range 2 { // repeatable
		must(t, v.Erase(t.Context(), gone.Subject, farewell()))
	}
	for _, process := range []*vault.Vault{v, other} {
		if _, err := open(t, process, gone, boxes[gone.Subject]); !errors.Is(err, domain.ErrErased) {
			t.Errorf("opened: %v", err)
		}
		if _, err := process.Seal(t.Context(), gone, []byte("late")); !errors.Is(err, domain.ErrErased) {
			t.Errorf("sealed: %v", err)
		}
		if plain, err := open(t, process, kept, boxes[kept.Subject]); err != nil || string(plain) != "personal" {
			t.Errorf("somebody else's: %q, %v", plain, err)
		}
	}
	// A command in flight does not bring a password back.
	must(t, credentials.Stage(t.Context(), staged))
	if keys, credentials := rowsOf(t, pool, "data_keys"), rowsOf(t, pool, "credentials"); keys != 1 || credentials != 0 {
		t.Errorf("%d keys and %d credentials are left", keys, credentials)
	}
}

// TestKeysAreNotMadeWhileErasing: processes that know no key make one, get it, or are
// told that the person is erased, and in the end there is none.
func TestKeysAreNotMadeWhileErasing(t *testing.T) {
	pool, masters := testkit.Database(t), testkit.KeySet("master")
	for range 30 {
		p := place(uuid.New())
		if _, err := vault.New(pool, masters).Seal(t.Context(), p, []byte("first")); err != nil {
			t.Fatal(err)
		}
		var all sync.WaitGroup
		start := make(chan struct{})
		for i := range 4 {
			all.Go(func() {
				<-start
				if i == 0 {
					must(t, vault.New(pool, masters).Erase(t.Context(), p.Subject, domain.Farewell{}))
				} else if _, err := vault.New(pool, masters).Seal(t.Context(), p, []byte("late")); err != nil && !errors.Is(err, domain.ErrErased) {
					t.Error(err)
				}
			})
		}
		close(start)
		all.Wait()
	}
	if n := rowsOf(t, pool, "data_keys"); n != 0 {
		t.Errorf("%d keys outlived their erasure", n)
	}
}

func TestFarewell(t *testing.T) {
	pool, masters := testkit.Database(t), testkit.KeySet("master")
	v, ctx := vault.New(pool, masters), t.Context()
	told, late, silent := uuid.New(), uuid.New(), uuid.New()
	if _, _, err := v.Farewell(ctx, told); !errors.Is(err, vault.ErrNotErased) {
		t.Errorf("before: %v", err)
	}
	want := farewell()
	must(t, v.Erase(ctx, told, want))
	must(t, v.Erase(ctx, told, domain.Farewell{Email: "eve@example.com", Until: want.Until})) // the first counts
	past := want
	past.Until = time.Now().Add(-time.Second)
	must(t, v.Erase(ctx, late, past))
	must(t, v.Erase(ctx, silent, domain.Farewell{}))
	if got, found, err := v.Farewell(ctx, told); err != nil || !found || got != want {
		t.Errorf("%+v, %v, %v", got, found, err)
	}
	for _, subject := range []uuid.UUID{late, silent} {
		if _, found, err := v.Farewell(ctx, subject); found || err != nil {
			t.Errorf("%v, %v", found, err)
		}
	}
	var row string
	must(t, pool.QueryRow(ctx, `SELECT string_agg(f::text, ' ') FROM vault.farewells f`).Scan(&row))
	var box []byte
	must(t, pool.QueryRow(ctx, `SELECT box FROM vault.farewells`).Scan(&box))
	if strings.Contains(row, "example") || bytes.Contains(box, []byte("example")) {
		t.Error("the address lies in the clear")
	}
	// A box moved to somebody else does not open.
	_, err := pool.Exec(ctx, `INSERT INTO vault.farewells SELECT $1, master_key_id, box, expires_at FROM vault.farewells`, silent)
	must(t, err)
	if _, found, err := v.Farewell(ctx, silent); found || err == nil {
		t.Errorf("moved: %v, %v", found, err)
	}
	must(t, v.Told(ctx, told))
	if _, found, err := v.Farewell(ctx, told); found || err != nil {
		t.Errorf("told: %v, %v", found, err)
	}
	must(t, v.Erase(ctx, told, want)) // told once is told
	_, err = pool.Exec(ctx, `UPDATE vault.farewells SET expires_at = now()`)
	must(t, err)
	if n, err := v.PurgeFarewells(ctx); n != 1 || err != nil || rowsOf(t, pool, "farewells") != 0 {
		t.Errorf("purged %d, %v", n, err)
	}
}

// TestRestoredKeysAreDestroyedAgain: a copy of the table of keys from before, brought
// back beside the fence. Rows that come as rows are left out; what got in all the
// same, as a restore without triggers, is not used and is destroyed.
func TestRestoredKeysAreDestroyedAgain(t *testing.T) {
	pool, masters := testkit.Database(t), testkit.KeySet("master")
	v, ctx := vault.New(pool, masters), t.Context()
	p := place(uuid.New())
	box, err := v.Seal(ctx, p, []byte("personal"))
	must(t, err)
	_, err = pool.Exec(ctx, `CREATE TABLE backup AS SELECT * FROM vault.data_keys`)
	must(t, err)
	must(t, v.Erase(ctx, p.Subject, domain.Farewell{}))
	for _, mode := range []string{"origin", "replica"} {
		_, err = pool.Exec(ctx, `DO $$ BEGIN SET LOCAL session_replication_role = `+mode+`; INSERT INTO vault.data_keys SELECT * FROM backup; END $$`)
		must(t, err)
		if n := rowsOf(t, pool, "data_keys"); (n == 0) != (mode == "origin") {
			t.Errorf("%s: %d keys", mode, n)
		}
		if _, err := open(t, vault.New(pool, masters), p, box); !errors.Is(err, domain.ErrErased) {
			t.Errorf("%s: %v", mode, err)
		}
	}
	if n, err := v.Reerase(ctx); n != 1 || err != nil || rowsOf(t, pool, "data_keys") != 0 {
		t.Errorf("destroyed %d, %v", n, err)
	}
}

func TestErasuresSeen(t *testing.T) {
	pool := testkit.Database(t)
	v, ctx := vault.New(pool, testkit.KeySet("master")), t.Context()
	store, other := uuid.New(), uuid.New()
	seen := func(store uuid.UUID, want uint64) {
		t.Helper()
		if got, err := v.ErasuresSeen(ctx, store); got != want || err != nil {
			t.Errorf("seen up to %d, %v; want %d", got, err, want)
		}
	}
	seen(store, 0)
	must(t, v.Erase(ctx, uuid.New(), domain.Farewell{}))
	must(t, v.SawErasures(ctx, store, 70))
	must(t, v.SawErasures(ctx, store, 60)) // a slower process
	seen(store, 70)
	_, err := pool.Exec(ctx, `DELETE FROM vault.erased_subjects`) // as an older copy of the one table
	must(t, err)
	seen(store, 0)
	must(t, v.SawErasures(ctx, store, 20))
	seen(store, 20)
	seen(other, 0)
	must(t, v.SawErasures(ctx, other, 5))
	seen(other, 5)
	seen(store, 0)
}

// TestWhoMayNotEraseMayStart: a projector asks what lies behind a fence, and fails only
// when there is something.
func TestWhoMayNotEraseMayStart(t *testing.T) {
	url := testkit.DatabaseURL(t)
	open := func(role string) *pgxpool.Pool {
		pool, err := postgres.Open(t.Context(), postgres.Config{Setting: "test", URL: url, Role: role})
		must(t, err)
		t.Cleanup(pool.Close)
		return pool
	}
	masters := testkit.KeySet("master")
	owner, projector := open(""), vault.New(open(postgres.RoleProjector), masters)
	v := vault.New(owner, masters)
	p := place(uuid.New())
	_, err := v.Seal(t.Context(), p, []byte("personal"))
	must(t, err)
	_, err = owner.Exec(t.Context(), `CREATE TABLE public.backup AS SELECT * FROM vault.data_keys`)
	must(t, err)
	must(t, v.Erase(t.Context(), p.Subject, domain.Farewell{}))
	if n, err := projector.Reerase(t.Context()); n != 0 || err != nil {
		t.Errorf("nothing is left: %d, %v", n, err)
	}
	if _, err := projector.ErasuresSeen(t.Context(), uuid.New()); err != nil {
		t.Error(err)
	}
	_, err = owner.Exec(t.Context(), `DO $$ BEGIN SET LOCAL session_replication_role = replica; INSERT INTO vault.data_keys SELECT * FROM public.backup; END $$`)
	must(t, err)
	if _, err := projector.Reerase(t.Context()); err == nil {
		t.Error("a projector has destroyed a key")
	}
}
