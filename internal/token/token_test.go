package token_test

import (
	"errors"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgxpool"

	"daybook/domain"
	"daybook/internal/testkit"
	"daybook/internal/token"
	"daybook/internal/vault"
)

func TestMain(m *testing.M) { os.Exit(testkit.Main(m)) }

// facts are what a token is made of.
type facts struct {
	purpose     domain.Purpose
	account, id uuid.UUID
	expires     time.Time
}

var masters = testkit.KeySet("master")

func make1(t *testing.T, m *token.Maker, f facts) string {
	t.Helper()
	made, err := m.Token(t.Context(), f.purpose, f.account, f.id, f.expires)
	if err != nil {
		t.Fatal(err)
	}
	return made
}

func matches(t *testing.T, m *token.Maker, made string, f facts) bool {
	t.Helper()
	ok, err := m.Matches(t.Context(), made, f.purpose, f.account, f.id, f.expires)
	if err != nil {
		t.Fatal(err)
	}
	return ok
}

// withKey gives the account a data key, as its first event does.
func withKey(t *testing.T, pool *pgxpool.Pool, account uuid.UUID) {
	t.Helper()
	_, err := vault.New(pool, masters).Seal(t.Context(), vault.Place{Subject: account}, []byte("{}"))
	if err != nil {
		t.Fatal(err)
	}
}

func someFacts(t *testing.T, pool *pgxpool.Pool) facts {
	f := facts{domain.PurposeReset, uuid.New(), uuid.New(), domain.Micro(time.Now())}
	withKey(t, pool, f.account)
	return f
}

func TestTokens(t *testing.T) {
	pool := testkit.Database(t)
	m := &token.Maker{Keys: testkit.KeySet("k1"), Vault: vault.New(pool, masters)}
	f := someFacts(t, pool)
	made := make1(t, m, f)
	if made != make1(t, &token.Maker{Keys: m.Keys, Vault: vault.New(pool, masters)}, f) {
		t.Fatal("another process makes another token")
	}
	for range 200 {
		g := f
		g.id = uuid.New()
		if made := make1(t, m, g); strings.ContainsAny(made, ":=+/%&?# ") || !strings.HasPrefix(made, "k1.") || len(made) != len("k1.")+43 {
			t.Fatalf("token %q", made)
		}
	}
	here := f
	here.expires = f.expires.In(time.FixedZone("east", 3600))
	if !matches(t, m, made, f) || !matches(t, m, made, here) {
		t.Fatal("the token does not match")
	}
	other := someFacts(t, pool)
	for name, change := range map[string]func(*facts){
		"purpose": func(f *facts) { f.purpose = domain.PurposeNewPassword }, "account": func(f *facts) { f.account = other.account },
		"request": func(f *facts) { f.id = other.id }, "end": func(f *facts) { f.expires = f.expires.Add(time.Microsecond) },
		"unknown account":          func(f *facts) { f.account = uuid.New() },
		"account and id exchanged": func(f *facts) { f.account, f.id = f.id, f.account },
	} {
		g := f
		change(&g)
		if matches(t, m, made, g) {
			t.Errorf("%s changed: still matches", name)
		}
	}
	for _, malformed := range []string{"", ".", "k1", "k1.", made + "A", made[:len(made)-1], strings.ToUpper(made), made + "\x00", "k1." + made, "k2" + made[2:], " " + made} {
		if matches(t, m, malformed, f) {
			t.Errorf("%q matches", malformed)
		}
	}
}

// TestNeedsBothKeys: who has only the token key, or only the vault, makes none.
func TestNeedsBothKeys(t *testing.T) {
	pool, elsewhere := testkit.Database(t), testkit.Database(t)
	f := someFacts(t, pool)
	withKey(t, elsewhere, f.account)
	m := &token.Maker{Keys: testkit.KeySet("k1"), Vault: vault.New(pool, masters)}
	made := make1(t, m, f)
	for name, thief := range map[string]*token.Maker{
		"the vault only":     {Keys: testkit.KeySet("k1"), Vault: m.Vault},
		"the token key only": {Keys: m.Keys, Vault: vault.New(elsewhere, masters)},
	} {
		if make1(t, thief, f) == made || matches(t, thief, made, f) {
			t.Errorf("%s is enough", name)
		}
	}
}

func TestRotation(t *testing.T) {
	pool := testkit.Database(t)
	f := someFacts(t, pool)
	before := &token.Maker{Keys: testkit.KeySet("k1"), Vault: vault.New(pool, masters)}
	after := &token.Maker{Keys: append(testkit.KeySet("k2"), before.Keys.Set()...), Vault: before.Vault}
	old, fresh := make1(t, before, f), make1(t, after, f)
	if !strings.HasPrefix(fresh, "k2.") || !matches(t, after, fresh, f) {
		t.Error("new tokens are not made with the new key")
	}
	if !matches(t, after, old, f) {
		t.Error("mailed links die when the key is rotated")
	}
	if matches(t, before, fresh, f) {
		t.Error("an unknown key matches")
	}
}

// TestErased: tokens die with the account's key.
func TestErased(t *testing.T) {
	pool := testkit.Database(t)
	f := someFacts(t, pool)
	keys := testkit.KeySet("k1")
	made := make1(t, &token.Maker{Keys: keys, Vault: vault.New(pool, masters)}, f)
	for _, sql := range []string{`DELETE FROM vault.data_keys`, `INSERT INTO vault.erased_subjects (subject) VALUES ('` + f.account.String() + `')`} {
		if _, err := pool.Exec(t.Context(), sql); err != nil {
			t.Fatal(err)
		}
		m := &token.Maker{Keys: keys, Vault: vault.New(pool, masters)}
		if matches(t, m, made, f) {
			t.Error("a token of an erased account matches")
		}
		if _, err := m.Token(t.Context(), f.purpose, f.account, f.id, f.expires); !errors.Is(err, domain.ErrErased) && !errors.Is(err, vault.ErrKeyLost) {
			t.Errorf("make: %v", err)
		}
	}
	pool.Close()
	m := &token.Maker{Keys: keys, Vault: vault.New(pool, masters)}
	if _, err := m.Matches(t.Context(), made, f.purpose, f.account, f.id, f.expires); err == nil {
		t.Error("an outage passes for an invalid token")
	}
}
