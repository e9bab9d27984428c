package session_test

import (
	"context"
	"errors"
	"os"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgxpool"

	"daybook/domain"
	"daybook/internal/postgres"
	"daybook/internal/session"
	"daybook/internal/testkit"
)

func TestMain(m *testing.M) { os.Exit(testkit.Main(m)) }

// suite is a store with one account, whose fold the test sets.
type suite struct {
	*session.Store
	t       *testing.T
	pool    *pgxpool.Pool
	account domain.Account
	folds   int
}

func newSuite(t *testing.T) *suite {
	t.Helper()
	pool, err := postgres.Open(t.Context(), postgres.Config{Setting: "test", URL: testkit.SharedDatabaseURL(t)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pool.Close)
	s := &suite{t: t, pool: pool}
	s.exec(`TRUNCATE app.sessions, app.account_guards, app.throttles, readmodel.accounts`)
	s.account = folded(1)
	s.Store = &session.Store{
		Pool: s.pool, Lifetime: time.Hour, IdleLifetime: 10 * time.Minute,
		Account: func(_ context.Context, id uuid.UUID) (domain.Account, error) {
			s.folds++
			if id != s.account.ID {
				t.Errorf("folded %s", id)
			}
			return s.account, nil
		},
	}
	return s
}

// folded is an active account whose credential is of its last event.
func folded(revision int64) domain.Account {
	a := domain.NewAccount(uuid.New())
	a.Status, a.Revision, a.CredentialRevision = domain.StatusActive, revision, revision
	a.AddressClaim = "address-k1-" + a.ID.String()
	return a
}

func (s *suite) must(err error) {
	s.t.Helper()
	if err != nil {
		s.t.Fatal(err)
	}
}

func (s *suite) exec(sql string, arguments ...any) {
	s.t.Helper()
	_, err := s.pool.Exec(s.t.Context(), sql, arguments...)
	s.must(err)
}

func (s *suite) tryOpen(a domain.Account) (token string, id uuid.UUID, opened bool) {
	s.t.Helper()
	n := domain.NewSession{ID: uuid.New(), AccountID: a.ID, CredentialRevision: a.CredentialRevision, AccountRevision: a.Revision, UserAgent: "test"}
	token, opened, err := s.Open(s.t.Context(), n)
	s.must(err)
	return token, n.ID, opened
}

func (s *suite) open() (token string, id uuid.UUID) {
	s.t.Helper()
	token, id, opened := s.tryOpen(s.account)
	if !opened {
		s.t.Fatal("not opened")
	}
	return token, id
}

func (s *suite) valid(token string) bool {
	s.t.Helper()
	_, err := s.Check(s.t.Context(), token)
	if err != nil && !errors.Is(err, domain.ErrNotSignedIn) {
		s.t.Fatal(err)
	}
	return err == nil
}

// validTwice fails the test when a second look says something else.
func (s *suite) validTwice(token string) bool {
	s.t.Helper()
	first := s.valid(token)
	if s.valid(token) != first {
		s.t.Errorf("valid %v, then not", first)
	}
	return first
}

func (s *suite) pending(revision int64) {
	s.t.Helper()
	s.exec(`UPDATE app.account_guards SET pending_revision = $2 WHERE account_id = $1`, s.account.ID, revision)
}

func TestOpenAndCheck(t *testing.T) {
	s := newSuite(t)
	token, id := s.open()
	other, _ := s.open()
	checked, err := s.Check(t.Context(), token)
	s.must(err)
	c := checked.Session
	if c.ID != id || c.AccountID != s.account.ID || c.AccountRevision != 1 || c.UserAgent != "Unknown device" || checked.View != nil ||
		c.ExpiresAt.Sub(c.CreatedAt) != time.Hour {
		t.Errorf("checked %+v", checked)
	}
	if len(token) != 43 || token == other {
		t.Errorf("tokens %q, %q", token, other)
	}
	for _, unknown := range []string{"", "x", token[:42], token + "A", id.String()} {
		if s.valid(unknown) {
			t.Errorf("%q is a session", unknown)
		}
	}
	var stored int
	s.must(s.pool.QueryRow(t.Context(), `SELECT count(*) FROM app.sessions s WHERE strpos(s::text, $1) > 0 OR strpos(encode(token_hash, 'escape'), $1) > 0`, token).Scan(&stored))
	if stored != 0 || s.folds != 0 {
		t.Errorf("the token is stored (%d); %d folds", stored, s.folds)
	}
}

func TestCheckBringsTheView(t *testing.T) {
	s := newSuite(t)
	token, _ := s.open()
	s.exec(`INSERT INTO readmodel.accounts (id, revision, version, status, staff, email, first_name, last_name, phone_number, github_link, birth_date, thumbnail, joined_at, attempts)
		VALUES ($1, 1, 1, 'active', false, 'ada@example.com', '', '', '', '', '', '', now(), '{}')`, s.account.ID)
	checked, err := s.Check(t.Context(), token)
	s.must(err)
	if string(checked.View[:1]) != "{" {
		t.Errorf("view %s", checked.View)
	}
}

func TestEndOfLife(t *testing.T) {
	s := newSuite(t)
	for name, c := range map[string]struct {
		sql   string
		valid bool
	}{
		"fresh":                   {`created_at = created_at`, true},
		"almost idle":             {`last_seen_at = now() - interval '9 minutes 50 seconds'`, true},
		"idle":                    {`last_seen_at = now() - interval '10 minutes 1 second'`, false},
		"old":                     {`expires_at = now() + interval '10 seconds'`, true},
		"over, although in use":   {`expires_at = now() - interval '1 second', last_seen_at = now()`, false},
		"over, and idle for long": {`expires_at = now() - interval '1 day', last_seen_at = now() - interval '1 day'`, false},
	} {
		token, id := s.open()
		s.exec(`UPDATE app.sessions SET ` + c.sql + ` WHERE session_id = '` + id.String() + `'`)
		for range 2 { // looking does not bring it back
			if s.valid(token) != c.valid {
				t.Errorf("%s: valid %v", name, !c.valid)
			}
		}
		listed, err := s.List(t.Context(), s.account.ID)
		s.must(err)
		if (len(listed) == 1) != c.valid {
			t.Errorf("%s: %d listed", name, len(listed))
		}
		s.exec(`DELETE FROM app.sessions`)
	}
	s.IdleLifetime = 0
	token, _ := s.open()
	s.exec(`UPDATE app.sessions SET last_seen_at = now() - interval '50 minutes'`)
	if !s.valid(token) {
		t.Error("idle, but there is no such limit")
	}
}

// TestUseIsNoted at most once a minute.
func TestUseIsNoted(t *testing.T) {
	s := newSuite(t)
	token, id := s.open()
	seen := func() (at time.Time) {
		s.must(s.pool.QueryRow(t.Context(), `SELECT last_seen_at FROM app.sessions WHERE session_id = $1`, id).Scan(&at))
		return at
	}
	first := seen()
	if !s.valid(token) || !seen().Equal(first) {
		t.Error("noted at once")
	}
	s.exec(`UPDATE app.sessions SET last_seen_at = now() - interval '61 seconds'`)
	if !s.valid(token) || seen().Before(first) {
		t.Error("not noted after a minute")
	}
}

// TestUseIsNotedWithoutTheDisk: a check never waits for the disk, neither when it
// notes the use nor when a session is read.
func TestUseIsNotedWithoutTheDisk(t *testing.T) {
	s := newSuite(t)
	durable := s.pool.Config()
	durable.ConnConfig.RuntimeParams["synchronous_commit"] = "on" // the tests' server waits for no disk
	pool, err := pgxpool.NewWithConfig(t.Context(), durable)
	s.must(err)
	t.Cleanup(pool.Close)
	s.Pool = pool
	token, _ := s.open()
	s.exec(`UPDATE app.sessions SET last_seen_at = now() - interval '61 seconds'`)
	s.exec(`CREATE FUNCTION app.only_unsynchronised() RETURNS trigger LANGUAGE plpgsql AS $$
		BEGIN
			IF current_setting('synchronous_commit') <> 'off' THEN RAISE 'this update waits for the disk'; END IF;
			RETURN NEW;
		END $$`)
	t.Cleanup(func() {
		if _, err := s.pool.Exec(context.WithoutCancel(t.Context()), `DROP FUNCTION app.only_unsynchronised CASCADE`); err != nil {
			t.Error(err)
		}
	})
	s.exec(`CREATE TRIGGER only_unsynchronised BEFORE UPDATE ON app.sessions FOR EACH ROW EXECUTE FUNCTION app.only_unsynchronised()`)
	checked, err := s.Check(t.Context(), token)
	s.must(err)
	if again, err := s.Check(t.Context(), token); err != nil || !again.Session.LastSeenAt.After(checked.Session.LastSeenAt) {
		t.Errorf("the use was not noted: %v, %v", again.Session.LastSeenAt, err)
	}
	if _, err := pool.Exec(t.Context(), `UPDATE app.sessions SET last_seen_at = now()`); err == nil {
		t.Error("the trigger does not tell the two apart")
	}
}

func TestEnding(t *testing.T) {
	s := newSuite(t)
	ctx := t.Context()
	one, oneID := s.open()
	two, twoID := s.open()
	three, threeID := s.open()
	listed, err := s.List(ctx, s.account.ID)
	s.must(err)
	if len(listed) != 3 || listed[0].ID != threeID || listed[2].ID != oneID {
		t.Errorf("listed %+v", listed)
	}
	if found, err := s.EndOne(ctx, uuid.New(), twoID); found || err != nil || !s.valid(two) {
		t.Errorf("ended somebody else's session: %v, %v", found, err)
	}
	if found, err := s.EndOne(ctx, s.account.ID, twoID); !found || err != nil || s.valid(two) {
		t.Errorf("not ended: %v, %v", found, err)
	}
	ended, found, err := s.End(ctx, one)
	if !found || err != nil || ended != (domain.EndedSession{ID: oneID, AccountID: s.account.ID}) || s.valid(one) {
		t.Errorf("ended %+v, %v, %v", ended, found, err)
	}
	if _, found, err = s.End(ctx, one); found || err != nil {
		t.Errorf("ended twice: %v, %v", found, err)
	}
	four, fourID := s.open()
	gone, err := s.EndOthers(ctx, domain.NewAccount(s.account.ID), threeID)
	if err != nil || len(gone) != 1 || gone[0].ID != fourID || s.valid(four) || !s.valid(three) {
		t.Errorf("ended others %+v, %v", gone, err)
	}
}

// TestEndOthersAfterAChange keeps the one that asked and those that already know
// the new password.
func TestEndOthersAfterAChange(t *testing.T) {
	s := newSuite(t)
	own, ownID := s.open()
	old, oldID := s.open()
	s.account.Revision, s.account.CredentialRevision = 5, 5
	fresh, _ := s.open()
	gone, err := s.EndOthers(t.Context(), s.account, ownID)
	s.must(err)
	s.must(s.Settle(t.Context(), s.account))
	if len(gone) != 1 || gone[0].ID != oldID || !s.valid(own) || s.valid(old) || !s.valid(fresh) {
		t.Errorf("ended %v", gone)
	}
}

func TestGuard(t *testing.T) {
	s := newSuite(t)
	old := s.account
	before, _ := s.open()
	s.account.Revision, s.account.CredentialRevision = 5, 5
	s.must(s.Settle(t.Context(), s.account))
	if s.valid(before) {
		t.Error("valid after the change")
	}
	if _, _, opened := s.tryOpen(old); opened {
		t.Error("opened with a credential that the guard has moved past")
	}
	after, _ := s.open()
	// An older fold settles nothing.
	s.must(s.Settle(t.Context(), old))
	if s.valid(before) || !s.valid(after) {
		t.Error("an older fold moved the guard back")
	}
	if _, _, opened := s.tryOpen(old); opened {
		t.Error("an older fold let an older credential in")
	}
}

// TestDeactivation ends sessions for good: they do not come back with the account.
func TestDeactivation(t *testing.T) {
	s := newSuite(t)
	active := s.account
	token, _ := s.open()
	s.account.Status, s.account.Revision = domain.StatusDeactivated, 6
	s.must(s.Settle(t.Context(), s.account))
	s.must(s.Settle(t.Context(), active)) // an older fold
	if s.valid(token) {
		t.Error("valid after the deactivation")
	}
	if _, _, opened := s.tryOpen(active); opened {
		t.Error("opened for a deactivated account")
	}
	deactivated := s.account
	s.account.Status, s.account.Revision = domain.StatusActive, 7
	s.must(s.Settle(t.Context(), s.account))
	if s.valid(token) {
		t.Error("an ended session came back")
	}
	token, _ = s.open()
	s.must(s.Settle(t.Context(), deactivated)) // an older fold
	if !s.valid(token) {
		t.Error("an older fold ended a session")
	}
}

func TestPending(t *testing.T) {
	s := newSuite(t)
	token, _ := s.open()
	s.pending(2)
	for range 2 { // nothing has been appended: each check folds
		if !s.valid(token) {
			t.Error("refused, although nothing has changed")
		}
	}
	if s.folds != 2 {
		t.Errorf("%d folds", s.folds)
	}
	// An event that changes nothing has passed the mark: it is cleared.
	s.account.Revision = 2
	if valid := s.validTwice(token); !valid || s.folds != 3 {
		t.Errorf("valid %v after %d folds", valid, s.folds)
	}
	// The change was appended, and its command has died.
	s.pending(3)
	s.account.Revision, s.account.CredentialRevision = 3, 3
	if valid := s.validTwice(token); valid || s.folds != 4 {
		t.Errorf("valid %v after %d folds", valid, s.folds)
	}
	fresh, _ := s.open()
	s.pending(9)
	s.must(s.Settle(t.Context(), s.account))
	if !s.valid(fresh) || s.folds != 5 {
		t.Error("a fold that has not reached the mark cleared it")
	}
	s.Account = func(context.Context, uuid.UUID) (domain.Account, error) { return domain.Account{}, errOutage }
	checked, err := s.Check(t.Context(), fresh)
	if !errors.Is(err, errOutage) || checked.Session.ID != uuid.Nil {
		t.Errorf("the stream is out of reach: %+v, %v", checked, err)
	}
}

var errOutage = errors.New("out of reach")

// TestSettleForgetsTries when, and only when, there is a new credential.
func TestSettleForgetsTries(t *testing.T) {
	s := newSuite(t)
	s.open()
	left := func() (rows int) {
		s.must(s.pool.QueryRow(t.Context(), `SELECT count(*) FROM app.throttles`).Scan(&rows))
		return rows
	}
	s.exec(`SELECT app.reserve_try('sign-in:' || $1, 10, '1 minute'), app.reserve_try('sign-in:other', 10, '1 minute')`, s.account.AddressClaim)
	s.account.Revision = 4
	s.must(s.Settle(t.Context(), s.account))
	if left() != 2 {
		t.Error("forgotten without a new credential")
	}
	s.account.Revision, s.account.CredentialRevision = 5, 5
	s.must(s.Settle(t.Context(), s.account))
	if left() != 1 {
		t.Error("not forgotten, or somebody else's too")
	}
}

func TestSaw(t *testing.T) {
	s := newSuite(t)
	token, id := s.open()
	for _, step := range []struct{ saw, want int64 }{{7, 7}, {3, 7}} {
		s.must(s.Saw(t.Context(), id, step.saw))
		checked, err := s.Check(t.Context(), token)
		s.must(err)
		if checked.Session.AccountRevision != step.want {
			t.Errorf("saw %d, keeps %d", step.saw, checked.Session.AccountRevision)
		}
	}
}

func TestPurge(t *testing.T) {
	s := newSuite(t)
	s.open() // of an older credential
	s.account.Revision, s.account.CredentialRevision = 5, 5
	_, over := s.open()
	_, idle := s.open()
	token, _ := s.open()
	s.exec(`UPDATE app.sessions SET expires_at = now() - interval '1 second' WHERE session_id = $1`, over)
	s.exec(`UPDATE app.sessions SET last_seen_at = now() - interval '1 hour' WHERE session_id = $1`, idle)
	for i, want := range []int64{3, 0} {
		if n, err := s.Purge(t.Context()); n != want || err != nil || !s.valid(token) {
			t.Errorf("call %d purged %d, %v", i, n, err)
		}
	}
	s.IdleLifetime = 0
	s.exec(`UPDATE app.sessions SET last_seen_at = now() - interval '1 hour'`)
	if n, err := s.Purge(t.Context()); n != 0 || err != nil || !s.valid(token) {
		t.Errorf("without a limit purged %d, %v", n, err)
	}
}
