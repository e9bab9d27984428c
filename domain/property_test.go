package domain

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"pgregory.net/rapid"
)

var wholeAccount = cmp.AllowUnexported(Account{})

func TestFoldIsTotalAndSplitsAnywhere(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		history := anyHistory.Draw(t, "history")
		cut := rapid.IntRange(0, len(history)).Draw(t, "cut")
		whole := Fold(NewAccount(id(1)), history...)
		prefix := Fold(NewAccount(id(1)), history[:cut]...)
		if diff := cmp.Diff(whole, Fold(prefix, history[cut:]...), wholeAccount); diff != "" {
			t.Errorf("folded in two parts (-whole +parts):\n%s", diff)
		}
		if whole.Revision != int64(len(history))-1 || len(whole.MailedAt) > MaxMailsPerHour {
			t.Errorf("revision %d and %d mails after %d events", whole.Revision, len(whole.MailedAt), len(history))
		}
	})
}

// Two futures of one account must not meet in a shared slice or map.
func TestEvolveNeverChangesItsArgument(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		account := Fold(NewAccount(id(1)), anyHistory.Draw(t, "history")...)
		before := deepCopy(account)
		futures := record(account.Revision+1, happened{anyTime.Draw(t, "at"), anyEvent(true).Draw(t, "one")}, happened{noon, anyEvent(true).Draw(t, "other")})
		one := Evolve(account, futures[0])
		oneBefore := deepCopy(one)
		Evolve(account, futures[1])
		if diff := cmp.Diff(before, account, wholeAccount); diff != "" {
			t.Errorf("Evolve changed its argument:\n%s", diff)
		}
		if diff := cmp.Diff(oneBefore, one, wholeAccount); diff != "" {
			t.Errorf("one future changed the other:\n%s", diff)
		}
	})
}

func TestFuturesShareNothing(t *testing.T) {
	// Three mails leave room for a fourth in a slice that grew by appending.
	account := given(history(pendingSince(noon), mails(2, noon, activationRequest(10, ada, noon)))...)
	before := deepCopy(account)
	remail := func(t time.Time) Recorded {
		return record(account.Revision+1, happened{t, activationRequest(10, ada, noon)})[0]
	}
	one := Evolve(account, remail(noon.Add(time.Hour)))
	oneBefore := deepCopy(one)
	other := Evolve(account, remail(noon.Add(2*time.Hour)))
	Evolve(one, remail(noon.Add(3*time.Hour)))
	if diff := cmp.Diff([]Account{before, oneBefore}, []Account{account, one}, wholeAccount); diff != "" {
		t.Errorf("a future changed what was before it or beside it:\n%s", diff)
	}
	if got := other.Activations[0].MailedAt; got != noon.Add(2*time.Hour) {
		t.Errorf("mailed at %s", got)
	}
}

func TestAppliedKnowsTheCommandsOfTheHistory(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		history := anyHistory.Draw(t, "history")
		account := Fold(NewAccount(id(1)), history...)
		for _, r := range history {
			if !account.Applied(r.Metadata.CommandID) {
				t.Errorf("command of revision %d is forgotten", r.Revision)
			}
		}
		if account.Applied(id(999)) {
			t.Error("a command that never was is applied")
		}
	})
}

// mailing tells the commands that append again on purpose, up to the cap.
func mailing(command Decider) bool {
	switch command.(type) {
	case RequestReset, RequestActivation, RegisterAgain, RequestAddressChange:
		return true
	}
	return false
}

func TestDecisionIsIdempotent(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		account := Fold(NewAccount(id(1)), anyHistory.Draw(t, "history")...)
		now := anyTime.Draw(t, "now")
		command := anyCommand(t, account, now)
		times := 0
		for ; times <= MailsPerHour; times++ {
			events, err := command.Decide(account, now)
			if err != nil || len(events) == 0 {
				break
			}
			account = Fold(account, record(account.Revision+1, at(now, events...)...)...)
		}
		if bound := map[bool]int{true: MailsPerHour, false: 1}[mailing(command)]; times > bound {
			t.Errorf("%T decided %d times in a row, want at most %d", command, times, bound)
		}
	})
}

// life lives an account by commands only and keeps what happened beside the
// fold, to hold the fold to it.
type life struct {
	account Account
	now     time.Time
	history []Recorded
}

func (l *life) command(t *rapid.T) {
	before := deepCopy(l.account)
	events, err := anyCommand(t, l.account, l.now).Decide(l.account, l.now)
	if diff := cmp.Diff(before, l.account, wholeAccount); diff != "" {
		t.Fatalf("deciding changed the account:\n%s", diff)
	}
	if err != nil {
		return
	}
	for _, e := range events {
		l.superseding(t, e)
	}
	recorded := record(l.account.Revision+1, at(l.now, events...)...)
	l.history = append(l.history, recorded...)
	l.account = Fold(l.account, recorded...)
}

// superseding refuses a new reset while half the life of the open one is left.
func (l *life) superseding(t *rapid.T, e Event) {
	request, ok := e.(ResetRequested)
	open := l.account.Reset
	if ok && request.ResetID != open.ID && open.Open(l.now) && halfLeft(open.RequestedAt, open.ExpiresAt, l.now) {
		t.Errorf("%s killed the link of %s with half its life left", request.ResetID, open.ID)
	}
}

func (l *life) wait(t *rapid.T) {
	l.now = l.now.Add(time.Duration(rapid.IntRange(0, 40*60).Draw(t, "seconds")) * time.Second)
}

func (l *life) check(t *rapid.T) {
	if diff := cmp.Diff(Fold(NewAccount(id(1)), l.history...), l.account, wholeAccount); diff != "" {
		t.Errorf("folded from the start (-) and step by step (+):\n%s", diff)
	}
	l.mailsAreCapped(t)
	l.linksAreUsedOnce(t)
	l.addressesAreProved(t)
}

func (l *life) mailsAreCapped(t *rapid.T) {
	var mailed, toNew []time.Time
	for _, r := range l.history {
		switch r.Event.(type) {
		case ActivationRequested, ResetRequested:
			mailed = append(mailed, r.Metadata.OccurredAt)
		case AddressChangeRequested:
			toNew = append(toNew, r.Metadata.OccurredAt)
		}
	}
	capped(t, mailed)
	capped(t, toNew)
}

func capped(t *rapid.T, mailed []time.Time) {
	for i := MailsPerHour; i < len(mailed); i++ {
		if mailed[i].Sub(mailed[i-MailsPerHour]) < time.Hour {
			t.Errorf("more than %d mails in the hour before %s", MailsPerHour, mailed[i])
		}
	}
}

func (l *life) linksAreUsedOnce(t *rapid.T) {
	activations, resets, requested := 0, map[uuid.UUID]int{}, uuid.Nil
	for _, r := range l.history {
		switch e := r.Event.(type) {
		case AccountActivated:
			activations++
		case ResetRequested:
			requested = e.ResetID
		case AddressChanged:
			requested = uuid.Nil
		case PasswordChanged:
			if e.ResetID == nil {
				requested = uuid.Nil
				continue
			}
			if resets[*e.ResetID]++; *e.ResetID != requested || resets[*e.ResetID] > 1 {
				t.Errorf("reset %s used %d times; the newest is %s", e.ResetID, resets[*e.ResetID], requested)
			}
		case AccountDeactivated:
			requested = uuid.Nil
		}
	}
	if activations > 1 {
		t.Errorf("activated %d times", activations)
	}
}

// addressesAreProved holds every change to the newest request, not dead yet.
func (l *life) addressesAreProved(t *rapid.T) {
	var open AddressChangeRequested
	claim, email, ended := "address-k1-00", "ada@example.com", int64(-1)
	for _, r := range l.history {
		switch e := r.Event.(type) {
		case AddressChangeRequested:
			open = e
		case AddressChanged:
			if e.ChangeID != open.ChangeID || e.AddressClaim != open.AddressClaim || e.FormerClaim != claim || !r.Metadata.OccurredAt.Before(open.ExpiresAt) {
				t.Errorf("%+v after %+v of %s", e, open, claim)
			}
			open, claim, email, ended = AddressChangeRequested{}, e.AddressClaim, e.Personal.Value.Email, r.Revision
		case PasswordChanged, AccountDeactivated, AddressChangeAbandoned:
			open = AddressChangeRequested{}
		}
	}
	if l.account.OwnsAddress() && (l.account.AddressClaim != claim || l.account.Email != email || l.account.CredentialRevision < ended) {
		t.Errorf("%s, %q, sessions before %d over; want %s, %q, %d", l.account.AddressClaim, l.account.Email, l.account.CredentialRevision, claim, email, ended)
	}
}

func TestLifeOfAnAccount(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		l := &life{account: NewAccount(id(1)), now: noon}
		if rapid.IntRange(0, 3).Draw(t, "active") > 0 {
			l.history = record(0, activeSince(noon)...)
			l.account = Fold(l.account, l.history...)
		}
		t.Repeat(map[string]func(*rapid.T){"command": l.command, "wait": l.wait, "": l.check})
	})
}

// A stranger can make a stream longer by asking for mails; folding it must not
// cost more per event for that.
func TestFoldOfALongHistory(t *testing.T) {
	const events = 50_000
	dated := mails(events, noon, ResetRequested{id(30), noon})
	start := time.Now()
	account := Fold(NewAccount(id(1)), record(0, dated...)...)
	if took := time.Since(start); took > 2*time.Second {
		t.Errorf("folding %d events took %s", events, took)
	}
	if !account.Applied(id(1000+events-1)) || len(account.MailedAt) != MaxMailsPerHour {
		t.Errorf("%d mails kept", len(account.MailedAt))
	}
}
