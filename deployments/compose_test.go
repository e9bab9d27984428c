package deployments_test

import (
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"go.yaml.in/yaml/v3"
)

const composeFile = "../docker-compose.yml"

// compose is what the tests look at in a compose file.
type compose struct {
	Services map[string]service
	Networks map[string]struct{ Internal bool }
	Volumes  map[string]any
	Secrets  map[string]struct{ File string }
}

type service struct {
	Image       string
	Build       struct{ Context, Dockerfile string }
	Command     []string
	User        string
	Restart     string
	ReadOnly    bool     `yaml:"read_only"`
	CapDrop     []string `yaml:"cap_drop"`
	SecurityOpt []string `yaml:"security_opt"`
	Environment map[string]string
	Secrets     []string
	Networks    []string
	Ports       []string
	Volumes     []string
	DependsOn   map[string]struct{ Condition string } `yaml:"depends_on"`
	Healthcheck struct {
		Test              []string
		Interval, Timeout string
		StartPeriod       string `yaml:"start_period"`
		Retries           int
	}
}

// roles are the services that run Daybook itself, and their subcommands.
var roles = map[string]string{"migrate": "migrate", "api": "api", "projector": "projector", "worker": "worker email",
	"housekeeper": "worker housekeeping", "relay": "worker relay"}

// servers are the services that Daybook needs.
var servers = []string{"eventstore", "postgres", "minio", "kafka", "mailpit"}

func readYAML(t *testing.T, path string, into any) {
	t.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := yaml.Unmarshal(content, into); err != nil {
		t.Fatalf("%s: %v", path, err)
	}
}

func readCompose(t *testing.T) compose {
	t.Helper()
	var c compose
	readYAML(t, composeFile, &c)
	return c
}

func TestComposeFileFollowsTheSpecification(t *testing.T) {
	schema, err := jsonschema.NewCompiler().Compile("testdata/compose-spec.json")
	if err != nil {
		t.Fatal(err)
	}
	var document map[string]any
	readYAML(t, composeFile, &document)
	encoded, err := json.Marshal(document)
	if err != nil {
		t.Fatal(err)
	}
	instance, err := jsonschema.UnmarshalJSON(strings.NewReader(string(encoded)))
	if err != nil {
		t.Fatal(err)
	}
	if err := schema.Validate(instance); err != nil {
		t.Fatal(err)
	}
	document["services"].(map[string]any)["api"].(map[string]any)["helthcheck"] = map[string]any{}
	if schema.Validate(document) == nil {
		t.Error("the schema does not see a misspelt word")
	}
}

func TestEveryRoleAndServerIsThere(t *testing.T) {
	c := readCompose(t)
	wanted := slices.Sorted(slices.Values(append(slices.Collect(maps.Keys(roles)), servers...)))
	if got := slices.Sorted(maps.Keys(c.Services)); !slices.Equal(got, wanted) {
		t.Errorf("services are %v, want %v", got, wanted)
	}
	for name, command := range roles {
		s := c.Services[name]
		if got := strings.Join(s.Command, " "); got != command {
			t.Errorf("%s runs %q, want %q", name, got, command)
		}
		if s.Build.Dockerfile != "deployments/Dockerfile" || s.Build.Context != "." {
			t.Errorf("%s is built from %+v", name, s.Build)
		}
	}
}

// pinned is a tag that names one release: a date, or three numbers; Postgres has
// two since version 10.
var pinned = regexp.MustCompile(`^(postgres:\d+\.\d+|.+:v?\d+\.\d+\.\d+|.+:RELEASE\.\d{4}-\d\d-\d\dT[\d-]+Z)(-[a-z]+)?$`)

func TestServersArePinned(t *testing.T) {
	c := readCompose(t)
	for _, name := range servers {
		if image := c.Services[name].Image; !pinned.MatchString(image) {
			t.Errorf("%s: the image %q is not one release", name, image)
		}
	}
	for _, image := range []string{"postgres:latest", "postgres:17", "minio/minio", "eventstore/eventstore:24.10", "apache/kafka:3.9"} {
		if pinned.MatchString(image) {
			t.Errorf("%q counts as one release", image)
		}
	}
}

func TestEveryServiceIsCheckedForHealth(t *testing.T) {
	for name, s := range readCompose(t).Services {
		if name == "migrate" { // ends
			if s.Restart != "on-failure" || s.Healthcheck.Test != nil {
				t.Errorf("migrate must end and be repeated on failure only: %+v", s)
			}
			continue
		}
		h := s.Healthcheck
		if len(h.Test) < 2 || h.Test[0] != "CMD" || h.Interval == "" || h.Timeout == "" || h.StartPeriod == "" || h.Retries < 1 {
			t.Errorf("%s: health check %+v", name, h)
		}
		if s.Restart != "unless-stopped" {
			t.Errorf("%s: restart %q", name, s.Restart)
		}
	}
}

// TestStartOrder: every server is healthy before the migration, and the migration
// done before anything that needs it.
func TestStartOrder(t *testing.T) {
	c := readCompose(t)
	records := []string{"eventstore", "postgres", "minio"}
	for _, name := range records {
		if got := c.Services["migrate"].DependsOn[name].Condition; got != "service_healthy" {
			t.Errorf("migrate waits for %s to be %q", name, got)
		}
	}
	for name := range roles {
		if name == "migrate" {
			continue
		}
		if got := c.Services[name].DependsOn["migrate"].Condition; got != "service_completed_successfully" {
			t.Errorf("%s waits for migrate to be %q", name, got)
		}
		for _, server := range records {
			if got := c.Services[name].DependsOn[server].Condition; got != "service_healthy" {
				t.Errorf("%s waits for %s to be %q", name, server, got)
			}
		}
	}
	for name, s := range c.Services {
		for other := range s.DependsOn {
			if _, ok := c.Services[other]; !ok || slices.Contains(servers, name) {
				t.Errorf("%s waits for %s", name, other)
			}
		}
	}
}

// TestDaybookIsConfined: no root, nothing to write on, no capability.
func TestDaybookIsConfined(t *testing.T) {
	c := readCompose(t)
	for name := range roles {
		s := c.Services[name]
		if s.User != "65532:65532" || !s.ReadOnly || !slices.Equal(s.CapDrop, []string{"ALL"}) || !slices.Contains(s.SecurityOpt, "no-new-privileges:true") || len(s.Volumes) > 0 {
			t.Errorf("%s: %+v", name, s)
		}
	}
}

// TestServersAreReachedFromInsideOnly: what has no password of its own, or more
// rights than anybody needs, has no way out and no port; a published port is for
// this machine.
func TestServersAreReachedFromInsideOnly(t *testing.T) {
	c := readCompose(t)
	if !c.Networks["servers"].Internal {
		t.Error("the servers' network has a way out")
	}
	for name, s := range c.Services {
		if !slices.Contains(s.Networks, "servers") {
			t.Errorf("%s is not on the servers' network", name)
		}
		if slices.Contains(servers, name) && name != "mailpit" && len(s.Ports)+len(s.Networks) != 1 {
			t.Errorf("%s: ports %v, networks %v", name, s.Ports, s.Networks)
		}
		for _, port := range s.Ports {
			if !strings.HasPrefix(port, "127.0.0.1:") {
				t.Errorf("%s publishes %s to other machines", name, port)
			}
		}
	}
}

// TestNothingIsLostWithAContainer: each server keeps its data in a named volume.
// Mail is for looking at.
func TestNothingIsLostWithAContainer(t *testing.T) {
	c := readCompose(t)
	for _, name := range servers {
		if name != "mailpit" && len(c.Services[name].Volumes) == 0 {
			t.Errorf("%s has no volume", name)
		}
		for _, volume := range c.Services[name].Volumes {
			source, _, _ := strings.Cut(volume, ":")
			if _, ok := c.Volumes[source]; !ok {
				t.Errorf("%s: volume %s is not declared", name, volume)
			}
		}
	}
}

// TestSecretsAreFiles: what a service reads from /run/secrets is given to it, and
// made by the script, and no value in the file holds a password.
func TestSecretsAreFiles(t *testing.T) {
	c := readCompose(t)
	made := makeSecrets(t)
	for name, s := range c.Services {
		for variable, value := range s.Environment {
			if secret, ok := strings.CutPrefix(value, "/run/secrets/"); ok != strings.HasSuffix(variable, "_FILE") || ok && !slices.Contains(s.Secrets, secret) {
				t.Errorf("%s: %s=%s, given %v", name, variable, value, s.Secrets)
			}
			if strings.Contains(value, "@") && strings.Contains(value, "://") {
				t.Errorf("%s: %s holds a password", name, variable)
			}
		}
		for _, secret := range s.Secrets {
			if file := c.Secrets[secret].File; file != "./deployments/secrets/"+secret {
				t.Errorf("%s: secret %s is the file %q", name, secret, file)
			}
		}
	}
	for secret := range c.Secrets {
		if _, err := os.Stat(filepath.Join(made, secret)); err != nil {
			t.Errorf("the script does not make %s: %v", secret, err)
		}
	}
}
