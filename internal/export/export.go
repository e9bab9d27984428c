package export

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"strings"
	"time"

	"github.com/google/uuid"

	"daybook/domain"
	"daybook/internal/eventstore"
	"daybook/internal/session"
	"daybook/internal/vault"
)

const (
	// Format names the document.
	Format = "daybook.export"
	// Version is of the document's shape.
	Version = 1
	// pageSize is how many events are opened and in memory at once.
	pageSize = 100
)

// Exporter makes documents. Its fields are set once.
type Exporter struct {
	Client   *eventstore.Client
	Vault    *vault.Vault
	Account  func(ctx context.Context, id uuid.UUID) (domain.Account, error)
	Sessions *session.Store
	// Picture reads an object; an absent one is a *domain.Error of KindNotFound.
	Picture func(ctx context.Context, key string) (body []byte, contentType string, err error)
	// Mails returns what the queue still knows of mails to the person.
	Mails func(ctx context.Context, account uuid.UUID) ([]Mail, error)
	// Devices returns what is known of devices that signed in.
	Devices func(ctx context.Context, account uuid.UUID) ([]Device, error)
}

// Mail is a mail to the person.
type Mail struct {
	Kind     string     `json:"kind"`
	EventID  *uuid.UUID `json:"event_id"` // that asked for it, if an event did
	QueuedAt time.Time  `json:"queued_at"`
	EndedAt  *time.Time `json:"ended_at"` // null while it waits
	Outcome  *string    `json:"outcome"`  // sent, skipped or failed; null while it waits
}

// Device is a device that signed in; what it was is in the sign-ins.
type Device struct {
	FirstSeenAt time.Time `json:"first_seen_at"`
	LastSeenAt  time.Time `json:"last_seen_at"`
}

type sessionPart struct {
	ID         uuid.UUID `json:"id"`
	CreatedAt  time.Time `json:"created_at"`
	LastSeenAt time.Time `json:"last_seen_at"`
	ExpiresAt  time.Time `json:"expires_at"`
	Device     string    `json:"device"`
}

type picturePart struct {
	ContentType string `json:"content_type"`
	Data        []byte `json:"data"` // base64
}

// Document is a document whose small parts are read already.
type Document struct {
	// Account is the person's, for what its caller shows of it.
	Account domain.Account

	exporter *Exporter
	sessions []sessionPart
	mails    []Mail
	devices  []Device
	picture  *picturePart
}

// Open reads all but the streams: what can fail, fails before a byte is written.
func (e *Exporter) Open(ctx context.Context, id uuid.UUID) (*Document, error) {
	account, err := e.Account(ctx, id)
	if err != nil {
		return nil, err
	}
	d := &Document{Account: account, exporter: e, sessions: []sessionPart{}}
	open, err := e.Sessions.List(ctx, id)
	if err != nil {
		return nil, fmt.Errorf("list sessions of %s: %w", id, err)
	}
	for _, s := range open {
		d.sessions = append(d.sessions, sessionPart{s.ID, s.CreatedAt.UTC(), s.LastSeenAt.UTC(), s.ExpiresAt.UTC(), s.UserAgent})
	}
	if d.mails, err = e.Mails(ctx, id); err != nil {
		return nil, fmt.Errorf("list mails to %s: %w", id, err)
	}
	if d.devices, err = e.Devices(ctx, id); err != nil {
		return nil, fmt.Errorf("list devices of %s: %w", id, err)
	}
	return d, d.readPicture(ctx)
}

func (d *Document) readPicture(ctx context.Context) error {
	key := d.Account.Profile.Thumbnail
	if key == "" {
		return nil
	}
	body, contentType, err := d.exporter.Picture(ctx, key)
	if domain.IsKind(err, domain.KindNotFound) { // exchanged at this moment
		return nil
	}
	d.picture = &picturePart{contentType, body}
	return err
}

// errErased breaks off the document of a person who was erased while it was written.
var errErased = errors.New("the person was erased meanwhile")

// Write writes the document. person is what the caller shows of the account. After an
// error the document is not whole, and no JSON.
func (d *Document) Write(ctx context.Context, w io.Writer, person any, at time.Time) error {
	out := &writer{w: w}
	out.text(`{`)
	for _, part := range []struct {
		name  string
		value any
	}{
		{"format", Format}, {"version", Version}, {"exported_at", domain.Micro(at)}, {"account", person}, {"status", d.Account.Status},
		{"picture", d.picture}, {"sessions", d.sessions}, {"devices", d.devices}, {"mails", d.mails},
	} {
		out.member(part.name)
		out.value(part.value)
		out.text(`,`)
	}
	d.stream(ctx, out, "history", domain.AccountStream(d.Account.ID))
	out.text(`,`)
	d.stream(ctx, out, "access", domain.AccessStream(d.Account.ID))
	out.text("}\n")
	return out.err
}

// Entry is one event of the history or of the accesses, as the document has it.
type Entry struct {
	ID       uuid.UUID `json:"id"`
	Revision int64     `json:"revision"`
	At       time.Time `json:"at"`
	Event    string    `json:"event"`
	Schema   int       `json:"schema"`
	Command  string    `json:"command"`
	Actor    string    `json:"actor"` // self, anonymous, operator or system
	Session  string    `json:"session,omitempty"`
	Request  string    `json:"request_id,omitempty"`
	// Data and Personal are the event's members, see docs/events.md; Personal are those
	// that lie sealed.
	Data     json.RawMessage `json:"data"`
	Personal json.RawMessage `json:"personal,omitempty"`
}

func (d *Document) stream(ctx context.Context, out *writer, name, stream string) {
	out.member(name)
	out.text(`[`)
	first := true
	for page, err := range pages(d.exporter.Client.ReadStream(ctx, stream, 0)) {
		if out.fail(err) {
			return
		}
		recorded, err := d.exporter.Vault.Decode(ctx, page...)
		if out.fail(err) {
			return
		}
		for _, r := range recorded {
			entry, err := entryOf(r, d.Account.ID)
			if out.fail(err) {
				return
			}
			if !first {
				out.text(`,`)
			}
			first = false
			out.text("\n")
			out.value(entry)
		}
	}
	out.text(`]`)
}

func pages(events iter.Seq2[domain.Stored, error]) iter.Seq2[[]domain.Stored, error] {
	return func(yield func([]domain.Stored, error) bool) {
		page := make([]domain.Stored, 0, pageSize)
		for event, err := range events {
			if err != nil {
				yield(nil, err)
				return
			}
			if page = append(page, event); len(page) < pageSize {
				continue
			}
			if !yield(page, nil) {
				return
			}
			page = page[:0]
		}
		if len(page) > 0 {
			yield(page, nil)
		}
	}
}

func entryOf(r domain.Recorded, account uuid.UUID) (Entry, error) {
	encoded, err := domain.Encode(r.Event)
	if errors.Is(err, domain.ErrErased) {
		return Entry{}, errErased
	}
	m := r.Metadata
	return Entry{
		ID: r.ID, Revision: r.Revision, At: m.OccurredAt, Event: encoded.Type, Schema: encoded.Schema, Command: m.Command,
		Actor: actorOf(m.Actor, account), Session: m.Session, Request: m.RequestID, Data: encoded.Public, Personal: encoded.Personal,
	}, err
}

// actorOf tells a person whether it was they: the ids of others are not theirs to see.
func actorOf(actor string, account uuid.UUID) string {
	if actor == domain.AccountActor(account) {
		return "self"
	}
	kind, _, _ := strings.Cut(actor, ":")
	return kind
}

// writer writes until the first error.
type writer struct {
	w   io.Writer
	err error
}

func (w *writer) fail(err error) bool {
	if w.err == nil {
		w.err = err
	}
	return w.err != nil
}

func (w *writer) text(s string) {
	if w.err == nil {
		_, w.err = io.WriteString(w.w, s)
	}
}

func (w *writer) member(name string) { w.text(`"` + name + `":`) }

func (w *writer) value(value any) {
	encoded, err := json.Marshal(value)
	if !w.fail(err) {
		w.text(string(encoded))
	}
}
