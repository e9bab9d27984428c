package domain

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// flow says which files make an event and which react to it.
type flow struct{ from, to []string }

// eventFlows reads the source: an event that is built is emitted there, one in a
// case is consumed there.
func eventFlows(t *testing.T) map[string]flow {
	t.Helper()
	flows := map[string]flow{}
	for _, dir := range []string{".", "../commands", "../projections", "../workers", "../internal/eventstore", "../internal/apitoken", "../internal/app", "../internal/audit"} {
		err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
			if err != nil || entry.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") || strings.Contains(path, "/node/") {
				return err
			}
			readFlows(t, path, flows)
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return flows
}

func readFlows(t *testing.T, path string, flows map[string]flow) {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), path, nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	place := strings.TrimPrefix(path, "../")
	if place == path {
		place = "domain/" + path
	}
	ast.Inspect(file, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.CaseClause:
			for _, expression := range n.List {
				if name, ok := eventNamed(expression); ok && !slices.Contains(flows[name].to, place) {
					flows[name] = flow{flows[name].from, append(flows[name].to, place)}
				}
			}
		case *ast.CompositeLit:
			emitted(flows, n.Type, place)
		case *ast.CallExpr:
			if len(n.Args) == 1 { // a conversion
				emitted(flows, n.Fun, place)
			}
		}
		return true
	})
}

func emitted(flows map[string]flow, expression ast.Expr, place string) {
	name, ok := eventNamed(expression)
	// What reads names an event by an empty one; only the write side makes any.
	reads := place == "domain/codec.go" || strings.HasPrefix(place, "projections/") || strings.HasPrefix(place, "workers/")
	if ok && !reads && !slices.Contains(flows[name].from, place) {
		flows[name] = flow{append(flows[name].from, place), flows[name].to}
	}
}

// eventNamed returns the event that an expression names, as X or domain.X.
func eventNamed(expression ast.Expr) (string, bool) {
	var name string
	switch e := expression.(type) {
	case *ast.Ident:
		name = e.Name
	case *ast.SelectorExpr:
		if pkg, ok := e.X.(*ast.Ident); ok && pkg.Name == "domain" {
			name = e.Sel.Name
		}
	}
	return name, slices.ContainsFunc(eventTypes, func(t eventType) bool { return t.zero.Name() == name })
}

// places lists files for the document.
func places(files []string, last ...string) string {
	if len(files)+len(last) == 0 {
		return "nothing yet"
	}
	quoted := make([]string, len(files))
	for i, file := range files {
		quoted[i] = "`" + file + "`"
	}
	slices.Sort(quoted)
	return strings.Join(append(quoted, last...), ", ")
}
