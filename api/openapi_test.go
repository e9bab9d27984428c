package api

import (
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
)

func loadDescription(t *testing.T) *openapi3.T {
	t.Helper()
	s := newService(t)
	w := s.do("GET", "/openapi.json", "")
	wantStatus(t, w, http.StatusOK)
	document, err := openapi3.NewLoader().LoadFromData(w.Body.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	return document
}

func TestDescriptionIsValid(t *testing.T) {
	t.Parallel()
	if err := loadDescription(t).Validate(t.Context(), openapi3.EnableExamplesValidation()); err != nil {
		t.Fatal(err)
	}
}

// TestEveryRouteIsDescribed compares the description with the table of routes,
// both ways. Pages and what they load are for people.
func TestEveryRouteIsDescribed(t *testing.T) {
	t.Parallel()
	described := map[string][]string{}
	for path, item := range loadDescription(t).Paths.Map() {
		described[path] = slices.Sorted(maps.Keys(item.Operations()))
	}
	forPeople := []string{"/", "/docs/", "/assets/{name}"}
	served := map[string][]string{}
	for _, r := range (&Server{}).routes() {
		if slices.Contains(forPeople, r.path) {
			continue
		}
		methods := slices.DeleteFunc(slices.Sorted(maps.Keys(r.methods)), func(m string) bool { return m == "HEAD" })
		served[strings.ReplaceAll(r.path, ":.+", "")] = methods
	}
	for path := range maps.Keys(served) {
		if !slices.Equal(served[path], described[path]) {
			t.Errorf("%s serves %v and is described with %v", path, served[path], described[path])
		}
	}
	for path := range described {
		if served[path] == nil {
			t.Errorf("%s is described and not served", path)
		}
	}
}

// TestEveryOperationDescribesItsFailures wants what any path may answer, and of
// every operation with a session the refusal without one.
func TestEveryOperationDescribesItsFailures(t *testing.T) {
	t.Parallel()
	for path, item := range loadDescription(t).Paths.Map() {
		for method, operation := range item.Operations() {
			if operation.Responses.Default() == nil && path != "/healthz" && path != "/openapi.json" {
				t.Errorf("%s %s: no default", method, path)
			}
			session := operation.Security != nil && len(*operation.Security) == 1
			if session != (operation.Responses.Value("401") != nil) {
				t.Errorf("%s %s: session %v", method, path, session)
			}
		}
	}
}

func TestSeries(t *testing.T) {
	t.Parallel()
	s := newService(t)
	for _, path := range []string{"/users/series", "/users/series/"} {
		w := s.do("GET", path, "")
		wantStatus(t, w, http.StatusOK)
		body := readAll(t, w.Body)
		if !strings.HasPrefix(body, `[{"id":"`) || !strings.Contains(body, `"image":"`+public+`/assets/daybook.svg"`) {
			t.Errorf("%s: %s", path, body)
		}
	}
	for _, content := range []string{
		``, `[]`, `{}`, `[{"id":"1","name":"a","image":"javascript:alert(1)"}]`, `[{"id":"1","name":"a","image":"//evil.example/x"}]`, `[{"id":"1","name":"a"}]`,
		`[{"id":"1","name":"a","image":"/a","articles":[{"id":"1","title":"t","url":"data:text/html,x"}]}]`,
	} {
		if series, err := parseSeries([]byte(content)); err == nil {
			t.Errorf("%s is read as %v", content, series)
		}
	}
}
