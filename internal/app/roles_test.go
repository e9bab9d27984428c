package app_test

import (
	"context"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"daybook/internal/postgres"
	"daybook/internal/testkit"
)

// TestEachProcessWithItsOwnLogin goes through a person's journey with processes that
// connect to Postgres as somebody who is nothing but a member of their role, and the
// vault by another login still.
func TestEachProcessWithItsOwnLogin(t *testing.T) {
	d := &deployment{tb: t, events: fileAt(t)}
	d.backends(t)
	d.store.start()
	d.run("migrate")
	vault := d.login(postgres.RoleVault)
	roles := map[string]*member{
		postgres.RoleAPI: d.role("API", "api"), postgres.RoleProjector: d.role("projector", "projector"),
		postgres.RoleWorker: d.role("worker", "worker", "email"),
	}
	roles["housekeeper"] = d.role("worker", "worker", "housekeeping")
	for role, m := range roles {
		if role == "housekeeper" {
			role = postgres.RoleWorker
		}
		m.env = append(m.env, "DAYBOOK_DATABASE_URL_FILE="+secretFile(t, d.login(role)), "DAYBOOK_VAULT_URL_FILE="+secretFile(t, vault))
		m.start()
	}
	d.apis[0] = roles[postgres.RoleAPI]

	const email = "roles@example.com"
	d.join(0, email)
	d.at(0, "").do(http.MethodPost, d.link(email, subjectActivation), nil, "")
	b := d.at(0, "")
	id, err := uuid.Parse(b.signIn(email, goodPassword).text("id"))
	if err != nil {
		t.Fatal(err)
	}
	want(t, b.patch(map[string]string{"first_name": "Bea"}, nil), http.StatusOK, "first_name", "Bea")
	d.awaitView(id, "Bea", 20*time.Second)
	want(t, b.post("/users/password-change/request-password-change/", map[string]any{"email": email}), http.StatusOK, "", "")
	token := b.openReset(d.link(email, subjectReset))
	want(t, b.changeByReset(token, "SomeOther123456"), http.StatusOK, "", "")
	want(t, b.signIn(email, "SomeOther123456"), http.StatusOK, "first_name", "Bea")
	want(t, b.erase(map[string]any{"password": "SomeOther123456"}), http.StatusOK, "", "")
	testkit.Await(t, 20*time.Second, "the last mail and the end of the erasure", func() bool {
		var left int
		if err := d.pool.QueryRow(t.Context(), `SELECT (SELECT count(*) FROM vault.data_keys WHERE subject = $1) + (SELECT count(*) FROM vault.farewells)
			+ (SELECT count(*) FROM readmodel.accounts WHERE id = $1 AND status <> 'erased') + (SELECT count(*) FROM vault.credentials WHERE account_id = $1)`, id).Scan(&left); err != nil {
			t.Fatal(err)
		}
		return left == 0
	})
	for role, m := range roles {
		if said := m.output.String(); strings.Contains(said, "permission denied") || strings.Contains(said, "least privilege") {
			t.Errorf("%s: %s", role, said)
		}
	}
}

// login makes a login that is a member of the role and returns the database's URL for it.
func (d *deployment) login(role string) string {
	d.tb.Helper()
	name := "login_" + strings.ReplaceAll(uuid.NewString(), "-", "")
	if _, err := d.pool.Exec(d.tb.Context(), "CREATE ROLE "+name+" LOGIN PASSWORD 'x' IN ROLE "+role); err != nil {
		d.tb.Fatal(err)
	}
	d.tb.Cleanup(func() {
		if _, err := d.pool.Exec(context.Background(), "DROP ROLE "+name); err != nil {
			d.tb.Error(err)
		}
	})
	parsed, err := url.Parse(d.pool.Config().ConnString())
	if err != nil {
		d.tb.Fatal(err)
	}
	parsed.User = url.UserPassword(name, "x")
	return parsed.String()
}
