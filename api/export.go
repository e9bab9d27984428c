package api

import (
	"bufio"
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"time"

	"daybook/internal/session"
	"daybook/internal/throttle"
	"daybook/projections"
)

const (
	exportBuffer = 32 << 10
	// exportStall is how long a reader of an export may stand still.
	exportStall = 30 * time.Second
)

// export hands a person everything that is held of them, as a file. It streams beyond
// the time that a request may usually take; what breaks it off breaks the connection
// off, so that nobody takes a part for the whole.
func (s *Server) export(w http.ResponseWriter, r *http.Request, in session.Checked) error {
	if s.Export == nil {
		return errNoSuchPath
	}
	if r.Method == http.MethodHead {
		return s.nothing(w, r)
	}
	try := throttle.Try{Key: "export of " + in.Session.AccountID.String(), Limit: s.Config.Limits.Export}
	if err := s.reserve(r.Context(), w, try); err != nil {
		return err
	}
	document, err := s.Export.Open(r.Context(), in.Session.AccountID)
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Content-Disposition", `attachment; filename="daybook-export.json"`)
	controller := http.NewResponseController(w)
	_ = controller.SetReadDeadline(time.Time{}) // the request has been read
	out := bufio.NewWriterSize(patient{w, controller, exportStall}, exportBuffer)
	err = document.Write(exchangeOf(r).connection, out, s.user(projections.AccountOf(document.Account)), time.Now())
	if err == nil {
		err = out.Flush()
	}
	if err == nil {
		return nil
	}
	s.logBrokenExport(r, err)
	panic(http.ErrAbortHandler)
}

// logBrokenExport keeps the client's address, which failures of the connection name,
// out of the log.
func (s *Server) logBrokenExport(r *http.Request, err error) {
	reason := slog.Any("error", err)
	if _, network := errors.AsType[net.Error](err); network || errors.Is(err, context.Canceled) {
		reason = slog.String("error", "the client has gone")
	}
	s.Logger.InfoContext(r.Context(), "an export was broken off", slog.String("request_id", exchangeOf(r).id.String()), reason)
}
