package api

import (
	"net/http"
	"strconv"
	"time"

	"github.com/google/uuid"

	"daybook/domain"
	"daybook/internal/session"
	"daybook/projections"
)

const (
	historyPage = 50
	historyMost = 200
)

var (
	errTime   = domain.Invalid("at", "at must be one time as in RFC 3339, such as 2026-11-23T12:00:00Z, that is not before the account was opened")
	errLimit  = domain.Invalid("limit", "limit must be a number between 1 and 200")
	errBefore = domain.Invalid("before", "before must be the id of an entry")
)

// pastUser answers with the profile as it was: a fold of the stream up to then.
func (s *Server) pastUser(w http.ResponseWriter, r *http.Request, in session.Checked) error {
	at, err := instantOf(r)
	if err != nil {
		return err
	}
	history, err := s.History(r.Context(), in.Session.AccountID)
	if err != nil {
		return err
	}
	past := projections.AccountAt(history, at)
	if past.Status == domain.StatusNone {
		return errTime
	}
	return show(w, s.user(past))
}

// instantOf reads the one time that the query names.
func instantOf(r *http.Request) (time.Time, error) {
	times := r.URL.Query()["at"]
	if len(times) != 1 {
		return time.Time{}, errTime
	}
	at, err := time.Parse(time.RFC3339Nano, times[0])
	if err != nil {
		return time.Time{}, errTime
	}
	return at, nil
}

type historyPageAnswer struct {
	Entries []historyEntry `json:"entries"`
	// Next is what to send as before for the next page; null at the end.
	Next *uuid.UUID `json:"next"`
}

type historyEntry struct {
	ID            uuid.UUID            `json:"id"`
	At            string               `json:"at"`
	What          string               `json:"what"`
	Actor         string               `json:"actor"`
	Session       *string              `json:"session"`
	ClientAddress *string              `json:"client_address"`
	UserAgent     *string              `json:"user_agent"`
	Cause         *string              `json:"cause"`
	Tries         *int                 `json:"tries,omitempty"`
	Changes       []projections.Change `json:"changes"`
}

// history shows a person what happened to the account, newest first.
func (s *Server) history(w http.ResponseWriter, r *http.Request, in session.Checked) error {
	before, limit, err := historyQuery(r)
	if err != nil {
		return err
	}
	entries, err := s.Accounts.Activity(r.Context(), in.Session.AccountID, before, limit)
	if err != nil {
		return err
	}
	page := historyPageAnswer{Entries: make([]historyEntry, len(entries))}
	for i, entry := range entries {
		page.Entries[i] = s.historyEntry(entry)
	}
	if len(entries) == limit {
		page.Next = &entries[limit-1].ID
	}
	return show(w, page)
}

func historyQuery(r *http.Request) (before uuid.UUID, limit int, err error) {
	limit = historyPage
	query := r.URL.Query()
	if query.Has("limit") {
		if limit, err = strconv.Atoi(query.Get("limit")); err != nil || limit < 1 || limit > historyMost {
			return uuid.Nil, 0, errLimit
		}
	}
	if query.Has("before") {
		if before, err = uuid.Parse(query.Get("before")); err != nil {
			return uuid.Nil, 0, errBefore
		}
	}
	return before, limit, nil
}

func (s *Server) historyEntry(e projections.Entry) historyEntry {
	shown := historyEntry{
		ID: e.ID, At: stamp(e.At), What: e.What, Actor: e.Actor, Session: given(e.Session),
		ClientAddress: given(e.ClientAddress), UserAgent: given(e.UserAgent), Cause: given(e.Cause),
		Changes: make([]projections.Change, len(e.Changes)),
	}
	if e.Tries > 0 {
		shown.Tries = &e.Tries
	}
	copy(shown.Changes, e.Changes)
	for i, change := range shown.Changes {
		if change.Field == domain.FieldThumbnail {
			shown.Changes[i].Old, shown.Changes[i].New = s.mediaLink(change.Old), s.mediaLink(change.New)
		}
	}
	return shown
}

func (s *Server) mediaLink(key string) string {
	if key == "" {
		return ""
	}
	return s.Config.MediaURL + "/" + key
}
