package postgres_test

import (
	"errors"
	"net/url"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"daybook/internal/postgres"
	"daybook/internal/testkit"
)

// as opens the database as the role.
func as(t *testing.T, server, role string) *pgxpool.Pool {
	t.Helper()
	pool, err := postgres.Open(t.Context(), postgres.Config{Setting: "test", URL: server, Role: role})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pool.Close)
	if worksAs, err := postgres.WorksAs(t.Context(), pool); err != nil || role != "" && worksAs != role {
		t.Fatalf("it works as %s, %v", worksAs, err)
	}
	return pool
}

// insufficientPrivilege is the SQLSTATE of what a role may not do.
const insufficientPrivilege = "42501"

func refusedBy(t *testing.T, pool *pgxpool.Pool, statement string) bool {
	t.Helper()
	_, err := pool.Exec(t.Context(), statement)
	pgErr, ok := errors.AsType[*pgconn.PgError](err)
	if err != nil && (!ok || pgErr.Code != insufficientPrivilege) {
		t.Errorf("%s: %v", statement, err)
	}
	return err != nil
}

// TestRolesMayNot tries what each role must be refused.
func TestRolesMayNot(t *testing.T) {
	server := testkit.DatabaseURL(t)
	for role, statements := range map[string][]string{
		postgres.RoleAPI: {
			"INSERT INTO readmodel.presence VALUES (gen_random_uuid(), gen_random_uuid(), now(), 'x')", "UPDATE readmodel.accounts SET staff = true", "DELETE FROM readmodel.activity",
			"SELECT FROM readmodel_next.accounts", "SELECT * FROM analytics.sign_ups_per_day",
			"DELETE FROM vault.data_keys", "UPDATE vault.data_keys SET wrapped = ''", "INSERT INTO vault.erased_subjects VALUES (gen_random_uuid())", "DELETE FROM vault.credentials",
			"UPDATE app.checkpoints SET position = 0", "DELETE FROM app.checkpoints", "DELETE FROM app.parked_accounts",
			"DELETE FROM app.river_job", "UPDATE app.river_job SET state = 'completed'", "UPDATE app.river_job SET args = '{}'", "SELECT FROM app.river_leader",
			"INSERT INTO app.api_tokens (token_id, token_hash, name, scopes, expires_at) VALUES (gen_random_uuid(), '', '', '{}', now())", "UPDATE app.api_tokens SET scopes = '{}'", "UPDATE app.api_tokens SET revoked_at = NULL",
		},
		postgres.RoleProjector: {
			"SELECT phc FROM vault.credentials", "SELECT vault.erase(gen_random_uuid(), NULL, NULL, now())", "SELECT FROM vault.farewells", "DELETE FROM vault.data_keys", "INSERT INTO vault.data_keys (subject, master_key_id, wrapped) VALUES (gen_random_uuid(), '', '')",
			"SELECT FROM app.sessions", "DELETE FROM app.sessions", "SELECT FROM app.throttles", "SELECT FROM app.api_tokens", "SELECT FROM app.devices", "SELECT FROM app.account_guards",
			"INSERT INTO app.river_job (kind) VALUES ('x')", "SELECT FROM app.river_job", "SELECT * FROM analytics.sign_ups_per_day",
		},
		postgres.RoleWorker: {
			"UPDATE readmodel.accounts SET email = ''", "INSERT INTO readmodel.presence VALUES (gen_random_uuid(), gen_random_uuid(), now(), 'x')",
			"SELECT phc, token_hash FROM vault.credentials, app.api_tokens", "SELECT FROM app.api_tokens", "UPDATE vault.credentials SET phc = ''",
			"INSERT INTO vault.credentials VALUES (gen_random_uuid(), gen_random_uuid(), 0, '')", "DELETE FROM vault.data_keys", "SELECT * FROM analytics.sign_ups_per_day",
		},
		postgres.RoleVault: {
			"SELECT FROM app.sessions", "SELECT FROM app.checkpoints", "SELECT FROM readmodel.accounts", "DELETE FROM vault.data_keys", "DELETE FROM vault.erased_subjects",
		},
		postgres.RoleService: {
			"DELETE FROM vault.data_keys", "INSERT INTO vault.erased_subjects VALUES (gen_random_uuid())", "UPDATE app.api_tokens SET scopes = '{}'", "SELECT * FROM analytics.sign_ups_per_day",
		},
	} {
		t.Run(role, func(t *testing.T) {
			pool := as(t, server, role)
			for _, statement := range append(statements,
				"CREATE TABLE app.mine ()", "CREATE TABLE public.mine ()", "CREATE SCHEMA mine", "CREATE FUNCTION app.mine() RETURNS int LANGUAGE sql AS 'SELECT 1'",
				"CREATE OR REPLACE FUNCTION app.reserve_try(try_key text, try_limit integer, try_window interval) RETURNS boolean LANGUAGE sql AS 'SELECT true'",
				"ALTER TABLE app.sessions ADD COLUMN mine int", "ALTER TABLE readmodel.accounts DISABLE TRIGGER ALL", "DROP TABLE readmodel.accounts", "DROP SCHEMA vault CASCADE",
				"TRUNCATE readmodel.accounts", "TRUNCATE app.sessions", "TRUNCATE vault.data_keys", "TRUNCATE app.checkpoints", "CREATE INDEX ON app.sessions (created_at)",
				"CREATE ROLE mine", "ALTER ROLE daybook_api SUPERUSER", "COPY app.store TO PROGRAM 'cat'", "SELECT pg_read_file('PG_VERSION')",
				"SELECT pg_reload_conf()",
			) {
				if !refusedBy(t, pool, statement) {
					t.Errorf("%s may: %s", role, statement)
				}
			}
		})
	}
}

// TestRolesMay is the test of the test: the statements are refused for want of a right,
// not for what they are.
func TestRolesMay(t *testing.T) {
	server := testkit.DatabaseURL(t)
	for role, statements := range map[string][]string{
		postgres.RoleAPI: {
			"SELECT FROM readmodel.accounts", "DELETE FROM app.sessions", "SELECT phc FROM vault.credentials", "UPDATE app.api_tokens SET last_used_at = now()",
			"SELECT app.reserve_try('x', 1, '1 s')", "SELECT vault.erase(gen_random_uuid(), NULL, NULL, now())", "DELETE FROM app.devices",
		},
		postgres.RoleProjector: {
			"DELETE FROM readmodel.accounts", "SELECT FROM vault.data_keys", "SELECT account_id FROM vault.credentials", "SELECT FROM vault.erasures_seen", "UPDATE app.checkpoints SET epoch = nextval('app.epochs')", "DELETE FROM readmodel_previous.accounts",
		},
		postgres.RoleWorker:  {"DELETE FROM readmodel.activity", "DELETE FROM vault.credentials", "DELETE FROM app.river_job", "DELETE FROM app.sessions"},
		postgres.RoleVault:   {"SELECT FROM vault.credentials", "SELECT FROM vault.data_keys"},
		postgres.RoleService: {"DELETE FROM readmodel.accounts", "DELETE FROM app.river_job", "DELETE FROM app.sessions", "UPDATE vault.credentials SET phc = ''"},
	} {
		owner := as(t, server, "")
		if _, err := owner.Exec(t.Context(), `CREATE TABLE IF NOT EXISTS readmodel_previous.accounts (LIKE readmodel.accounts)`); err != nil {
			t.Fatal(err)
		}
		pool := as(t, server, role)
		for _, statement := range statements {
			if refusedBy(t, pool, statement) {
				t.Errorf("%s may not: %s", role, statement)
			}
		}
	}
}

// TestWithoutTheRole: who may not take the role works as before, and can tell.
func TestWithoutTheRole(t *testing.T) {
	server := testkit.DatabaseURL(t)
	owner := as(t, server, "")
	if _, err := owner.Exec(t.Context(), `DO $$ BEGIN CREATE ROLE daybook_test_plain LOGIN; EXCEPTION WHEN duplicate_object THEN NULL; END $$`); err != nil {
		t.Fatal(err)
	}
	for _, role := range []string{postgres.RoleAPI, "daybook_no_such_role"} {
		pool, err := postgres.Open(t.Context(), postgres.Config{Setting: "test", URL: withUser(t, server, "daybook_test_plain"), Role: role})
		if err != nil {
			t.Fatal(err)
		}
		defer pool.Close()
		if worksAs, err := postgres.WorksAs(t.Context(), pool); err != nil || worksAs != "daybook_test_plain" {
			t.Errorf("it works as %s, %v", worksAs, err)
		}
	}
}

// TestGrantsAreRepeatable: what is not theirs is taken away again.
func TestGrantsAreRepeatable(t *testing.T) {
	server := testkit.DatabaseURL(t)
	owner := as(t, server, "")
	if _, err := owner.Exec(t.Context(), `GRANT SELECT ON vault.credentials TO daybook_projector; CREATE TABLE app.later ()`); err != nil {
		t.Fatal(err)
	}
	if err := postgres.Migrate(t.Context(), owner); err != nil {
		t.Fatal(err)
	}
	if projector := as(t, server, postgres.RoleProjector); !refusedBy(t, projector, "SELECT phc FROM vault.credentials") || !refusedBy(t, projector, "SELECT FROM app.later") {
		t.Error("the projector kept what it must not have")
	}
	if refusedBy(t, as(t, server, postgres.RoleAPI), "SELECT FROM app.later") {
		t.Error("the API has nothing of a table that came later")
	}
}

func withUser(t *testing.T, server, user string) string {
	t.Helper()
	parsed, err := url.Parse(server)
	if err != nil {
		t.Fatal(err)
	}
	parsed.User = url.User(user)
	return parsed.String()
}
