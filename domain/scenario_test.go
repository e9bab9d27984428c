package domain

import (
	"encoding/binary"
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
)

// noon is when the scenarios begin.
var noon = time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC)

// id makes a readable, repeatable id.
func id(n uint32) uuid.UUID {
	var u uuid.UUID
	binary.BigEndian.PutUint32(u[12:], n)
	u[6], u[8] = 0x40, 0x80
	return u
}

// happened is an event of a history with its age at the time of the decision.
type happened struct {
	at    time.Time
	event Event
}

// at dates events of a history.
func at(t time.Time, events ...Event) []happened {
	history := make([]happened, len(events))
	for i, e := range events {
		history[i] = happened{t, e}
	}
	return history
}

// history joins dated events.
func history(parts ...[]happened) []happened {
	var all []happened
	for _, part := range parts {
		all = append(all, part...)
	}
	return all
}

// record gives events their place in the stream, each of a command of its own.
func record(from int64, events ...happened) []Recorded {
	recorded := make([]Recorded, len(events))
	for i, h := range events {
		revision := from + int64(i)
		recorded[i] = Recorded{
			Stream: AccountStream(id(1)), Revision: revision, Event: h.event,
			Metadata: Metadata{CommandID: id(uint32(1000 + revision)), OccurredAt: h.at},
		}
	}
	return recorded
}

// given folds a history of an account.
func given(events ...happened) Account { return Fold(NewAccount(id(1)), record(0, events...)...) }

// scenario says what a command decides after a history: events, a refusal, or
// nothing at all.
type scenario struct {
	name  string
	given []happened
	now   time.Time
	when  Decider
	then  []Event
	err   error
}

func runScenarios(t *testing.T, scenarios []scenario) {
	t.Helper()
	for _, s := range scenarios {
		t.Run(s.name, func(t *testing.T) { s.run(t) })
	}
}

func (s scenario) run(t *testing.T) {
	account := given(s.given...)
	before := deepCopy(account)
	events, err := s.when.Decide(account, s.now)
	if !errors.Is(err, s.err) {
		t.Fatalf("refusal %v, want %v", err, s.err)
	}
	if diff := cmp.Diff(s.then, events); diff != "" {
		t.Errorf("events (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(before, account, cmp.AllowUnexported(Account{})); diff != "" {
		t.Errorf("deciding changed the account:\n%s", diff)
	}
}

// deepCopy shares nothing with the account.
func deepCopy(a Account) Account {
	a.Activations = append([]Activation(nil), a.Activations...)
	a.MailedAt = append([]time.Time(nil), a.MailedAt...)
	a.AddressMailedAt = append([]time.Time(nil), a.AddressMailedAt...)
	a.FormerAddresses = append([]FormerAddress(nil), a.FormerAddresses...)
	if a.commands != nil {
		commands := map[uuid.UUID]bool{}
		for command, applied := range a.commands {
			commands[command] = applied
		}
		a.commands = commands
	}
	return a
}

// Facts of the scenarios: one person, two attempts, resets from 30 on.
var (
	ada        = Names{"Ada", "Lovelace"}
	mallory    = Names{"Mallory", "Mallet"}
	registered = AccountRegistered{"address-k1-00", Seal(RegisteredDetails{"ada@example.com", "Ada", "Lovelace"})}
	day        = 24 * time.Hour
)

func activationRequest(n uint32, names Names, expires time.Time) ActivationRequested {
	return ActivationRequested{id(n), id(n + 1), expires, Seal(names)}
}

// pendingSince is an account whose attempt 10 (credential 11) lives for a day.
func pendingSince(t time.Time) []happened {
	return at(t, registered, activationRequest(10, ada, t.Add(day)))
}

// activeSince is an account activated by attempt 10 long enough ago for its
// mail not to count any more.
func activeSince(t time.Time) []happened {
	return history(pendingSince(t.Add(-2*time.Hour)), at(t, AccountActivated{id(10), id(11)}))
}

func pointer[T any](value T) *T { return &value }
