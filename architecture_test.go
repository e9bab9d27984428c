package main

import (
	"go/build"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// imports is the table of what each part of the house may import of daybook
// itself. Whatever is not listed is forbidden.
var imports = map[string][]string{
	"domain":                   {},
	"commands":                 {"domain"},
	"projections":              {"domain", "internal/messaging", "internal/pause", "internal/postgres", "internal/vault"},
	"api":                      {"api/pages", "commands", "domain", "internal/apitoken", "internal/audit", "internal/export", "internal/idempotency", "internal/postgres", "internal/session", "internal/telemetry", "internal/throttle", "internal/thumbnail", "projections"},
	"api/pages":                {},
	"workers/email":            {"domain", "internal/device", "internal/messaging", "internal/postgres", "internal/token", "internal/vault"},
	"workers/housekeeping":     {"commands", "domain", "internal/eventstore", "internal/objectstore", "internal/pause", "internal/postgres", "internal/vault"},
	"workers/relay":            {"domain", "internal/messaging", "internal/postgres"},
	"internal/session":         {"domain", "internal/device"},
	"internal/device":          {},
	"internal/apitoken":        {"domain"},
	"internal/audit":           {"domain", "internal/eventstore", "internal/pause", "internal/vault"},
	"internal/export":          {"domain", "internal/eventstore", "internal/session", "internal/vault"},
	"internal/idempotency":     {"domain"},
	"internal/password":        {"domain"},
	"internal/keyring":         {"domain", "internal/eventstore", "internal/vault"},
	"internal/token":           {"domain", "internal/vault"},
	"internal/vault":           {"domain"},
	"internal/pause":           {},
	"internal/postgres":        {},
	"internal/objectstore":     {},
	"internal/telemetry":       {},
	"internal/throttle":        {},
	"internal/thumbnail":       {},
	"internal/eventstore":      {"domain", "internal/pause", "internal/vault"},
	"internal/eventstore/node": {},
	"internal/messaging":       {"domain", "internal/eventstore", "internal/pause"},
	"internal/embedded":        {},
}

// libraries are used behind one seam each.
var libraries = map[string][]string{
	"github.com/EventStore/EventStore-Client-Go/v4/esdb": {"internal/eventstore", "internal/messaging"},
	"github.com/segmentio/kafka-go":                      {"internal/messaging"},
	"github.com/minio/minio-go/v7":                       {"internal/objectstore"},
	"github.com/gorilla/mux":                             {"api"},
	"go.etcd.io/bbolt":                                   {"internal/eventstore/node"},
	"github.com/prometheus/client_golang/prometheus":     {"internal/telemetry"},
	"go.opentelemetry.io/otel/sdk/trace":                 {"internal/telemetry"},
}

// pure are the only modules that the domain may use; none of them does I/O.
var pure = []string{"github.com/google/uuid", "golang.org/x/net/idna", "golang.org/x/text/unicode/norm", "github.com/nyaruka/phonenumbers"}

func TestImports(t *testing.T) {
	for path, imported := range packages(t) {
		for _, name := range imported {
			if own, ok := strings.CutPrefix(name, "daybook/"); ok && !mayImport(path, own) {
				t.Errorf("%s must not import %s", path, own)
			}
			if homes, ok := libraries[name]; ok && !within(path, homes) {
				t.Errorf("%s must not import %s: only %v may", path, name, homes)
			}
			if path == "domain" && strings.Contains(name, ".") && !slices.Contains(pure, name) {
				t.Errorf("domain must stay pure and not import %s", name)
			}
		}
	}
}

func mayImport(path, own string) bool {
	// The top, and what exists for tests only, may see everything.
	if path == "." || path == "internal/app" || path == "internal/testkit" || strings.HasPrefix(path, "internal/eventstore/node/") || strings.HasPrefix(path, "internal/eventstore/conformance") {
		return true
	}
	for part, allowed := range imports {
		if within(path, []string{part}) && (within(own, allowed) || within(own, []string{part})) {
			return true
		}
	}
	return false
}

func within(path string, homes []string) bool {
	return slices.ContainsFunc(homes, func(home string) bool { return path == home || strings.HasPrefix(path, home+"/") })
}

// packages lists what the code, tests aside, of every package imports.
func packages(t *testing.T) map[string][]string {
	t.Helper()
	found := map[string][]string{}
	err := filepath.WalkDir(".", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || !entry.IsDir() {
			return err
		}
		if name := entry.Name(); path != "." && (strings.HasPrefix(name, ".") || name == "testdata" || name == "bin") {
			return fs.SkipDir
		}
		if pkg, err := build.ImportDir(path, 0); err == nil {
			found[path] = pkg.Imports
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(found) < 10 {
		t.Fatalf("only %d packages found", len(found))
	}
	return found
}

func TestEveryPackageIsDocumented(t *testing.T) {
	for path := range packages(t) {
		pkg, err := build.ImportDir(path, 0)
		if err != nil {
			t.Fatal(err)
		}
		if pkg.Doc == "" {
			t.Errorf("%s has no package comment", path)
		}
	}
}

// Files beyond this many lines hide what is in them.
const maxLines = 500

func TestFilesAreShort(t *testing.T) {
	err := filepath.WalkDir(".", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return err
		}
		if lines := countLines(t, path); lines > maxLines {
			t.Errorf("%s has %d lines, more than %d", path, lines, maxLines)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func countLines(t *testing.T, path string) int {
	t.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return strings.Count(string(content), "\n")
}
