package projections

import (
	"time"

	"github.com/google/uuid"
	"pgregory.net/rapid"

	"daybook/domain"
)

// canary is in every personal value of a generated history.
const canary = "Zerlina"

// teller makes a random, valid history: commands are decided by the domain on
// the fold of what was written before, as in the service.
type teller struct {
	*world
	r        *rapid.T
	now      time.Time
	accounts []domain.Account
	sessions map[uuid.UUID]string // the newest of each account
}

// tell writes a random history of some accounts and returns what was stored.
func (w *world) tell(r *rapid.T, steps int) []domain.Stored {
	w.seen = tail(r, w)
	h := &teller{world: w, r: r, now: domain.Micro(time.Now().Add(-220 * 24 * time.Hour)), sessions: map[uuid.UUID]string{}}
	for range rapid.IntRange(1, 4).Draw(r, "accounts") {
		h.accounts = append(h.accounts, domain.NewAccount(uuid.New()))
	}
	for range rapid.IntRange(1, steps).Draw(r, "steps") {
		h.step()
	}
	return w.stored(r)
}

func tail(t failer, w *world) uint64 {
	tail, err := w.repo.Client.Tail(w.ctx)
	if err != nil {
		t.Fatal(err)
	}
	return tail
}

func (h *teller) step() {
	pause := rapid.SampledFrom([]time.Duration{time.Second, 4 * time.Minute, 7 * time.Minute, 11 * time.Minute, 5 * time.Hour, 30 * time.Hour, 9 * 24 * time.Hour})
	h.now = h.now.Add(pause.Draw(h.r, "pause"))
	if last := domain.Micro(time.Now()); h.now.After(last) {
		h.now = last
	}
	i := rapid.IntRange(0, len(h.accounts)-1).Draw(h.r, "account")
	if rapid.IntRange(0, 4).Draw(h.r, "what") == 0 {
		h.access(h.accounts[i].ID)
		return
	}
	events, err := h.command(h.accounts[i]).Decide(h.accounts[i], h.now)
	if err != nil || len(events) == 0 {
		return
	}
	metadata := domain.Metadata{Command: "test", Actor: h.actor(h.accounts[i].ID), Session: h.sessions[h.accounts[i].ID], OccurredAt: h.now}
	recorded := h.append(h.r, domain.AccountStream(h.accounts[i].ID), h.accounts[i].Revision, metadata, events...)
	h.accounts[i] = domain.Fold(h.accounts[i], recorded...)
}

func (h *teller) actor(id uuid.UUID) string {
	return rapid.SampledFrom([]string{
		domain.AccountActor(id), domain.AccountActor(id), domain.ActorAnonymous, domain.OperatorActor("t1"), domain.SystemActor("housekeeping"),
	}).Draw(h.r, "actor")
}

// command draws one that may do something, so that histories get somewhere.
func (h *teller) command(a domain.Account) domain.Decider {
	switch a.Status {
	case domain.StatusNone:
		return rapid.SampledFrom([]domain.Decider{h.register(), h.register(), h.register(), domain.AbandonRegistration{Reason: "lost"}}).Draw(h.r, "first")
	case domain.StatusPending:
		return rapid.SampledFrom(h.whilePending(a)).Draw(h.r, "pending")
	case domain.StatusDeactivated:
		return rapid.SampledFrom([]domain.Decider{domain.Reactivate{Reason: "sorry"}, domain.GrantStaff{Reason: "hired", Staff: true}}).Draw(h.r, "shut")
	}
	return rapid.SampledFrom(h.whileActive(a)).Draw(h.r, "active")
}

func (h *teller) register() domain.Decider {
	return domain.Register{
		AddressClaim: "address-a-00", Email: canary + "@mail.example", Names: h.names(),
		ActivationID: uuid.New(), CredentialID: uuid.New(), ExpiresAt: h.now.Add(24 * time.Hour),
	}
}

func (h *teller) names() domain.Names {
	return domain.Names{FirstName: *h.text("first"), LastName: *h.text("last")}
}

func (h *teller) text(what string) *string {
	return pointer(canary + rapid.SampledFrom([]string{" A", " B", " C"}).Draw(h.r, what))
}

func (h *teller) whilePending(a domain.Account) []domain.Decider {
	attempt := rapid.SampledFrom(a.Activations).Draw(h.r, "attempt")
	activate := domain.Activate{ActivationID: attempt.ID}
	return []domain.Decider{
		domain.RegisterAgain{Names: h.names(), ActivationID: uuid.New(), CredentialID: uuid.New(), ExpiresAt: h.now.Add(24 * time.Hour)},
		domain.RequestActivation{ActivationID: uuid.New(), ExpiresAt: h.now.Add(24 * time.Hour)},
		activate, activate, activate, domain.ExpireRegistration{Reason: "too late", After: 24 * time.Hour},
	}
}

func (h *teller) whileActive(a domain.Account) []domain.Decider {
	ask := domain.RequestReset{ResetID: uuid.New(), ExpiresAt: h.now.Add(10 * time.Minute)}
	reset := domain.ResetPassword{ResetID: a.Reset.ID, CredentialID: uuid.New()}
	return []domain.Decider{
		h.update(), h.update(), h.update(), ask, ask, domain.OpenResetLink{ResetID: a.Reset.ID}, reset, reset,
		domain.ChangePassword{CurrentCredential: a.Credential, CredentialID: uuid.New()},
		domain.Deactivate{Reason: "asked"}, domain.GrantStaff{Reason: "hired", Staff: !a.Staff},
	}
}

// update draws a change of some fields: left alone, cleared or new.
func (h *teller) update() domain.Decider {
	field := func(name string, clearable bool) *string {
		values := []*string{nil, h.text(name)}
		if clearable {
			values = append(values, pointer(""))
		}
		return rapid.SampledFrom(values).Draw(h.r, name)
	}
	return domain.UpdateProfile{
		FirstName: field("first_name", false), LastName: field("last_name", false), PhoneNumber: field("phone", true),
		GithubLink: field("github", true), BirthDate: field("birth", true), Thumbnail: field("thumbnail", true),
	}
}

func (h *teller) access(id uuid.UUID) {
	session := uuid.New()
	from := domain.Seal(domain.Origin{ClientAddress: canary + " address", UserAgent: canary + " agent"})
	event := rapid.SampledFrom([]domain.Event{
		domain.SignedIn{SessionID: session, Cause: "password", Personal: from},
		domain.SignedIn{SessionID: session, Cause: "password", Personal: from},
		domain.SignedOut{SessionID: session, Cause: "request", Personal: from},
		domain.SessionEnded{SessionID: session, Cause: "elsewhere", Personal: from},
		domain.SignInRefused{Count: 3, From: h.now.Add(-time.Minute), To: h.now},
	}).Draw(h.r, "access")
	if _, ok := event.(domain.SignedIn); ok {
		h.sessions[id] = session.String()
	}
	h.append(h.r, domain.AccessStream(id), domain.AnyRevision, domain.Metadata{
		Command: "test", Actor: domain.AccountActor(id), Session: session.String(), OccurredAt: h.now,
	}, event)
}
