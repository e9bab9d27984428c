package deployments_test

import (
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// workflow is what the tests look at in the workflow of the public host.
type workflow struct {
	Jobs map[string]struct {
		Services map[string]struct{ Image, Options string }
		Env      map[string]string
		Steps    []struct{ Run string }
	}
}

// suites are the variables by which the tests take real servers; the README names
// them.
var suites = []string{"DAYBOOK_TEST_DATABASE_URL", "DAYBOOK_TEST_EVENTSTORE_URL", "DAYBOOK_TEST_KAFKA_BROKERS", "DAYBOOK_TEST_S3_URL"}

func TestContinuousIntegrationUsesTheRealServers(t *testing.T) {
	var w workflow
	readYAML(t, "../.github/workflows/ci.yml", &w)
	job, c := w.Jobs["test"], readCompose(t)
	if got := slices.Sorted(maps.Keys(job.Env)); !slices.Equal(got, suites) {
		t.Errorf("the suites run with %v, want %v", got, suites)
	}
	for name, server := range job.Services {
		if server.Image != c.Services[name].Image || !strings.Contains(server.Options, "--health-cmd") {
			t.Errorf("%s: %+v, in docker-compose.yml %s", name, server, c.Services[name].Image)
		}
	}
	var steps strings.Builder
	for _, step := range job.Steps {
		steps.WriteString(step.Run)
	}
	if len(job.Services) != 3 || !strings.Contains(steps.String(), c.Services["minio"].Image) || !strings.Contains(steps.String(), ".ci/run") {
		t.Errorf("services %v, steps %s", slices.Collect(maps.Keys(job.Services)), steps.String())
	}
}

// TestReadmeNamesTheVariables: what the workflow sets is what a reader is told.
func TestReadmeNamesTheVariables(t *testing.T) {
	content, err := os.ReadFile("../README.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range suites {
		if !strings.Contains(string(content), name) {
			t.Errorf("the README does not name %s", name)
		}
	}
}

// TestVulnerabilitiesAreLookedFor: by a pinned tool, in every run.
func TestVulnerabilitiesAreLookedFor(t *testing.T) {
	var w workflow
	readYAML(t, "../.github/workflows/ci.yml", &w)
	runs := false
	for _, step := range w.Jobs["vulnerabilities"].Steps {
		runs = runs || step.Run == "make vuln"
	}
	makefile, err := os.ReadFile("../Makefile")
	if err != nil {
		t.Fatal(err)
	}
	pinned := regexp.MustCompile(`\$\(GO\) run golang\.org/x/vuln/cmd/govulncheck@v\d+\.\d+\.\d+ `)
	if !runs || !pinned.Match(makefile) {
		t.Error("no run of the workflow looks for vulnerabilities with a pinned tool")
	}
}
