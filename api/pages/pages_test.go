package pages

import (
	"bytes"
	"regexp"
	"strings"
	"testing"
)

type shown struct {
	Reason, FirstName, LastName string
	Mailbox                     bool
	Email, LogIn                string
}

// reference finds what a page loads or leads to.
var reference = regexp.MustCompile(`(?:src|href|action)="([^"]*)"`)

func TestPagesLoadOnlyFromHere(t *testing.T) {
	t.Parallel()
	pages := New()
	if len(pages.byName) < 10 {
		t.Fatalf("only %d pages", len(pages.byName))
	}
	for name := range pages.byName {
		html := render(t, pages, name, shown{"<script>", "<script>alert(1)</script>", `"'`, true, "<script>@example.com", "/auth/login"})
		if strings.Contains(html, "<script>") || strings.Contains(html, "<style") || strings.Contains(html, "style=") || regexp.MustCompile(`\son[a-z]+=`).MatchString(html) {
			t.Errorf("%s has inline script or style: %s", name, html)
		}
		if !strings.Contains(html, `<html lang="en">`) || strings.Count(html, "<h1") != 1 || !strings.Contains(html, "<title>") {
			t.Errorf("%s lacks language, title or heading", name)
		}
		for _, found := range reference.FindAllStringSubmatch(html, -1) {
			asset, isAsset := strings.CutPrefix(found[1], "/assets/")
			if _, ok := Asset(asset); isAsset && !ok || !strings.HasPrefix(found[1], "/") && found[1] != "#main" {
				t.Errorf("%s refers to %q", name, found[1])
			}
		}
	}
}

// TestEveryFieldHasALabel looks at every input that a person sees.
func TestEveryFieldHasALabel(t *testing.T) {
	t.Parallel()
	pages := New()
	for name := range pages.byName {
		html := render(t, pages, name, shown{})
		for _, input := range regexp.MustCompile(`<input[^>]*>`).FindAllString(html, -1) {
			id := regexp.MustCompile(`id="([^"]*)"`).FindStringSubmatch(input)
			if strings.Contains(input, "hidden") {
				continue
			}
			if id == nil || !strings.Contains(html, `<label for="`+id[1]+`"`) {
				t.Errorf("%s: %s has no label", name, input)
			}
		}
	}
}

func TestAssetsHaveTypes(t *testing.T) {
	t.Parallel()
	for name, file := range files() {
		if file.ContentType == "" || len(file.Body) == 0 || len(file.Tag) != 18 {
			t.Errorf("%s: %q %s", name, file.ContentType, file.Tag)
		}
		for _, foreign := range regexp.MustCompile(`https?://[^"'\s)]+`).FindAllString(string(file.Body), -1) {
			if foreign != "http://www.w3.org/2000/svg" { // a name, not an address
				t.Errorf("%s refers to %s", name, foreign)
			}
		}
	}
	if _, ok := Asset("../templates/layout.html"); ok {
		t.Error("a template is served")
	}
}

func TestUnknownPage(t *testing.T) {
	t.Parallel()
	if err := New().Render(&bytes.Buffer{}, "layout", nil); err == nil {
		t.Error("the layout alone is a page")
	}
}

func render(t *testing.T, pages *Pages, name string, data any) string {
	t.Helper()
	var html bytes.Buffer
	if err := pages.Render(&html, name, data); err != nil {
		t.Fatal(err)
	}
	return html.String()
}
