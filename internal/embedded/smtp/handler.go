package smtp

import (
	"encoding/json"
	"errors"
	"io/fs"
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
)

// Paths of the mailbox: the page, the list as JSON, and one message.
const (
	pagePath       = "/dev/mailbox/"
	messagesPath   = "/dev/mailbox/messages"
	emptyPath      = "/dev/mailbox/empty"
	stylePath      = "/dev/mailbox/style.css"
	oneMessagePath = "/dev/mailbox/messages/{id}"
	messageHTML    = "/dev/mailbox/messages/{id}/html"
)

// Handler serves, under absolute paths:
//
//	GET    /dev/mailbox/                  a page
//	GET    /dev/mailbox/messages?to=…     a JSON array of Message, newest first
//	DELETE /dev/mailbox/messages          empties the mailbox
//
// and the views that the page leads to. Errors are application/problem+json
// (RFC 9457) with the members code and error. A request with a Host that is not
// loopback (unless Config.AnyHost), or an unsafe one from another origin, gets 403.
func (s *Server) Handler() http.Handler {
	mux := http.NewServeMux()
	s.route(mux, pagePath+"{$}", map[string]http.HandlerFunc{"GET": s.listPage})
	s.route(mux, strings.TrimSuffix(pagePath, "/"), map[string]http.HandlerFunc{"GET": s.listPage})
	s.route(mux, messagesPath, map[string]http.HandlerFunc{"GET": s.listMessages, "DELETE": s.deleteMessages})
	s.route(mux, emptyPath, map[string]http.HandlerFunc{"POST": s.emptyFromPage})
	s.route(mux, oneMessagePath, map[string]http.HandlerFunc{"GET": s.messagePage})
	s.route(mux, messageHTML, map[string]http.HandlerFunc{"GET": s.messageHTML})
	s.route(mux, stylePath, map[string]http.HandlerFunc{"GET": serveStyle})
	mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) {
		problem(w, http.StatusNotFound, "not_found", "There is nothing at this address.")
	})
	sameOrigin := http.NewCrossOriginProtection()
	sameOrigin.SetDenyHandler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		problem(w, http.StatusForbidden, "cross_origin", "The mailbox takes no orders from another origin.")
	}))
	return s.guard(sameOrigin.Handler(mux))
}

// route serves the methods and answers 405 to all others.
func (s *Server) route(mux *http.ServeMux, path string, methods map[string]http.HandlerFunc) {
	var allowed []string
	for method, handler := range methods {
		mux.HandleFunc(method+" "+path, handler)
		allowed = append(allowed, method)
	}
	mux.HandleFunc(path, func(w http.ResponseWriter, _ *http.Request) {
		w.Header()["Allow"] = allowed
		problem(w, http.StatusMethodNotAllowed, "method_not_allowed", "This method is not allowed here.")
	})
}

func (s *Server) guard(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		header := w.Header()
		header.Set("Cache-Control", "no-store")
		header.Set("X-Content-Type-Options", "nosniff")
		header.Set("Referrer-Policy", "no-referrer")
		if !s.anyHost && !isLoopback(r.Host) {
			problem(w, http.StatusForbidden, "not_loopback", "The mailbox can be opened from this machine only.")
			return
		}
		next.ServeHTTP(w, r)
	})
}

func isLoopback(host string) bool {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	if strings.EqualFold(host, "localhost") {
		return true
	}
	address, err := netip.ParseAddr(strings.Trim(host, "[]"))
	return err == nil && address.IsLoopback()
}

func (s *Server) listMessages(w http.ResponseWriter, r *http.Request) {
	messages, err := s.Messages(r.URL.Query().Get("to"))
	if err != nil {
		s.failed(w, err)
		return
	}
	writeJSON(w, "application/json", http.StatusOK, messages)
}

func (s *Server) deleteMessages(w http.ResponseWriter, _ *http.Request) {
	if err := s.Clear(); err != nil {
		s.failed(w, err)
		return
	}
	writeJSON(w, "application/json", http.StatusOK, map[string]string{"message": "The mailbox is empty"})
}

func (s *Server) failed(w http.ResponseWriter, err error) {
	if errors.Is(err, fs.ErrNotExist) {
		problem(w, http.StatusNotFound, "not_found", "There is no such message.")
		return
	}
	s.logger.Error("mailbox not read", "error", err)
	problem(w, http.StatusInternalServerError, "internal", "The mailbox cannot be read.")
}

func problem(w http.ResponseWriter, status int, code, sentence string) {
	writeJSON(w, "application/problem+json", status, map[string]any{
		"type": "about:blank", "title": http.StatusText(status), "status": status, "code": code, "error": sentence,
	})
}

func writeJSON(w http.ResponseWriter, contentType string, status int, value any) {
	body, err := json.Marshal(value)
	if err != nil { // never: strings, numbers and times of this century
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", contentType)
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(status)
	_, _ = w.Write(body) // the client may have gone
}
