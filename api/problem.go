package api

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"os"

	"daybook/domain"
	"daybook/internal/postgres"
)

// This file alone says which refusal has which status.

// kinds translates the kinds of the domain.
var kinds = map[domain.Kind]int{
	domain.KindInvalid:            http.StatusBadRequest,
	domain.KindUnauthenticated:    http.StatusUnauthorized,
	domain.KindForbidden:          http.StatusForbidden,
	domain.KindNotFound:           http.StatusNotFound,
	domain.KindConflict:           http.StatusConflict,
	domain.KindPreconditionFailed: http.StatusPreconditionFailed,
	domain.KindUnavailable:        http.StatusServiceUnavailable,
	domain.KindTooMany:            http.StatusTooManyRequests,
}

// refusal is a failure that only HTTP knows of.
type refusal struct {
	status  int
	code    string
	message string
	fields  map[string]string
	report  any // of readiness
}

func (e *refusal) Error() string { return e.code + ": " + e.message }

// of returns the refusal with the sentence of one field.
func (e *refusal) of(field, sentence string) error {
	return &refusal{status: e.status, code: e.code, message: sentence, fields: map[string]string{field: sentence}}
}

// with returns the refusal with a report.
func (e *refusal) with(report any) error {
	return &refusal{status: e.status, code: e.code, message: e.message, report: report}
}

var (
	errNoSuchPath   = &refusal{status: http.StatusNotFound, code: "no_such_path", message: "There is nothing at this address"}
	errMethod       = &refusal{status: http.StatusMethodNotAllowed, code: "method_not_allowed", message: "This address does not take this method"}
	errCrossSite    = &refusal{status: http.StatusForbidden, code: "cross_site", message: "Requests from this site are not allowed"}
	errMediaType    = &refusal{status: http.StatusUnsupportedMediaType, code: "unsupported_media_type", message: "The body must be JSON (Content-Type: application/json)"}
	errNotMultipart = &refusal{status: http.StatusUnsupportedMediaType, code: "unsupported_media_type", message: "The body must be a form (Content-Type: multipart/form-data)"}
	errEncoding     = &refusal{status: http.StatusUnsupportedMediaType, code: "unsupported_encoding", message: "The body must not be compressed"}
	errTooLarge     = &refusal{status: http.StatusRequestEntityTooLarge, code: "too_large", message: "The request is too large"}
	errSlowBody     = &refusal{status: http.StatusRequestTimeout, code: "slow_body", message: "The request took too long to arrive"}
	errJSON         = &refusal{status: http.StatusBadRequest, code: "invalid_json", message: "The body must be one well-formed JSON object"}
	errUnknownField = &refusal{status: http.StatusBadRequest, code: "unknown_field", message: "The body has a member that is not known here"}
	errForm         = &refusal{status: http.StatusBadRequest, code: "invalid_form", message: "The body must be one well-formed form"}
	errTwoSessions  = &refusal{status: http.StatusUnauthorized, code: "not_signed_in", message: "You are not logged in. Kindly ensure you are logged in and try again"}
	errNotReady     = &refusal{status: http.StatusServiceUnavailable, code: "not_ready", message: "The service is not ready"}
	errTimeout      = &refusal{status: http.StatusServiceUnavailable, code: "timeout", message: "The request took too long. Try again in a moment"}
	errAway         = &refusal{status: http.StatusServiceUnavailable, code: "unavailable", message: "The service cannot be reached right now. Try again in a moment"}
	errInternal     = &refusal{status: http.StatusInternalServerError, code: "internal", message: "Something went wrong on our side. Try again later"}
)

// problem is a problem document (RFC 9457) with the members that our contract
// adds: error is the sentence for the user, code is stable and for programs.
type problem struct {
	Type     string            `json:"type"`
	Title    string            `json:"title"`
	Status   int               `json:"status"`
	Code     string            `json:"code"`
	Error    string            `json:"error"`
	Instance string            `json:"instance"`
	Fields   map[string]string `json:"fields,omitempty"`
	Report   any               `json:"report,omitempty"`
}

// fail writes the problem document of a failure.
func (s *Server) fail(w http.ResponseWriter, r *http.Request, err error) {
	refused := refusalOf(r.Context(), err)
	s.logFailure(r, refused, err)
	if written(w) {
		return // the status is out; the connection can only end
	}
	header := w.Header()
	header.Del("Content-Length")
	header.Del("ETag")
	header.Set("Content-Type", "application/problem+json")
	switch refused.status {
	case http.StatusServiceUnavailable, http.StatusTooManyRequests:
		if header.Get("Retry-After") == "" {
			header.Set("Retry-After", "1")
		}
	case http.StatusUnauthorized:
		if header.Get("WWW-Authenticate") == "" {
			header.Set("WWW-Authenticate", "Session") // RFC 9110, 15.5.2: a challenge is a must
		}
	case http.StatusRequestTimeout:
		header.Set("Connection", "close")
	}
	w.WriteHeader(refused.status)
	_ = json.NewEncoder(w).Encode(problem{
		Type: "urn:daybook:problem:" + refused.code, Title: http.StatusText(refused.status), Status: refused.status,
		Code: refused.code, Error: refused.message, Fields: refused.fields, Report: refused.report,
		Instance: exchangeOf(r).id.URN(),
	})
}

// logFailure logs what nobody expected, and that a backend was away, under the
// request's id: the client learns no more than that id.
func (s *Server) logFailure(r *http.Request, refused *refusal, err error) {
	level := slog.LevelError
	switch refused {
	case errAway:
		level = slog.LevelWarn
	case errInternal:
	default:
		return
	}
	s.Logger.LogAttrs(r.Context(), level, "request failed", slog.String("request_id", exchangeOf(r).id.String()),
		slog.String("route", exchangeOf(r).route), slog.Any("error", err))
}

func refusalOf(ctx context.Context, err error) *refusal {
	if refused, ok := errors.AsType[*refusal](err); ok {
		return refused
	}
	if refused, ok := errors.AsType[*domain.Error](err); ok {
		if status, ok := kinds[refused.Kind]; ok {
			return &refusal{status: status, code: refused.Code, message: refused.Message, fields: refused.Fields}
		}
	}
	if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return errTooLarge
	}
	// A part of the service may have given the deadline a name of its own.
	if errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled) || ctx.Err() != nil {
		return errTimeout
	}
	if postgres.Transient(err) {
		return errAway
	}
	return errInternal
}

// bodyFailure tells why a body could not be read: it was too long, too slow, or
// else it was malformed.
func bodyFailure(err error, malformed error) error {
	if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return errTooLarge
	}
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return errSlowBody
	}
	return malformed
}
