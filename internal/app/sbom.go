package app

import (
	"encoding/json"
	"errors"
	"io"
	"runtime/debug"
)

// bill is a CycloneDX 1.5 bill of materials (https://cyclonedx.org/docs/1.5/json/): the
// modules that this very binary was linked of, as the linker wrote them into it.
type bill struct {
	Format      string      `json:"bomFormat"`
	SpecVersion string      `json:"specVersion"`
	Version     int         `json:"version"`
	Metadata    billAbout   `json:"metadata"`
	Components  []component `json:"components"`
}

type billAbout struct {
	Component component `json:"component"`
}

type component struct {
	Type    string `json:"type"`
	Name    string `json:"name"`
	Version string `json:"version"`
	// PURL is the package URL, by which vulnerability databases know the module.
	PURL string `json:"purl,omitempty"`
}

// writeBill writes the bill of the running binary.
func writeBill(out io.Writer) error {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return errors.New("this binary was built without its list of modules")
	}
	b := bill{
		Format: "CycloneDX", SpecVersion: "1.5", Version: 1,
		Metadata:   billAbout{component{Type: "application", Name: info.Main.Path, Version: Version()}},
		Components: []component{{Type: "library", Name: "std", Version: info.GoVersion, PURL: "pkg:golang/std@" + info.GoVersion}},
	}
	for _, module := range info.Deps {
		if module.Replace != nil {
			module = module.Replace
		}
		b.Components = append(b.Components, component{"library", module.Path, module.Version, "pkg:golang/" + module.Path + "@" + module.Version})
	}
	encoder := json.NewEncoder(out)
	encoder.SetIndent("", "  ")
	return encoder.Encode(b)
}
