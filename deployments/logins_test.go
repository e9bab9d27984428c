package deployments_test

import (
	"net/url"
	"os"
	"os/exec"
	"slices"
	"testing"

	"daybook/internal/postgres"
	"daybook/internal/testkit"
)

func TestMain(m *testing.M) { os.Exit(testkit.Main(m)) }

// TestEachRoleHasItsLogin: no role but migrate connects as the owner, and the script
// that Postgres runs makes the logins, also a second time and after a migration.
func TestEachRoleHasItsLogin(t *testing.T) {
	c, secrets := readCompose(t), makeSecrets(t)
	if given := c.Services["postgres"].Secrets; !slices.Contains(given, "database_password_api") {
		t.Errorf("Postgres is given %v", given)
	}
	psql, err := exec.LookPath("psql")
	if err != nil {
		t.Skip("there is no psql to run the script with")
	}
	database := testkit.DatabaseURL(t)
	server, err := url.Parse(database)
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		script := exec.Command("bash", "postgres-logins.sh")
		script.Env = append(os.Environ(), "SECRETS="+secrets, "POSTGRES_USER="+server.User.Username(), "POSTGRES_DB="+server.Path[1:],
			"PGHOST="+server.Query().Get("host"), "PGPORT="+server.Query().Get("port"))
		if output, err := script.CombinedOutput(); err != nil {
			t.Fatalf("%s: %v: %s", psql, err, output)
		}
	}
	for name, role := range map[string]string{
		"api": postgres.RoleAPI, "projector": postgres.RoleProjector, "worker": postgres.RoleWorker, "housekeeper": postgres.RoleWorker, "relay": postgres.RoleWorker,
	} {
		settings := load(t, environment(t, c.Services[name], secrets))
		own, err := url.Parse(settings.DatabaseURL)
		if err != nil || own.User.Username() != role {
			t.Fatalf("%s connects as %v, %v", name, own.User, err)
		}
		here := *server
		here.User = own.User
		pool, err := postgres.Open(t.Context(), postgres.Config{Setting: name, URL: here.String(), Role: role})
		if err != nil {
			t.Fatal(err)
		}
		defer pool.Close()
		if _, err := pool.Exec(t.Context(), "SELECT FROM app.checkpoints"); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if _, err := pool.Exec(t.Context(), "CREATE TABLE app.mine ()"); err == nil {
			t.Errorf("%s makes tables", name)
		}
	}
}
