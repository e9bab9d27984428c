package smtp

import (
	"bytes"
	"embed"
	"html/template"
	"net/http"
)

//go:embed page
var files embed.FS

var pages = template.Must(template.ParseFS(files, "page/*.html"))

// pagePolicy allows nothing but our own style sheet, frame and forms.
const pagePolicy = "default-src 'none'; style-src 'self'; frame-src 'self'; form-action 'self'; " +
	"base-uri 'none'; frame-ancestors 'none'"

// mailPolicy puts a mail's HTML into an origin of its own, without scripts and
// without requests to anywhere. A link opens a new, ordinary window: it is what a
// mail is for.
const mailPolicy = "sandbox allow-popups allow-popups-to-escape-sandbox; default-src 'none'; img-src data:; " +
	"style-src 'unsafe-inline'; form-action 'none'; base-uri 'none'; frame-ancestors 'self'"

// pageLimit is the number of messages on the page; the JSON has all.
const pageLimit = 200

func (s *Server) listPage(w http.ResponseWriter, r *http.Request) {
	to := r.URL.Query().Get("to")
	messages, err := s.mailbox.newest(to, pageLimit)
	if err != nil {
		s.failed(w, err)
		return
	}
	s.show(w, "list.html", map[string]any{"To": to, "Messages": messages})
}

func (s *Server) messagePage(w http.ResponseWriter, r *http.Request) {
	message, err := s.mailbox.message(r.PathValue("id"))
	if err != nil {
		s.failed(w, err)
		return
	}
	s.show(w, "message.html", message)
}

func (s *Server) show(w http.ResponseWriter, name string, data any) {
	var page bytes.Buffer
	if err := pages.ExecuteTemplate(&page, name, data); err != nil {
		s.failed(w, err)
		return
	}
	w.Header().Set("Content-Security-Policy", pagePolicy)
	writePage(w, page.Bytes())
}

// messageHTML serves a mail's HTML as it came, for the frame of messagePage. The
// base element lets links leave the frame.
func (s *Server) messageHTML(w http.ResponseWriter, r *http.Request) {
	message, err := s.mailbox.message(r.PathValue("id"))
	if err != nil {
		s.failed(w, err)
		return
	}
	w.Header().Set("Content-Security-Policy", mailPolicy)
	writePage(w, []byte("<!doctype html><base target=\"_blank\">\n"+message.HTML))
}

func writePage(w http.ResponseWriter, page []byte) {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	_, _ = w.Write(page) // the client may have gone
}

// emptyFromPage is the page's button: a form without scripts cannot send DELETE.
func (s *Server) emptyFromPage(w http.ResponseWriter, r *http.Request) {
	if err := s.Clear(); err != nil {
		s.failed(w, err)
		return
	}
	http.Redirect(w, r, pagePath, http.StatusSeeOther)
}

func serveStyle(w http.ResponseWriter, r *http.Request) {
	http.ServeFileFS(w, r, files, "page/style.css")
}
