package app_test

import (
	"fmt"
	"io"
	"os"
	"strings"
	"testing"

	"daybook/internal/app"
)

const readme = "../../README.md"

// TestReadmeListsSettings keeps the README's table equal to the settings;
// DAYBOOK_UPDATE=1 writes it.
func TestReadmeListsSettings(t *testing.T) {
	content, err := os.ReadFile(readme)
	if err != nil {
		t.Fatal(err)
	}
	const begin, end = "<!-- settings -->\n", "<!-- /settings -->"
	before, rest, found := strings.Cut(string(content), begin)
	_, after, closed := strings.Cut(rest, end)
	if !found || !closed {
		t.Fatal("the README has no place for the settings")
	}
	wanted := before + begin + settingsTable() + end + after
	if wanted == string(content) {
		return
	}
	if os.Getenv("DAYBOOK_UPDATE") == "" {
		t.Fatal("the README's settings are not those of the program; run with DAYBOOK_UPDATE=1")
	}
	if err := os.WriteFile(readme, []byte(wanted), 0o644); err != nil {
		t.Fatal(err)
	}
}

func settingsTable() string {
	var table strings.Builder
	table.WriteString("\n| variable | meaning | default |\n|---|---|---|\n")
	for _, row := range app.SettingsTable() {
		standard := row.Default
		if standard != "" {
			standard = "`" + standard + "`"
		}
		fmt.Fprintf(&table, "| `%s` | %s | %s |\n", row.Name, strings.ReplaceAll(row.Help, "|", `\|`), standard)
	}
	table.WriteString("\n")
	return table.String()
}

func TestSecretFiles(t *testing.T) {
	path := fileAt(t)
	if err := os.WriteFile(path, []byte("a:secret\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("DAYBOOK_MASTER_KEYS_FILE", path)
	t.Setenv("DAYBOOK_MASTER_KEYS", "")
	if err := app.LoadSecretFiles(); err != nil || os.Getenv("DAYBOOK_MASTER_KEYS") != "a:secret" {
		t.Errorf("%v, %q", err, os.Getenv("DAYBOOK_MASTER_KEYS"))
	}
	if err := app.LoadSecretFiles(); err == nil {
		t.Error("both forms at once were accepted")
	}
}

func TestConfigShowsNoSecret(t *testing.T) {
	t.Setenv("DAYBOOK_DATABASE_URL", "postgres://ann:hidden@db/x")
	t.Setenv("DAYBOOK_TRUSTED_PROXIES", "10.0.0.0/8,192.168.0.0/16")
	var out strings.Builder
	if err := app.Main(t.Context(), []string{"config"}, &out, &out); err != nil {
		t.Fatal(err)
	}
	if strings.Contains(out.String(), "hidden") || !strings.Contains(out.String(), "DAYBOOK_DATABASE_URL=[set]") || !strings.Contains(out.String(), "DAYBOOK_CONTRACT=hardened") {
		t.Error(out.String())
	}
	for _, line := range []string{"DAYBOOK_ALLOW=", "DAYBOOK_TRUSTED_PROXIES=10.0.0.0/8,192.168.0.0/16", "DAYBOOK_PUBLIC_URL=http://localhost:8080"} {
		if !strings.Contains(out.String(), line+"\n") {
			t.Errorf("there is no line %s in %s", line, out.String())
		}
	}
}

// TestFlagsAreNamedAsVariables, so that whoever knows the one knows the other.
func TestFlagsAreNamedAsVariables(t *testing.T) {
	var help strings.Builder
	if err := app.Main(t.Context(), []string{"--help"}, &help, &help); err != nil {
		t.Fatal(err)
	}
	for _, row := range app.SettingsTable() {
		flag := strings.ToLower(strings.ReplaceAll(strings.TrimPrefix(row.Name, "DAYBOOK_"), "_", "-"))
		if !strings.Contains(help.String(), "--"+flag+"=") && !strings.Contains(help.String(), "--[no-]"+flag) {
			t.Errorf("%s has no flag --%s", row.Name, flag)
		}
	}
}

// TestConfigSaysWhatIsWrong shows the settings all the same.
func TestConfigSaysWhatIsWrong(t *testing.T) {
	var out strings.Builder
	err := app.Main(t.Context(), []string{"config", "--reset-lifetime=0s"}, &out, &out)
	if err == nil || !strings.Contains(err.Error(), "DAYBOOK_RESET_LIFETIME") || !strings.Contains(out.String(), "DAYBOOK_RESET_LIFETIME=0s\n") {
		t.Errorf("it says %v after %s", err, out.String())
	}
	err = app.Main(t.Context(), []string{"config", "--public-url=localhost"}, &out, &out)
	if err == nil || strings.Count(err.Error(), "DAYBOOK_") != 1 {
		t.Errorf("of one wrong setting it says %v", err)
	}
}

// TestHelp: the word does what the flag does, of a subcommand too, and who errs is led
// to it.
func TestHelp(t *testing.T) {
	for _, spelling := range [][2]string{{"--help", "help"}, {"audit export --help", "help audit export"}} {
		var said [2]string
		for i, line := range spelling {
			var out strings.Builder
			if err := app.Main(t.Context(), strings.Fields(line), &out, &out); err != nil {
				t.Fatalf("%s: %v", line, err)
			}
			said[i] = out.String()
		}
		if said[0] == "" || said[0] != said[1] {
			t.Errorf("%v differ: %q and %q", spelling, said[0], said[1])
		}
	}
	if err := app.Main(t.Context(), []string{"--nothing"}, io.Discard, io.Discard); err == nil || !strings.Contains(err.Error(), "daybook --help") {
		t.Errorf("it says %v", err)
	}
}
