package api

import (
	"net/http"
	"regexp"

	"github.com/gorilla/mux"
)

// mediaKey is the shape of the keys that we make.
var mediaKey = regexp.MustCompile(`^[a-z]{1,32}/[A-Za-z0-9_-]{1,64}$`)

// pictureTypes are the content types in which pictures are stored.
var pictureTypes = map[string]bool{"image/jpeg": true, "image/png": true, "image/gif": true, "image/webp": true}

// media serves a thumbnail under its unguessable name. Whatever the object is,
// a browser shows it as a picture or not at all.
func (s *Server) media(w http.ResponseWriter, r *http.Request) error {
	key := mux.Vars(r)["key"]
	if !mediaKey.MatchString(key) {
		return errNoSuchPath
	}
	body, contentType, err := s.Media(r.Context(), key)
	if err != nil {
		return err
	}
	if !pictureTypes[contentType] {
		return errNoSuchPath
	}
	header := w.Header()
	header.Set("Content-Security-Policy", "default-src 'none'; sandbox; frame-ancestors 'none'")
	header.Set("Content-Disposition", "inline")
	// Pages of the frontend's origin embed it.
	header.Set("Cross-Origin-Resource-Policy", "cross-origin")
	// A key never names other bytes; the day bounds how long an erased picture
	// outlives its erasure, in the viewer's own cache only.
	header.Set("Cache-Control", "private, max-age=86400, immutable")
	return write(w, http.StatusOK, contentType, body)
}
