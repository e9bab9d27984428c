package deployments_test

import (
	"context"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/alecthomas/kong"

	"daybook/internal/app"
	"daybook/internal/eventstore"
	"daybook/internal/messaging"
	"daybook/internal/objectstore"
	"daybook/internal/postgres"
	"daybook/internal/vault"
)

// makeSecrets runs the script into a directory of the test's own.
func makeSecrets(t *testing.T) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "secrets")
	runScript(t, dir)
	return dir
}

func runScript(t *testing.T, dir string) {
	t.Helper()
	if output, err := exec.Command("./make-secrets.sh", dir).CombinedOutput(); err != nil {
		t.Fatalf("make-secrets.sh: %v: %s", err, output)
	}
}

func read(t *testing.T, path ...string) string {
	t.Helper()
	content, err := os.ReadFile(filepath.Join(path...))
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(content))
}

// TestSecretsAreMadeOnce: the second run changes nothing, each value is another,
// containers may read the files and other users of the machine may not.
func TestSecretsAreMadeOnce(t *testing.T) {
	dir := makeSecrets(t)
	before := map[string]string{}
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range entries {
		before[entry.Name()] = read(t, dir, entry.Name())
		if info, err := entry.Info(); err != nil || info.Mode().Perm() != 0o444 {
			t.Errorf("%s: %v %v", entry.Name(), info.Mode(), err)
		}
	}
	if info, err := os.Stat(dir); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("directory: %v %v", info.Mode(), err)
	}
	runScript(t, dir)
	other := makeSecrets(t)
	for name, value := range before {
		if read(t, dir, name) != value {
			t.Errorf("%s was made anew", name)
		}
		if name != "minio_user" && read(t, other, name) == value {
			t.Errorf("%s is the same elsewhere", name)
		}
	}
}

var variable = regexp.MustCompile(`\$\{(\w+)(:?-)([^}]*)\}`)

// interpolate replaces ${NAME:-default} and ${NAME-default} as Compose does when
// the shell has no such variables.
func interpolate(t *testing.T, value string) string {
	t.Helper()
	value = variable.ReplaceAllString(value, "$3")
	if strings.Contains(value, "$") {
		t.Fatalf("cannot interpolate %q", value)
	}
	return value
}

// environment is what a service of the compose file sets for Daybook, with the
// made secrets in place of the mounted ones.
func environment(t *testing.T, s service, secrets string) map[string]string {
	t.Helper()
	set := map[string]string{}
	for name, value := range s.Environment {
		set[name] = strings.Replace(interpolate(t, value), "/run/secrets", secrets, 1)
	}
	return set
}

// load reads the settings from an environment that has these variables and no
// other of Daybook's.
func load(t *testing.T, set map[string]string) app.Settings {
	t.Helper()
	for _, row := range app.SettingsTable() {
		for _, name := range []string{row.Name, row.Name + "_FILE"} {
			value, ok := set[name]
			t.Setenv(name, value) // puts the old one back at the end
			if !ok {
				if err := os.Unsetenv(name); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
	if err := app.LoadSecretFiles(); err != nil {
		t.Fatal(err)
	}
	var s app.Settings
	parser, err := kong.New(&s)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := parser.Parse(nil); err != nil {
		t.Fatal(err)
	}
	return s
}

// TestEverySettingIsKnown holds each DAYBOOK_ name against the program's table. A
// file is accepted for a secret only, which the program itself tells: it reads it.
func TestEverySettingIsKnown(t *testing.T) {
	var known []string
	for _, row := range app.SettingsTable() {
		known = append(known, row.Name)
	}
	c, secrets := readCompose(t), makeSecrets(t)
	for name := range roles {
		set := environment(t, c.Services[name], secrets)
		load(t, set)
		for variable := range set {
			setting := strings.TrimSuffix(variable, "_FILE")
			if !slices.Contains(known, setting) {
				t.Errorf("%s sets %s, which Daybook does not know", name, variable)
			}
			if setting != variable && os.Getenv(setting) != read(t, set[variable]) {
				t.Errorf("%s sets %s, but Daybook does not read %s from a file", name, variable, setting)
			}
		}
	}
}

// TestProductionRules: every role starts in production with the exceptions that
// the compose file names, and not without.
func TestProductionRules(t *testing.T) {
	c, secrets := readCompose(t), makeSecrets(t)
	for name := range roles {
		set := environment(t, c.Services[name], secrets)
		s := load(t, set)
		if err := s.Check(); err != nil || s.Env != "production" {
			t.Errorf("%s in %s: %v", name, s.Env, err)
		}
		for _, exception := range s.Allow {
			less := s
			less.Allow = slices.DeleteFunc(slices.Clone(s.Allow), func(a string) bool { return a == exception })
			if less.Check() == nil {
				t.Errorf("%s: the exception %s is not needed", name, exception)
			}
		}
	}
}

// TestProductionBehindAProxy: with an https URL no exception is needed.
func TestProductionBehindAProxy(t *testing.T) {
	set := environment(t, readCompose(t).Services["api"], makeSecrets(t))
	set["DAYBOOK_PUBLIC_URL"], set["DAYBOOK_ALLOW"] = "https://accounts.example.com", ""
	s := load(t, set)
	if err := s.Check(); err != nil {
		t.Error(err)
	}
}

// TestServersAndDaybookAgree: each URL has the form that its part of Daybook takes,
// names a service, and holds the credentials that the service was given.
func TestServersAndDaybookAgree(t *testing.T) {
	c, secrets := readCompose(t), makeSecrets(t)
	s := load(t, environment(t, c.Services["worker"], secrets))
	for setting, value := range map[string]string{
		"event store": s.EventStoreURL, "database": s.DatabaseURL, "S3": s.S3URL, "SMTP": s.SMTPURL, "Kafka": s.KafkaURL,
	} {
		parsed, err := url.Parse(value)
		if err != nil || !slices.Contains(servers, parsed.Hostname()) {
			t.Errorf("%s is at %v, which is no service", setting, parsed.Hostname())
		}
	}
	for _, text := range []string{s.MasterKeys, s.TokenKeys, s.AddressKeys} {
		if _, err := vault.ParseKeySet(text); err != nil {
			t.Error(err)
		}
	}
	if _, err := objectstore.New(s.S3URL); err != nil {
		t.Error(err)
	}
	if _, err := messaging.ParseKafkaURL(s.KafkaURL); err != nil {
		t.Error(err)
	}
	client, err := eventstore.NewClient(eventstore.Config{URL: s.EventStoreURL})
	if err != nil {
		t.Fatal(err)
	}
	client.Close()
	wantUser(t, s.DatabaseURL, postgres.RoleWorker, read(t, secrets, "database_password_worker"))
	owner := load(t, environment(t, c.Services["migrate"], secrets))
	wantUser(t, owner.DatabaseURL, c.Services["postgres"].Environment["POSTGRES_USER"], read(t, secrets, "postgres_password"))
	wantUser(t, s.S3URL, read(t, secrets, "minio_user"), read(t, secrets, "minio_password"))
}

func wantUser(t *testing.T, address, user, password string) {
	t.Helper()
	parsed, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	if given, _ := parsed.User.Password(); parsed.User.Username() != user || given != password {
		t.Errorf("%s is not who the server knows", parsed.Redacted())
	}
}

// TestHealthChecksAreSubcommands: the program takes what the health checks and
// commands of the compose file say. With nobody listening a check must fail.
func TestHealthChecksAreSubcommands(t *testing.T) {
	c := readCompose(t)
	for name := range roles {
		if name == "migrate" {
			continue
		}
		arguments := c.Services[name].Healthcheck.Test[2:]
		t.Setenv("DAYBOOK_HTTP_ADDR", "127.0.0.1:1")
		t.Setenv("DAYBOOK_METRICS_ADDR", "127.0.0.1:1")
		var output strings.Builder
		err := app.Main(context.Background(), arguments, &output, &output)
		if err == nil || !strings.Contains(err.Error(), "does not answer") {
			t.Errorf("%s: %v: %v %s", name, arguments, err, output.String())
		}
	}
}
