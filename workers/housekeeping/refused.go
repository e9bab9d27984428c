package housekeeping

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"daybook/commands"
	"daybook/domain"
	"daybook/internal/eventstore"
)

// Refused tells accounts of sign-ins that failed: of each window of tries that has
// ended without a success it makes one SignInRefused, at most one for an account in
// each quarter of an hour. Tries at an address that no account owns leave nothing.
// The rows are deleted.
type Refused struct {
	Pool       *pgxpool.Pool
	Repository *eventstore.Repository
	Commands   *commands.Handler
	// Window is that of the throttle of sign-ins.
	Window time.Duration
}

// signInPrefix begins the keys of sign-in tries; the name of the claim stream follows.
const signInPrefix = "sign-in:"

// quarter is the time in which an account gets at most one event.
const quarter = 15 * time.Minute

// lookedBack is how many of the newest access events are looked at for an earlier
// note: a store recognises a repeated append without a revision only by them, too.
const lookedBack = 50

// Task returns note_refused_sign_ins. It must run more often than windows end, so that none is
// lost to those after it.
func (r Refused) Task(every time.Duration) Task {
	s := &sweep[string, throttleRow]{find: r.find, key: func(t throttleRow) string { return t.Key }, each: r.each}
	return Task{Name: "note_refused_sign_ins", Every: min(every, max(r.Window/2, time.Second)), Run: s.run}
}

// throttleRow has one or two windows that have ended.
type throttleRow struct {
	Key        string
	Start      time.Time
	Tries      int
	Over       bool // the present window has ended
	EndedStart *time.Time
	EndedTries *int
}

func (r Refused) find(ctx context.Context, after string, limit int) ([]throttleRow, error) {
	rows, err := r.Pool.Query(ctx, `
		SELECT key, window_start, tries, window_start <= now() - $1::interval, ended_start, ended_tries FROM app.throttles
		WHERE starts_with(key, $2) AND (window_start <= now() - $1::interval OR ended_start IS NOT NULL) AND key > $3
		ORDER BY key LIMIT $4`, r.Window, signInPrefix, after, limit)
	if err != nil {
		return nil, fmt.Errorf("find refused sign-ins: %w", err)
	}
	return pgx.CollectRows(rows, pgx.RowToStructByPos[throttleRow])
}

func (r Refused) each(ctx context.Context, row throttleRow) (noted bool, err error) {
	owner, known, err := r.owner(ctx, strings.TrimPrefix(row.Key, signInPrefix))
	if err != nil {
		return false, fmt.Errorf("find whom refused sign-ins concern: %w", err)
	}
	if row.EndedStart != nil {
		if known {
			if noted, err = r.note(ctx, owner, *row.EndedStart, *row.EndedTries); err != nil {
				return noted, err
			}
		}
		if err := r.forgetEnded(ctx, row); err != nil {
			return noted, err
		}
	}
	if !row.Over {
		return noted, nil
	}
	if known {
		too, err := r.note(ctx, owner, row.Start, row.Tries)
		if noted = noted || too; err != nil {
			return noted, err
		}
	}
	// Another try has begun the next window and kept this one: then it is noted
	// already, under the same command.
	_, err = r.Pool.Exec(ctx, `DELETE FROM app.throttles WHERE key = $1 AND window_start = $2 AND tries = $3`, row.Key, row.Start, row.Tries)
	return noted, err
}

func (r Refused) forgetEnded(ctx context.Context, row throttleRow) error {
	_, err := r.Pool.Exec(ctx, `UPDATE app.throttles SET ended_start = NULL, ended_tries = NULL WHERE key = $1 AND ended_start = $2`,
		row.Key, *row.EndedStart)
	return err
}

// owner returns the account that owns the claimed address.
func (r Refused) owner(ctx context.Context, stream string) (owner uuid.UUID, known bool, err error) {
	claim, err := r.Repository.ClaimAt(ctx, stream)
	if err != nil || !claim.Held {
		return uuid.Nil, false, err
	}
	account, err := r.Repository.Account(ctx, claim.Holder)
	return claim.Holder, account.OwnsAddress() && account.AddressClaim == stream, err
}

// note appends the event, unless the quarter of an hour has one.
func (r Refused) note(ctx context.Context, account uuid.UUID, start time.Time, tries int) (bool, error) {
	if tries == 0 { // all were given back
		return false, nil
	}
	command := noteOf(account, start)
	stream := domain.AccessStream(account)
	id := domain.EventID(stream, command, 0)
	for stored, err := range r.Repository.Client.ReadStreamBackwards(ctx, stream, lookedBack) {
		if err != nil {
			return false, fmt.Errorf("look for a note in %s: %w", stream, err)
		}
		if stored.ID == id {
			return false, nil
		}
	}
	from := domain.Micro(start)
	err := r.Commands.NoteRefused(ctx, caller(command), account, domain.SignInRefused{Count: tries, From: from, To: from.Add(r.Window)})
	if err != nil {
		return false, fmt.Errorf("note refused sign-ins of %s: %w", account, err)
	}
	return true, nil
}

// noteNamespace is the fixed namespace of the command ids of notes.
var noteNamespace = uuid.MustParse("b3f2f7d4-5d0e-5c39-9a59-0f5c7f7a4f11")

// noteOf is the one command of the account and the quarter of an hour.
func noteOf(account uuid.UUID, start time.Time) uuid.UUID {
	slot := start.Unix() / int64(quarter/time.Second)
	return uuid.NewSHA1(noteNamespace, fmt.Appendf(nil, "%s\n%d", account, slot))
}
