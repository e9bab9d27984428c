package api

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"runtime"
	"runtime/debug"
	"strings"
	"time"

	"github.com/google/uuid"
)

// requestTimeout bounds a request from its first line to its answer, the
// arrival of its body included.
const requestTimeout = 15 * time.Second

// unmatched is the route of a request that has none.
const unmatched = "unmatched"

// exchange is what is known of the request at hand.
type exchange struct {
	id      uuid.UUID
	arrived time.Time
	route   string // template
	// connection ends with the client's connection, and not with the time that
	// a request may take.
	connection context.Context
}

type exchangeKey struct{}

// exchangeOf returns the exchange that surround has set up.
func exchangeOf(r *http.Request) *exchange {
	return r.Context().Value(exchangeKey{}).(*exchange)
}

// surround puts around the router what holds for every request, outermost
// first.
func (s *Server) surround(router http.Handler) http.Handler {
	return s.observe(s.secure(unambiguous(s.catch(s.crossOrigin(s.limit(router))))))
}

// observe gives the request its id and logs one line about it: the route's
// template, never the path or the query, both of which carry tokens.
func (s *Server) observe(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		x := &exchange{id: uuid.New(), arrived: time.Now(), route: unmatched, connection: r.Context()}
		recorder := &recorder{ResponseWriter: w}
		w.Header().Set("X-Request-Id", x.id.String())
		ctx, end := s.Telemetry.Begin(r, methodName(r.Method), x.id.String())
		r = r.WithContext(context.WithValue(ctx, exchangeKey{}, x))
		defer func() {
			s.Logger.InfoContext(r.Context(), "request", slog.String("method", methodName(r.Method)), slog.String("route", x.route),
				slog.Int("status", recorder.status), slog.Duration("duration", time.Since(x.arrived)), slog.String("request_id", x.id.String()))
			end(x.route, recorder.status)
		}()
		next.ServeHTTP(recorder, r)
	})
}

// methodName bounds what a client can write into the log.
func methodName(method string) string {
	switch method {
	case "GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS":
		return method
	}
	return "other"
}

// SecureHeader sets what the header of every answer says, on whichever port: it is no
// page, leads nowhere and is not kept.
func SecureHeader(header http.Header) {
	header.Set("X-Content-Type-Options", "nosniff")
	header.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
	header.Set("Referrer-Policy", "no-referrer")
	header.Set("Cache-Control", "no-store")
}

// secure sets the headers that every answer carries. Pages and media replace the
// content policy by their own.
func (s *Server) secure(next http.Handler) http.Handler {
	https := strings.HasPrefix(s.Config.PublicURL, "https://")
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		header := w.Header()
		SecureHeader(header)
		header.Set("Cross-Origin-Resource-Policy", "same-origin")
		if https {
			header.Set("Strict-Transport-Security", "max-age=31536000; includeSubDomains")
		}
		next.ServeHTTP(w, r)
	})
}

// unambiguous ends the connection with the answer where a proxy before us may have
// seen the end of the request elsewhere than net/http, which takes a length beside
// chunks, and chunks before HTTP/1.1, and shows neither (RFC 9112, 6.1: the connection
// must be closed). What looks like a next request could be another person's body.
func unambiguous(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if len(r.TransferEncoding) > 0 || !r.ProtoAtLeast(1, 1) {
			w.Header().Set("Connection", "close")
		}
		next.ServeHTTP(w, r)
	})
}

// catch turns a panic into a problem. The value is not logged, because it may
// hold what the request held; the stack says where.
func (s *Server) catch(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer func() {
			value := recover()
			if value == nil {
				return
			}
			if err, ok := value.(error); ok && errors.Is(err, http.ErrAbortHandler) {
				panic(value)
			}
			s.Logger.ErrorContext(r.Context(), "handler panicked", slog.String("kind", panicKind(value)), slog.String("stack", string(debug.Stack())))
			s.fail(w, r, fmt.Errorf("panic: %s", panicKind(value)))
		}()
		next.ServeHTTP(w, r)
	})
}

func panicKind(value any) string {
	if err, ok := value.(runtime.Error); ok {
		return err.Error()
	}
	return fmt.Sprintf("%T", value)
}

// limit bounds the time of a request. A body that trickles in is cut off: the
// deadline is the connection's, which the server sets anew for the next request.
func (s *Server) limit(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithTimeout(r.Context(), requestTimeout)
		defer cancel()
		// Not every ResponseWriter has a connection; then nothing trickles.
		_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(requestTimeout))
		next.ServeHTTP(w, r.WithContext(ctx))
	})
}

// recorder remembers the status, for the log and for failures that come too late
// to be answered.
type recorder struct {
	http.ResponseWriter
	status int
}

func (r *recorder) WriteHeader(status int) {
	if r.status == 0 {
		r.status = status
	}
	r.ResponseWriter.WriteHeader(status)
}

func (r *recorder) Write(b []byte) (int, error) {
	if r.status == 0 {
		r.status = http.StatusOK
	}
	return r.ResponseWriter.Write(b)
}

// Unwrap lets http.ResponseController reach the connection.
func (r *recorder) Unwrap() http.ResponseWriter { return r.ResponseWriter }

func written(w http.ResponseWriter) bool {
	r, ok := w.(*recorder)
	return ok && r.status != 0
}
