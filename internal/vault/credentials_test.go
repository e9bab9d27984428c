package vault_test

import (
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgxpool"

	"daybook/domain"
	"daybook/internal/testkit"
	"daybook/internal/vault"
)

// TestCredentials runs on one database and on two.
func TestCredentials(t *testing.T) {
	app := testkit.Database(t)
	for name, own := range map[string]*pgxpool.Pool{"one database": app, "a vault of its own": testkit.Database(t)} {
		c := &vault.Credentials{Vault: own, App: app, Tries: 3, TryWindow: time.Minute}
		t.Run(name+", stage", func(t *testing.T) { testStage(t, c) })
		t.Run(name+", change", func(t *testing.T) { testStageChange(t, c) })
		t.Run(name+", tries", func(t *testing.T) { testTries(t, c) })
		t.Run(name+", given back", func(t *testing.T) { testGiveBack(t, c) })
		t.Run(name+", replace", func(t *testing.T) { testReplace(t, c) })
	}
}

func credential(phc string) domain.Credential {
	return domain.Credential{ID: uuid.New(), AccountID: uuid.New(), ExpectedRevision: 4, PHC: phc}
}

func expected(t *testing.T, c *vault.Credentials, id uuid.UUID) (revision int64, phc string) {
	t.Helper()
	must(t, c.Vault.QueryRow(t.Context(), `SELECT expected_revision, phc FROM vault.credentials WHERE credential_id = $1`, id).Scan(&revision, &phc))
	return revision, phc
}

func testStage(t *testing.T, c *vault.Credentials) {
	n := credential("first")
	must(t, c.Stage(t.Context(), n))
	n.ExpectedRevision, n.PHC = 7, "second"
	must(t, c.Stage(t.Context(), n))
	n.ExpectedRevision = 5
	must(t, c.Stage(t.Context(), n))
	if revision, phc := expected(t, c, n.ID); revision != 7 || phc != "first" {
		t.Errorf("revision %d, hash %s", revision, phc)
	}
	var guards int
	must(t, c.App.QueryRow(t.Context(), `SELECT count(*) FROM app.account_guards WHERE account_id = $1`, n.AccountID).Scan(&guards))
	if guards != 0 {
		t.Error("a first credential marked sessions")
	}
}

func testStageChange(t *testing.T, c *vault.Credentials) {
	n := credential("hash")
	pending := func() (revision int64) {
		must(t, c.App.QueryRow(t.Context(), `SELECT pending_revision FROM app.account_guards WHERE account_id = $1`, n.AccountID).Scan(&revision))
		return revision
	}
	for _, step := range []struct{ at, pending, expected int64 }{{4, 5, 4}, {9, 10, 9}, {6, 10, 9}} {
		n.ExpectedRevision = step.at
		must(t, c.StageChange(t.Context(), n))
		if revision, _ := expected(t, c, n.ID); pending() != step.pending || revision != step.expected {
			t.Errorf("at %d: pending %d, expected %d", step.at, pending(), revision)
		}
	}
}

func testTries(t *testing.T, c *vault.Credentials) {
	n := credential("hash")
	must(t, c.Stage(t.Context(), n))
	key := uuid.NewString()
	var allowed atomic.Int64
	var all sync.WaitGroup
	for range 20 {
		all.Go(func() {
			try, err := c.TrySignIn(t.Context(), key, n.ID)
			if err != nil || try.PHC != "hash" {
				t.Errorf("%q, %v", try.PHC, err)
			}
			if try.Allowed {
				allowed.Add(1)
			}
		})
	}
	all.Wait()
	if allowed.Load() != 3 {
		t.Errorf("%d tries allowed", allowed.Load())
	}
	try, err := c.TrySignIn(t.Context(), uuid.NewString(), uuid.New())
	if try.PHC != "" || !try.Allowed || err != nil {
		t.Errorf("unknown credential: %+v, %v", try, err)
	}
	_, err = c.App.Exec(t.Context(), `UPDATE app.throttles SET window_start = now() - interval '1 minute' WHERE key = 'sign-in:' || $1`, key)
	must(t, err)
	for i := range 4 {
		if try, err = c.TrySignIn(t.Context(), key, n.ID); try.Allowed != (i < 3) || err != nil {
			t.Errorf("try %d of the next window: %v, %v", i, try.Allowed, err)
		}
	}
	must(t, c.SignInSucceeded(t.Context(), key))
	if try, err = c.TrySignIn(t.Context(), key, n.ID); !try.Allowed || err != nil {
		t.Errorf("after a success: %v, %v", try.Allowed, err)
	}
}

// testGiveBack: of all tries at once, as many are allowed and kept as the limit says,
// however many are given back in between; and a try of a window that is over gives
// the next one nothing.
func testGiveBack(t *testing.T, c *vault.Credentials) {
	key := uuid.NewString()
	reserve := func() domain.SignInTry {
		t.Helper()
		try, err := c.TrySignIn(t.Context(), key, uuid.New())
		must(t, err)
		return try
	}
	var kept atomic.Int64
	var all sync.WaitGroup
	for i := range 60 {
		all.Go(func() {
			try, err := c.TrySignIn(t.Context(), key, uuid.New())
			switch {
			case err != nil:
				t.Error(err)
			case try.Allowed && i%3 > 0:
				if err := c.GiveBack(t.Context(), key, try); err != nil {
					t.Error(err)
				}
			case try.Allowed:
				kept.Add(1)
			default:
				if err := c.GiveBack(t.Context(), key, try); err != nil { // nothing to give
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
	for reserve().Allowed {
		kept.Add(1)
	}
	if kept.Load() != 3 {
		t.Errorf("%d tries were kept", kept.Load())
	}
	must(t, c.SignInSucceeded(t.Context(), key))
	old := reserve()
	_, err := c.App.Exec(t.Context(), `UPDATE app.throttles SET window_start = now() - interval '1 minute' WHERE key = 'sign-in:' || $1`, key)
	must(t, err)
	for range 3 {
		if !reserve().Allowed {
			t.Fatal("the next window allows less")
		}
	}
	must(t, c.GiveBack(t.Context(), key, old))
	if reserve().Allowed {
		t.Error("a try of the window before came back in this one")
	}
}

func testReplace(t *testing.T, c *vault.Credentials) {
	n := credential("weak")
	must(t, c.Stage(t.Context(), n))
	must(t, c.Replace(t.Context(), n.ID, "strong"))
	must(t, c.Replace(t.Context(), uuid.New(), "nobody's"))
	if revision, phc := expected(t, c, n.ID); revision != 4 || phc != "strong" {
		t.Errorf("revision %d, hash %s", revision, phc)
	}
}
