package api

import (
	"context"
	"log/slog"
	"net/http"

	"daybook/domain"
	"daybook/internal/session"
	"daybook/projections"
)

func (s *Server) currentUser(w http.ResponseWriter, r *http.Request, in session.Checked) error {
	if r.URL.Query().Has("at") {
		return s.pastUser(w, r, in)
	}
	account, err := s.account(r.Context(), in)
	if err != nil {
		return err
	}
	return s.showUser(w, account)
}

// account answers from the view that came with the session check. When the view
// is behind what this session has seen, it waits a moment, and then folds the
// stream: people read their own writes also with the projector stopped.
func (s *Server) account(ctx context.Context, in session.Checked) (projections.Account, error) {
	if in.View != nil {
		account, err := projections.DecodeAccount(in.View)
		if err != nil || account.Revision >= in.Session.AccountRevision {
			return account, err
		}
	}
	account, found, err := s.Accounts.AwaitAccount(ctx, in.Session.AccountID, in.Session.AccountRevision)
	if found || err != nil {
		return account, err
	}
	folded, err := s.Commands.Store.Account(ctx, in.Session.AccountID)
	return projections.AccountOf(folded), err
}

// saw notes what the session has seen. If that fails, the worst is one query
// that shows the profile as it was a moment ago.
func (s *Server) saw(r *http.Request, in session.Session, account domain.Account) {
	if account.Revision <= in.AccountRevision {
		return
	}
	if err := s.Sessions.Saw(r.Context(), in.ID, account.Revision); err != nil {
		s.Logger.WarnContext(r.Context(), "session's revision was not noted", slog.String("session", in.ID.String()), slog.Any("error", err))
	}
}
