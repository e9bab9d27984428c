package api

import "net/http"

type health struct {
	Status string `json:"status"`
	Report any    `json:"report,omitempty"`
}

// healthz says that the process serves requests, whatever its backends do.
func (s *Server) healthz(w http.ResponseWriter, _ *http.Request) error {
	return show(w, health{Status: "ok"})
}

// readyz says whether requests can be served to their end.
func (s *Server) readyz(w http.ResponseWriter, r *http.Request) error {
	if s.Ready == nil {
		return errNoSuchPath
	}
	report, ready := s.Ready(r.Context())
	if !ready {
		return errNotReady.with(report)
	}
	return show(w, health{Status: "ready", Report: report})
}
