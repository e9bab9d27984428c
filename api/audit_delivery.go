package api

import (
	"bufio"
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"os"
	"time"

	"daybook/internal/audit"
)

// cursorTrailer says after the last line how far the replay has come: behind the
// last line there may be events that the filters left out.
const cursorTrailer = "Daybook-Cursor"

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
	s.logBroken(r, err)
	panic(http.ErrAbortHandler)
}

// logBroken says why a replay was broken off. Failures of the connection name
// the client's address, so only their kind is logged.
func (s *Server) logBroken(r *http.Request, err error) {
	reason := slog.Any("error", err)
	_, network := errors.AsType[net.Error](err)
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded):
		reason = slog.String("error", "the reader stood still")
	case network, errors.Is(err, context.Canceled):
		reason = slog.String("error", "the client has gone")
	}
	s.Logger.InfoContext(r.Context(), "audit replay was broken off", slog.String("request_id", exchangeOf(r).id.String()), reason)
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
	for batch, err := range replay.Batches(ctx) {
		if err != nil {
			return err
		}
		if err := d.recheck(ctx); err != nil {
			return err
		}
		if err := d.write(batch); err != nil {
			return err
		}
	}
	if !d.follow {
		w.Header().Set(cursorTrailer, d.cursors.At(replay.Position()))
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
