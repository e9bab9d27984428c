package commands

import (
	"context"
	"log/slog"

	"github.com/google/uuid"

	"daybook/domain"
)

// ErrNoSuchSession is the answer to a session that is not the caller's, whether
// or not it is somebody's.
var ErrNoSuchSession = domain.Refuse(domain.KindNotFound, "no_such_session", "There is no such session")

// EndSession ends one of the caller's own sessions at once.
func (h *Handler) EndSession(ctx context.Context, c Caller, account, session uuid.UUID) error {
	found, err := h.Sessions.EndOne(ctx, account, session)
	if err != nil {
		return err
	}
	if !found {
		return ErrNoSuchSession
	}
	h.noteEnded(ctx, c, account, []domain.EndedSession{{ID: session, AccountID: account}})
	return nil
}

// EndOtherSessions ends all of the account's sessions but the one to keep.
func (h *Handler) EndOtherSessions(ctx context.Context, c Caller, account, keep uuid.UUID) error {
	// An account without a credential: the session that stays is not lifted over
	// a password change that happens at the same time.
	ended, err := h.Sessions.EndOthers(ctx, domain.NewAccount(account), keep)
	if err != nil {
		return err
	}
	h.noteEnded(ctx, c, account, ended)
	return nil
}

// noteEnded appends what has happened already; that it could not be noted
// opens no session again.
func (h *Handler) noteEnded(ctx context.Context, c Caller, account uuid.UUID, ended []domain.EndedSession) {
	if len(ended) == 0 {
		return
	}
	events := make([]domain.Event, len(ended))
	for i, session := range ended {
		events[i] = domain.SessionEnded{SessionID: session.ID, Cause: "request", Personal: origin(c)}
	}
	if err := h.access(ctx, c, "EndSession", account, events...); err != nil {
		h.Logger.WarnContext(ctx, "ended sessions were not noted", slog.String("account", account.String()), slog.Any("error", err))
	}
}
