package api

import (
	"bufio"
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"daybook/domain"
	"daybook/internal/apitoken"
	"daybook/internal/audit"
)

// Audit is what /audit/events needs.
type Audit struct {
	Tokens *apitoken.Store
	Reader *audit.Reader
	// Recheck is how often the token of a replay under way is looked at again;
	// default 2 s.
	Recheck time.Duration
	// Heartbeat is how long an event stream is silent at most; default 15 s.
	Heartbeat time.Duration
	// Stall is how long a reader may stand still before it is cut off; default
	// 30 s.
	Stall time.Duration
}

func (a Audit) withDefaults() Audit {
	for _, d := range []struct {
		value    *time.Duration
		fallback time.Duration
	}{{&a.Recheck, 2 * time.Second}, {&a.Heartbeat, 15 * time.Second}, {&a.Stall, 30 * time.Second}} {
		if *d.value <= 0 {
			*d.value = d.fallback
		}
	}
	return a
}

// cursorTrailer says after the last line how far the replay has come: behind the
// last line there may be events that the filters left out.
const cursorTrailer = "Daybook-Cursor"

// auditEvents replays the event store to the bearer of a token. Sessions do not
// open it: a browser must not be able to be made to ask.
func (s *Server) auditEvents(w http.ResponseWriter, r *http.Request) error {
	if s.Audit == nil {
		return errNoSuchPath
	}
	if r.Method == http.MethodHead {
		return errMethod // there is no replay without a body
	}
	bearer, token, err := s.bearer(w, r, apitoken.ReadAudit)
	if err != nil {
		return err
	}
	query, err := auditQuery(r, s.Audit.Reader.Cursors())
	if err != nil {
		return err
	}
	query.Personal = token.May(apitoken.ReadPersonal)
	replay, err := s.Audit.Reader.Open(r.Context(), query, audit.Use{
		Command: "ReadAudit", Actor: domain.OperatorActor(token.ID.String()), Token: &token.ID,
		RequestID: exchangeOf(r).id.String(), Traceparent: traceparent(r.Context()),
	})
	if err != nil {
		return err
	}
	defer replay.Close()
	s.replay(w, r, replay, delivery{audit: s.Audit.withDefaults(), bearer: bearer, follow: query.Follow, cursors: s.Audit.Reader.Cursors()})
	return nil
}

// replay streams beyond the time that a request may usually take. What breaks a
// replay off breaks the connection off as well, so that no client takes the
// break for the end.
func (s *Server) replay(w http.ResponseWriter, r *http.Request, replay *audit.Replay, d delivery) {
	controller := http.NewResponseController(w)
	// The request has been read; from now on the read side only notices that the
	// client has gone. Not every ResponseWriter has a connection.
	_ = controller.SetReadDeadline(time.Time{})
	d.controller = controller
	d.out = bufio.NewWriterSize(patient{w, controller, d.audit.Stall}, 32<<10)
	err := d.run(exchangeOf(r).connection, w, replay)
	if err == nil || d.follow && errors.Is(err, audit.ErrStopping) {
		return
	}
	s.Logger.InfoContext(r.Context(), "audit replay was broken off", slog.String("request_id", exchangeOf(r).id.String()), slog.Any("error", err))
	panic(http.ErrAbortHandler)
}

// patient writes as long as each write gets on within the time.
type patient struct {
	http.ResponseWriter
	controller *http.ResponseController
	stall      time.Duration
}

func (p patient) Write(b []byte) (int, error) {
	_ = p.controller.SetWriteDeadline(time.Now().Add(p.stall))
	return p.ResponseWriter.Write(b)
}

// delivery writes a replay to one client.
type delivery struct {
	audit      Audit
	bearer     string
	follow     bool
	cursors    audit.Cursors
	controller *http.ResponseController
	out        *bufio.Writer

	checked, written time.Time
	told             uint64 // position of the last cursor that the client got
}

// run writes until the replay ends or the token does.
func (d *delivery) run(ctx context.Context, w http.ResponseWriter, replay *audit.Replay) error {
	d.head(w)
	d.checked = time.Now()
	if err := d.flush(); err != nil {
		return err
	}
	var position uint64
	for batch, err := range replay.Batches(ctx) {
		if err != nil {
			return err
		}
		if err := d.recheck(ctx); err != nil {
			return err
		}
		position = batch.Position
		if err := d.write(batch); err != nil {
			return err
		}
	}
	if !d.follow {
		w.Header().Set(cursorTrailer, d.cursors.At(position))
	}
	return nil
}

func (d *delivery) head(w http.ResponseWriter) {
	header := w.Header()
	header.Set("X-Accel-Buffering", "no") // nginx would hold events back
	if d.follow {
		header.Set("Content-Type", "text/event-stream")
		_, _ = d.out.WriteString("retry: 2000\n\n") // the flush tells
		return
	}
	header.Set("Content-Type", "application/x-ndjson")
	header.Set("Trailer", cursorTrailer)
}

// recheck ends a replay whose token was revoked or has expired.
func (d *delivery) recheck(ctx context.Context) error {
	if time.Since(d.checked) < d.audit.Recheck {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	_, err := d.audit.Tokens.Check(ctx, d.bearer)
	d.checked = time.Now()
	return err
}

func (d *delivery) write(batch audit.Batch) error {
	for _, line := range batch.Lines {
		if d.follow {
			_, _ = d.out.WriteString("id: " + d.cursors.At(line.Position) + "\ndata: ")
		}
		_, _ = d.out.Write(line.JSON)
		_ = d.out.WriteByte('\n')
		if d.follow {
			_ = d.out.WriteByte('\n')
		}
		d.told = line.Position
	}
	if len(batch.Lines) == 0 && !d.beat(batch.Position) {
		return nil
	}
	return d.flush() // tells of every failed write before it
}

// beat keeps an idle event stream alive, and with an id and no data moves the
// client's Last-Event-ID over events that it does not want.
func (d *delivery) beat(position uint64) bool {
	if !d.follow || time.Since(d.written) < d.audit.Heartbeat {
		return false
	}
	_, _ = d.out.WriteString(": heartbeat\n")
	if position > d.told {
		_, _ = d.out.WriteString("id: " + d.cursors.At(position) + "\n")
		d.told = position
	}
	_ = d.out.WriteByte('\n')
	return true
}

func (d *delivery) flush() error {
	if err := d.out.Flush(); err != nil {
		return err
	}
	d.written = time.Now()
	_ = d.controller.SetWriteDeadline(d.written.Add(d.audit.Stall))
	return d.controller.Flush()
}

// auditQuery reads the parameters. Unknown and repeated ones are refused: a
// misspelt filter would silently deliver everything.
func auditQuery(r *http.Request, cursors audit.Cursors) (q audit.Query, err error) {
	values, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return q, domain.Refuse(domain.KindInvalid, "invalid_query", "The query of the address is malformed")
	}
	var errs []error
	for name, given := range values {
		read, known := auditParameters[name]
		if !known || len(given) > 1 {
			return q, domain.Refuse(domain.KindInvalid, "invalid_query", "The parameters are after, account, type, since, until, limit and follow, each at most once")
		}
		errs = append(errs, read(&q, given[0], cursors))
	}
	// A client of an event stream connects again with the address it had at
	// first, and says here how far it has come.
	if last := r.Header.Get("Last-Event-ID"); last != "" && q.Follow {
		q.After, err = cursors.Position(last)
		errs = append(errs, err)
	}
	return q, errors.Join(domain.JoinInvalid(errs...), q.Validate())
}

type readParameter func(q *audit.Query, value string, cursors audit.Cursors) error

var auditParameters = map[string]readParameter{
	"after": func(q *audit.Query, value string, cursors audit.Cursors) (err error) {
		q.After, err = cursors.Position(value)
		return err
	},
	"account": func(q *audit.Query, value string, _ audit.Cursors) (err error) {
		q.Account, err = audit.ParseAccount(value)
		return err
	},
	"type": func(q *audit.Query, value string, _ audit.Cursors) error {
		q.Types = audit.ParseTypes(value)
		return nil
	},
	"since": func(q *audit.Query, value string, _ audit.Cursors) (err error) {
		q.Since, err = audit.ParseTime("since", value)
		return err
	},
	"until": func(q *audit.Query, value string, _ audit.Cursors) (err error) {
		q.Until, err = audit.ParseTime("until", value)
		return err
	},
	"limit": func(q *audit.Query, value string, _ audit.Cursors) (err error) {
		if q.Limit, err = strconv.Atoi(value); err != nil || q.Limit < 1 {
			q.Limit = 0
			return domain.Invalid("limit", audit.LimitSentence)
		}
		return nil
	},
	"follow": func(q *audit.Query, value string, _ audit.Cursors) error {
		if value != "true" && value != "false" {
			return domain.Invalid("follow", "follow must be true or false")
		}
		q.Follow = value == "true"
		return nil
	},
}

// bearer returns the token of the request (RFC 6750, 2.1: in the header and
// nowhere else) if it may be used for the scope.
func (s *Server) bearer(w http.ResponseWriter, r *http.Request, scope apitoken.Scope) (text string, _ apitoken.Token, err error) {
	given := r.Header.Values("Authorization")
	challenge := `Bearer realm="daybook"`
	if len(given) == 1 {
		if kind, credentials, _ := strings.Cut(given[0], " "); strings.EqualFold(kind, "Bearer") {
			text = strings.TrimLeft(credentials, " ")
		}
	}
	if len(given) > 0 {
		challenge += `, error="invalid_token"`
	}
	token, err := s.Audit.Tokens.Check(r.Context(), text)
	if err == nil && !token.May(scope) {
		challenge = `Bearer realm="daybook", error="insufficient_scope", scope="` + string(scope) + `"`
		err = domain.Refuse(domain.KindForbidden, "insufficient_scope", "This access token may not do this")
	}
	if domain.IsKind(err, domain.KindUnauthenticated) || domain.IsKind(err, domain.KindForbidden) {
		w.Header().Set("WWW-Authenticate", challenge)
	}
	return text, token, err
}
