package app_test

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

const securityDoc = "../../docs/security.md"

var (
	testName  = regexp.MustCompile("`((?:Test|Fuzz|Benchmark)[A-Z][A-Za-z0-9]*)`")
	testFunc  = regexp.MustCompile(`(?m)^func ((?:Test|Fuzz|Benchmark)[A-Za-z0-9_]+)\(`)
	docRow    = regexp.MustCompile(`(?m)^\| ([CA][0-9]+) \| ([^|]+) \| ([^|]+) \| ([^|]*) \|$`)
	bothWays  = []string{"C2", "C24", "C33", "C34", "C35", "C55"}
	rowsAsked = map[string]int{"C": 114, "A": 66}
)

// testsOfTheTree lists every test function there is.
func testsOfTheTree(t *testing.T) map[string]bool {
	t.Helper()
	found := map[string]bool{}
	err := filepath.WalkDir("../..", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || !strings.HasSuffix(path, "_test.go") {
			return err
		}
		content, err := os.ReadFile(path)
		for _, match := range testFunc.FindAllStringSubmatch(string(content), -1) {
			found[match[1]] = true
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if !found["TestSecurityRowsHaveTests"] {
		t.Fatal("the wrong tree was searched")
	}
	return found
}

// TestSecurityRowsHaveTests: every row of the checklist and of the attacks is there
// once, and names tests that exist, or is open with a reason.
func TestSecurityRowsHaveTests(t *testing.T) {
	content, err := os.ReadFile(securityDoc)
	if err != nil {
		t.Fatal(err)
	}
	tests := testsOfTheTree(t)
	for _, name := range testName.FindAllStringSubmatch(string(content), -1) {
		if !tests[name[1]] {
			t.Errorf("there is no %s", name[1])
		}
	}
	seen := map[string]int{}
	for _, row := range docRow.FindAllStringSubmatch(string(content), -1) {
		id, cell, remark := row[1], row[3], row[4]
		seen[id]++
		if open := cell == "**open**"; open && len(remark) < 20 || !open && !testName.MatchString(cell) {
			t.Errorf("%s has neither tests nor a reason: %s %s", id, cell, remark)
		}
		running, stopped, twice := strings.Cut(cell, "; stopped: ")
		if both := twice && strings.HasPrefix(running, "projector running: ") && testName.MatchString(running) && testName.MatchString(stopped); both != slices.Contains(bothWays, id) {
			t.Errorf("%s: %s", id, cell)
		}
	}
	wantAutomated(t, docRow.FindAllStringSubmatch(string(content), -1))
	for letter, n := range rowsAsked {
		for i := range n {
			if id := fmt.Sprint(letter, i+1); seen[id] != 1 {
				t.Errorf("%s is there %d times", id, seen[id])
			}
		}
	}
}

// automatedAtLeast is the share of the rows of each table, in percent, for which a
// test stands that runs with all others. A benchmark measures and asserts nothing.
const automatedAtLeast = 95

func wantAutomated(t *testing.T, rows [][]string) {
	t.Helper()
	all, automated := map[string]int{}, map[string]int{}
	for _, row := range rows {
		letter := row[1][:1]
		all[letter]++
		if strings.Contains(row[3], "`Test") || strings.Contains(row[3], "`Fuzz") {
			automated[letter]++
		} else {
			t.Logf("not automated: %s %s", row[1], row[2])
		}
	}
	for letter, n := range all {
		t.Logf("%s: %d of %d rows are automated", letter, automated[letter], n)
		if automated[letter]*100 < n*automatedAtLeast {
			t.Errorf("%s: %d of %d rows are automated, less than %d %%", letter, automated[letter], n, automatedAtLeast)
		}
	}
}
