package app_test

import (
	"debug/buildinfo"
	"encoding/json"
	"os/exec"
	"path/filepath"
	"runtime/debug"
	"slices"
	"testing"
)

// TestBillNamesEveryModule builds the program and holds the bill that it prints against
// the list that the linker wrote into it.
func TestBillNamesEveryModule(t *testing.T) {
	binary := filepath.Join(t.TempDir(), "daybook")
	if output, err := exec.Command("go", "build", "-o", binary, "daybook").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, output)
	}
	printed, err := exec.Command(binary, "version", "--sbom").Output()
	if err != nil {
		t.Fatal(err)
	}
	var bill struct {
		BOMFormat, SpecVersion string
		Components             []struct{ Name, Version, PURL string }
	}
	if err := json.Unmarshal(printed, &bill); err != nil || bill.BOMFormat != "CycloneDX" || bill.SpecVersion == "" {
		t.Fatalf("%v: %s", err, printed)
	}
	info, err := buildinfo.ReadFile(binary)
	if err != nil || len(info.Deps) < 20 {
		t.Fatalf("the binary names %d modules: %v", len(info.Deps), err)
	}
	for _, module := range append(info.Deps, &debug.Module{Path: "std", Version: info.GoVersion}) {
		if !slices.ContainsFunc(bill.Components, func(c struct{ Name, Version, PURL string }) bool {
			return c.Name == module.Path && c.Version == module.Version && c.PURL == "pkg:golang/"+module.Path+"@"+module.Version
		}) {
			t.Errorf("%s %s is not in the bill", module.Path, module.Version)
		}
	}
}
