package deployments_test

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// TestImage: the image is built by one release of Go, not older than the module
// asks for, is static, and its last stage has nothing but the program, which nobody
// in particular runs.
func TestImage(t *testing.T) {
	content, err := os.ReadFile("Dockerfile")
	if err != nil {
		t.Fatal(err)
	}
	stages := strings.Split("\n"+string(content), "\nFROM ")[1:]
	if len(stages) != 2 {
		t.Fatalf("%d stages", len(stages))
	}
	build, final := stages[0], stages[1]
	module := read(t, "..", "go.mod")
	wanted := regexp.MustCompile(`(?m)^go (\d+\.\d+)`).FindStringSubmatch(module)[1]
	if !regexp.MustCompile(`^golang:` + regexp.QuoteMeta(wanted) + `\.\d+-\w+ AS build\n`).MatchString(build) {
		t.Errorf("it is built by %.40q, the module wants Go %s", build, wanted)
	}
	if !strings.Contains(build, "CGO_ENABLED=0 GOTOOLCHAIN=local go build -trimpath -o /out/daybook .") {
		t.Error("the program is not built statically")
	}
	for _, line := range []string{"USER 65532:65532", `ENTRYPOINT ["/usr/local/bin/daybook"]`, "COPY --from=build /out/daybook /usr/local/bin/daybook"} {
		if !slices.Contains(strings.Split(final, "\n"), line) {
			t.Errorf("the image lacks %q", line)
		}
	}
	if !strings.HasPrefix(final, "scratch\n") || strings.Contains(final, "\nRUN ") {
		t.Errorf("the last stage is not empty: %.40q", final)
	}
}

// TestImageHoldsNoSecret: the build context leaves out the made secrets and the
// data of a run at the same place.
func TestImageHoldsNoSecret(t *testing.T) {
	ignored := strings.Split(read(t, "..", ".dockerignore"), "\n")
	for _, path := range []string{"/deployments/secrets/", "/.daybook/"} {
		if !slices.Contains(ignored, path) {
			t.Errorf("%s is part of the build context", path)
		}
	}
}
