package postgres

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// putServer puts executables that print a version where a package would.
func putServer(t *testing.T, directory, version string) {
	t.Helper()
	script := fmt.Sprintf("#!/bin/sh\necho 'postgres (PostgreSQL) %s'\n", version)
	if err := os.MkdirAll(directory, 0o755); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"initdb", "postgres"} {
		if err := os.WriteFile(filepath.Join(directory, name), []byte(script), 0o755); err != nil {
			t.Fatal(err)
		}
	}
}

func majors(found []Binaries) []int {
	var all []int
	for _, b := range found {
		all = append(all, b.Major)
	}
	return all
}

func TestDiscoveryOrdersByNumberAndSkipsOld(t *testing.T) {
	t.Setenv("PATH", "/bin")
	base := t.TempDir()
	for directory, version := range map[string]string{
		"9": "9.6.24", "13": "13.2", "14": "14.1 (Debian 14.1-1)", "18": "18beta1", "100": "100.0", "damaged": "?",
	} {
		putServer(t, filepath.Join(base, directory, "bin"), version)
	}
	if err := os.Remove(filepath.Join(base, "18", "bin", "initdb")); err != nil {
		t.Fatal(err)
	}
	putServer(t, filepath.Join(base, "17", "bin"), "17.4")
	got := majors(installedIn([]string{filepath.Join(base, "*", "bin")}))
	if want := []int{100, 17, 14}; !slices.Equal(got, want) {
		t.Errorf("found %v, not %v", got, want)
	}
}

func TestPathComesFirstWithSymlinksResolved(t *testing.T) {
	base := t.TempDir()
	putServer(t, filepath.Join(base, "15", "bin"), "15.1")
	putServer(t, filepath.Join(base, "16", "bin"), "16.1")
	links := filepath.Join(base, "links")
	if err := os.Mkdir(links, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(filepath.Join(base, "15", "bin", "initdb"), filepath.Join(links, "initdb")); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", links+":/bin")
	found := installedIn([]string{filepath.Join(base, "1*", "bin")})
	if want := []int{15, 16}; !slices.Equal(majors(found), want) {
		t.Fatalf("found %v, not %v", majors(found), want)
	}
	if found[0].Postgres != filepath.Join(base, "15", "bin", "postgres") {
		t.Errorf("the server is %s", found[0].Postgres)
	}
}

func TestGlobsAreWellFormed(t *testing.T) {
	for _, pattern := range globs {
		if _, err := filepath.Match(pattern, "/"); err != nil {
			t.Errorf("%s: %v", pattern, err)
		}
	}
}

func TestClusterChoosesItsOwnVersion(t *testing.T) {
	base := t.TempDir()
	putServer(t, filepath.Join(base, "bin"), "15.1")
	t.Setenv("PATH", filepath.Join(base, "bin")+":/bin")
	chosen, err := chooseBinaries(Binaries{}, 15, "/data")
	if err != nil || chosen.Major != 15 {
		t.Errorf("chose %v, %v", chosen, err)
	}
	if _, err := chooseBinaries(Binaries{Major: 16}, 15, "/data"); err == nil {
		t.Error("a named server of another version was accepted")
	}
}

// packageManager is an executable that records how it was called.
func packageManager(t *testing.T, names ...string) (record string) {
	t.Helper()
	base := t.TempDir()
	record = filepath.Join(base, "record")
	script := "#!/bin/sh\necho \"${0##*/} $* $DEBIAN_FRONTEND\" >> " + record + "\n"
	for _, name := range names {
		if err := os.WriteFile(filepath.Join(base, name), []byte(script), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv("PATH", base)
	return record
}

func TestInstallRunsThePackageManager(t *testing.T) {
	record := packageManager(t, "apt-get", "sudo")
	var out bytes.Buffer
	if err := Install(context.Background(), &out); err != nil {
		t.Fatal(err)
	}
	content, err := os.ReadFile(record)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(content), "install -y --no-install-recommends postgresql noninteractive") {
		t.Errorf("it was called as %q", content)
	}
	if said := out.String(); !strings.HasPrefix(said, "No Postgres server of version 14 or newer is installed.") || !strings.Contains(said, "apt-get update\n") {
		t.Errorf("the user was told %q", said)
	}
}

// TestInstallNamesTheCommand: who may not install is told in one sentence what is
// missing and what to run.
func TestInstallNamesTheCommand(t *testing.T) {
	record := packageManager(t, "apt-get", "sudo")
	sudo := filepath.Join(filepath.Dir(record), "sudo")
	if err := os.WriteFile(sudo, []byte("#!/bin/sh\nexit 1\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	for _, asks := range []bool{true, false} { // for a password; or there is no sudo at all
		var out bytes.Buffer
		err := install(context.Background(), &out, 1000)
		const command = "apt-get update && apt-get install -y --no-install-recommends postgresql;"
		if !errors.Is(err, ErrCannotInstall) || !strings.Contains(err.Error(), "no Postgres server") || !strings.Contains(err.Error(), command) || strings.Contains(err.Error(), "\n") || out.Len() > 0 {
			t.Errorf("sudo that asks %v: it says %v, and printed %q", asks, err, out.String())
		}
		_ = os.Remove(sudo)
	}
	if _, err := os.Stat(record); err == nil {
		t.Error("the package manager was called")
	}
}

func TestInstallCommand(t *testing.T) {
	packageManager(t, "apk", "brew")
	for uid, want := range map[int]string{0: "apk add --no-cache postgresql", 1000: "sudo -n apk add --no-cache postgresql"} {
		if got := strings.Join(installCommand(uid)[0], " "); got != want {
			t.Errorf("uid %d: %q, not %q", uid, got, want)
		}
	}
	packageManager(t, "brew")
	if installCommand(0) != nil {
		t.Error("root was sent to Homebrew, which refuses root")
	}
	if got := strings.Join(installCommand(501)[0], " "); got != "brew install postgresql@17" {
		t.Errorf("got %q", got)
	}
	packageManager(t)
	if err := Install(context.Background(), &bytes.Buffer{}); !errors.Is(err, ErrCannotInstall) {
		t.Errorf("Install returned %v", err)
	}
}
