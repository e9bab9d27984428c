package api

import (
	"bytes"
	"net/http"
	"net/url"
	"strings"

	"github.com/gorilla/mux"

	"daybook/api/pages"
)

// pageData is what a built-in page shows.
type pageData struct {
	Reason  string // why somebody was sent here
	Mailbox bool   // there is a development mailbox to look into
	LogIn   string // where to log in
}

// page shows a built-in page. What it shows of the query is compared with
// sentences of ours, so that nobody can put words into our mouth by a link.
func (s *Server) page(name string) handlerFunc {
	return func(w http.ResponseWriter, r *http.Request) error {
		shown := pageData{Mailbox: s.Mailbox != nil, LogIn: s.Config.frontend() + "/auth/login"}
		if r.URL.Query().Get("reason") == linkRefused {
			shown.Reason = linkRefused
		}
		return s.render(w, name, shown)
	}
}

// render writes a page with a content policy that lets it load our own script
// and style, show thumbnails, and send forms to us.
func (s *Server) render(w http.ResponseWriter, name string, data any) error {
	var body bytes.Buffer
	if err := s.pages.Render(&body, name, data); err != nil {
		return err
	}
	w.Header().Set("Content-Security-Policy", s.Config.pagePolicy())
	w.Header().Set("Cross-Origin-Opener-Policy", "same-origin")
	return write(w, http.StatusOK, "text/html; charset=utf-8", body.Bytes())
}

// pagePolicy names the frontend as a target of forms too, because browsers apply
// form-action to the redirect that answers a form.
func (c Config) pagePolicy() string {
	formTargets := "'self'"
	if frontend, err := originOf(c.frontend()); err == nil {
		formTargets += " " + frontend
	}
	pictures := "'self'"
	if media, err := originOf(c.MediaURL); err == nil {
		pictures += " " + media
	}
	return strings.Join([]string{
		"default-src 'none'", "script-src 'self'", "style-src 'self'", "connect-src 'self'",
		"img-src " + pictures, "form-action " + formTargets, "base-uri 'none'", "frame-ancestors 'none'",
	}, "; ")
}

// start is the address without a path.
func (s *Server) start(w http.ResponseWriter, _ *http.Request) error {
	if s.Config.FrontendURL != "" {
		return redirect(w, s.Config.FrontendURL+"/")
	}
	return redirect(w, s.Config.PublicURL+"/auth/login")
}

// asset serves what the pages load.
func (s *Server) asset(w http.ResponseWriter, r *http.Request) error {
	name, err := url.PathUnescape(mux.Vars(r)["name"])
	if err != nil {
		return errNoSuchPath
	}
	asset, ok := pages.Asset(name)
	if !ok {
		return errNoSuchPath
	}
	header := w.Header()
	header.Set("Cache-Control", "no-cache")
	header.Set("ETag", asset.Tag)
	if strings.HasPrefix(asset.ContentType, "image/") {
		header.Set("Cross-Origin-Resource-Policy", "cross-origin") // the series' image
	}
	if r.Header.Get("If-None-Match") == asset.Tag {
		w.WriteHeader(http.StatusNotModified)
		return nil
	}
	return write(w, http.StatusOK, asset.ContentType, asset.Body)
}
