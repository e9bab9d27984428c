package pages

import (
	"crypto/sha256"
	"embed"
	"encoding/base64"
	"fmt"
	"html/template"
	"io"
	"path"
	"sync"
)

//go:embed templates/*.html
var templates embed.FS

//go:embed assets/*
var assets embed.FS

// Pages renders the pages. It may be used by many goroutines.
type Pages struct{ byName map[string]*template.Template }

// New parses the embedded pages; a template that does not parse panics, as it would in
// every build.
func New() *Pages {
	p := &Pages{byName: map[string]*template.Template{}}
	layout := template.Must(template.ParseFS(templates, "templates/layout.html"))
	entries, _ := templates.ReadDir("templates") // embedded: it is there
	for _, entry := range entries {
		name := entry.Name()
		if name == "layout.html" {
			continue
		}
		page := template.Must(template.Must(layout.Clone()).ParseFS(templates, "templates/"+name))
		p.byName[name[:len(name)-len(path.Ext(name))]] = page
	}
	return p
}

// Render writes the page. data is what its template shows.
func (p *Pages) Render(w io.Writer, name string, data any) error {
	page, ok := p.byName[name]
	if !ok {
		return fmt.Errorf("no page is called %q", name)
	}
	return page.ExecuteTemplate(w, "layout.html", data)
}

// File is an embedded file that pages load.
type File struct {
	ContentType string
	Body        []byte
	Tag         string // a strong ETag
}

// contentTypes are those of the assets. They are named here, because mime asks
// the machine.
var contentTypes = map[string]string{
	".js": "text/javascript; charset=utf-8", ".css": "text/css; charset=utf-8", ".svg": "image/svg+xml",
}

var files = sync.OnceValue(func() map[string]File {
	all := map[string]File{}
	entries, _ := assets.ReadDir("assets") // embedded: it is there
	for _, entry := range entries {
		body, _ := assets.ReadFile("assets/" + entry.Name())
		sum := sha256.Sum256(body)
		all[entry.Name()] = File{
			ContentType: contentTypes[path.Ext(entry.Name())], Body: body,
			Tag: `"` + base64.RawURLEncoding.EncodeToString(sum[:12]) + `"`,
		}
	}
	return all
})

// Asset returns the file of the name.
func Asset(name string) (File, bool) {
	file, ok := files()[name]
	return file, ok
}
