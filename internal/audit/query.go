package audit

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"

	"daybook/domain"
)

// MaxLimit bounds Query.Limit.
const MaxLimit = 100_000

// Query says which events are wanted. The zero Query wants all, from the start
// to what is there now.
type Query struct {
	// After is the commit position behind which reading begins.
	After uint64
	// FromEnd begins behind the last event instead.
	FromEnd bool
	// Account, when not nil, wants what concerns this account: its own stream,
	// its sign-ins, and the addresses it claimed or released.
	Account uuid.UUID
	// Types, when not empty, are the stored names that are wanted.
	Types []string
	// Since (inclusive) and Until (exclusive), when not zero, bound occurred_at.
	// Events of several processes are not quite in the order of their times, so
	// both are compared with every event.
	Since, Until time.Time
	// Limit, when not 0, is how many events are delivered at most.
	Limit int
	// Follow goes on with new events as they come.
	Follow bool
	// Personal opens sealed fields.
	Personal bool
	// Boxes shows the hash of each sealed member, for a Chain.
	Boxes bool
}

// Validate refuses (domain.KindInvalid, with fields) what makes no sense.
func (q Query) Validate() error {
	var errs []error
	if q.Limit < 0 || q.Limit > MaxLimit {
		errs = append(errs, errLimit)
	}
	for _, name := range q.Types {
		if !slices.ContainsFunc(domain.EventNames(), func(n domain.EventName) bool { return n.Name == name }) {
			errs = append(errs, domain.Invalid("type", "type must be names of events, such as PasswordChanged"))
		}
	}
	if !q.Since.IsZero() && !q.Until.IsZero() && !q.Since.Before(q.Until) {
		errs = append(errs, domain.Invalid("until", "until must be later than since"))
	}
	return domain.JoinInvalid(errs...)
}

// addressStreams begin all names of claim streams: whose a claim is stands in its
// events only.
const addressStreams = "address-"

// prefixes lets the server sort out what another account did.
func (q Query) prefixes() []string {
	if q.Account == uuid.Nil {
		return nil
	}
	return []string{domain.AccountStream(q.Account), domain.AccessStream(q.Account), addressStreams}
}

// wants reports whether the event is one of those asked for.
func (q Query) wants(e event) bool {
	if len(q.Types) > 0 && !slices.Contains(q.Types, e.stored.Type) {
		return false
	}
	occurred := e.occurredAt
	if !q.Since.IsZero() && occurred.Before(q.Since) || !q.Until.IsZero() && !occurred.Before(q.Until) {
		return false
	}
	return q.Account == uuid.Nil || e.concerns(q.Account)
}

// read is the event that records this query.
func (q Query) read(token *uuid.UUID) domain.AuditRead {
	read := domain.AuditRead{
		TokenID: token, Opened: q.Personal, Follow: q.Follow, After: q.After, Types: q.Types, Limit: q.Limit,
		Since: given(q.Since), Until: given(q.Until),
	}
	if q.Account != uuid.Nil {
		read.Account = &q.Account
	}
	return read
}

func given(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	t = domain.Micro(t)
	return &t
}

var errLimit = domain.Invalid("limit", "limit must be a number from 1 to "+strconv.Itoa(MaxLimit))

// ParseLimit reads a number from 1 to MaxLimit.
func ParseLimit(text string) (int, error) {
	limit, err := strconv.Atoi(text)
	if err != nil || limit < 1 || limit > MaxLimit {
		return 0, errLimit
	}
	return limit, nil
}

// ParseAccount reads the one canonical spelling of an account's id.
func ParseAccount(text string) (uuid.UUID, error) {
	id, err := uuid.Parse(text)
	if err != nil || id.String() != text || id == uuid.Nil {
		return uuid.Nil, domain.Invalid("account", "account must be the id of an account, in lower case")
	}
	return id, nil
}

// ParseTime reads an RFC 3339 time; field names it in the refusal.
func ParseTime(field, text string) (time.Time, error) {
	t, err := time.Parse(time.RFC3339Nano, text)
	if err != nil || t.Year() < 1 {
		return time.Time{}, domain.Invalid(field, field+" must be a time such as 2026-11-23T00:00:00Z")
	}
	return t, nil
}

// ParseTypes splits a comma list, leaving out repetitions.
func ParseTypes(text string) []string {
	names := strings.Split(text, ",")
	slices.Sort(names)
	return slices.Compact(names)
}
