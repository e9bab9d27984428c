package app_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/hex"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"daybook/internal/testkit"
)

// TestCanaries drives the journey with values that occur nowhere else, then
// searches every store and the log for them: the event store's file must hold no
// personal datum, and nothing but the mail may hold a secret.
func TestCanaries(t *testing.T) {
	collector := testkit.StartCollector(t)
	settings := settings(t)
	settings.MetricsAddr = "127.0.0.1:0"
	s := start(t, settings)
	personal := []string{"canary-address", "Canaryfirst", "Canarylast", "canary-github", "+2348145359073", "1987-06-05", "Canaryagent"}
	secrets := []string{"CanaryPassword1", "CanaryPassword2"}
	const email = "canary-address@example.com"

	b := s.browser()
	agent := []string{"User-Agent", "Canaryagent/1.0"}
	b.post("/users/register/", map[string]any{"email": email, "first_name": "Canaryfirst", "last_name": "Canarylast", "password": secrets[0]}, agent...)
	link := s.awaitMail(email, subjectActivation, 1).link(t)
	secrets = append(secrets, tokenOf(link))
	b.activate(link)
	want(t, b.post("/users/login/", map[string]any{"email": email, "password": secrets[0]}, agent...), http.StatusOK, "", "")
	want(t, b.signIn(email, secrets[0]), http.StatusOK, "", "")
	secrets = append(secrets, b.session)
	want(t, b.patch(map[string]string{
		"github_link": "https://github.com/canary-github", "phone_number": "+2348145359073", "birth_date": "1987-06-05",
	}, nil, agent...), http.StatusOK, "", "")
	second := b.requestReset(email, 1)
	secrets = append(secrets, tokenOf(s.awaitMail(email, subjectReset, 1).link(t)), strings.SplitN(second, ":", 2)[1])
	want(t, b.changeByReset(second, secrets[1]), http.StatusOK, "", "")
	s.awaitMail(email, subjectChanged, 1)
	const moved = "canary-moved@example.org"
	personal = append(personal, "canary-moved")
	want(t, b.signIn(email, secrets[1]), http.StatusOK, "", "")
	secrets = append(secrets, b.session)
	want(t, b.askAddress(moved, secrets[1]), http.StatusOK, "", "")
	address := s.awaitMail(moved, subjectNewAddress, 1).link(t)
	secrets = append(secrets, tokenOf(address))
	b.get(address)
	wantRedirect(t, b.do(http.MethodPost, address, nil, ""), s.addressConfirmed())
	s.awaitMail(email, subjectAddressChanged, 1)
	// What a client can put into a request beside its body.
	requested := []string{"canary-path", "canary-query", "canary-referer", "canary-state"}
	b.do(http.MethodGet, "/nowhere/canary-path?x=canary-query", nil, "", "Referer", "https://canary-referer.example/", "Tracestate", "x=canary-state", "Traceparent", "00-"+clientTrace+"-"+clientSpan+"-01")
	testkit.Await(t, 10*time.Second, "the last span", func() bool { return strings.Contains(collector.Raw(), "GET unmatched") })

	searchEvents(t, filepath.Join(settings.DataDir, "events.db"), append(personal, secrets...))
	searchTree(t, filepath.Join(settings.DataDir, "objects"), append(personal, secrets...))
	for where, text := range map[string]string{"log": s.logs.String(), "spans": collector.Raw(), "metrics": s.metrics()} {
		searchText(t, where, text, slices.Concat(personal, secrets, requested, []string{uidOf(link)}))
		if !strings.Contains(text, "/users/register/confirm/{uidb64}/{token}/") {
			t.Errorf("%s does not tell of the link: the wrong text was searched", where)
		}
	}
	searchDatabase(t, settings.DatabaseURL, personal, secrets)
}

// tokenOf returns the last part of a link's path.
func tokenOf(path string) string {
	parts := strings.Split(strings.Trim(path, "/"), "/")
	return parts[len(parts)-1]
}

// uidOf returns the part of a link's path that names the account, as it stands
// there: where it is found, a path was recorded.
func uidOf(path string) string {
	parts := strings.Split(strings.Trim(path, "/"), "/")
	return parts[len(parts)-2]
}

// spellings are the forms in which a value could lie somewhere.
func spellings(value string) []string {
	return []string{value, hex.EncodeToString([]byte(value)), base64.StdEncoding.EncodeToString([]byte(value)), base64.RawURLEncoding.EncodeToString([]byte(value))}
}

func searchText(t *testing.T, where, text string, values []string) {
	t.Helper()
	if len(text) == 0 {
		t.Fatalf("%s is empty: nothing was searched", where)
	}
	for _, value := range values {
		for _, spelling := range spellings(value) {
			if strings.Contains(strings.ToLower(text), strings.ToLower(spelling)) {
				t.Errorf("%s contains %q", where, value)
			}
		}
	}
}

// searchEvents searches the file of a store and its log.
func searchEvents(t *testing.T, path string, values []string) {
	t.Helper()
	var content []byte
	for _, suffix := range []string{"", ".log0", ".log1"} {
		part, err := os.ReadFile(path + suffix)
		if err != nil {
			t.Fatal(err)
		}
		content = append(content, part...)
	}
	if !bytes.Contains(content, []byte("ProfileUpdated")) {
		t.Fatalf("%s has no ProfileUpdated: the wrong file was searched", path)
	}
	searchText(t, path, string(content), values)
}

func searchTree(t *testing.T, root string, values []string) {
	t.Helper()
	err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		content, err := os.ReadFile(path)
		if err == nil && len(content) > 0 {
			searchText(t, path, string(content), values)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// searchDatabase looks at every row of every table. Read models may hold
// personal data; nothing may hold a secret.
func searchDatabase(t *testing.T, url string, personal, secrets []string) {
	t.Helper()
	ctx := context.Background()
	conn, err := pgx.Connect(ctx, url)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(ctx) }()
	rows, err := conn.Query(ctx, `SELECT table_schema, table_name FROM information_schema.tables
		WHERE table_type = 'BASE TABLE' AND table_schema IN ('app', 'vault', 'readmodel')`)
	if err != nil {
		t.Fatal(err)
	}
	type table struct{ Schema, Name string }
	tables, err := pgx.CollectRows(rows, pgx.RowToStructByPos[table])
	if err != nil || len(tables) < 10 {
		t.Fatalf("%d tables: %v", len(tables), err)
	}
	for _, found := range tables {
		name := pgx.Identifier{found.Schema, found.Name}.Sanitize()
		var content string
		if err := conn.QueryRow(ctx, `SELECT coalesce(string_agg(t::text, ' '), '-') FROM `+name+` t`).Scan(&content); err != nil {
			t.Fatal(err)
		}
		searchText(t, name, content, secrets)
		if found.Schema != "readmodel" {
			searchText(t, name, content, personal)
		}
	}
}
