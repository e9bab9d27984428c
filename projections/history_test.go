package projections

import (
	"math/rand/v2"
	"time"

	"github.com/google/uuid"
	"pgregory.net/rapid"

	"daybook/domain"
)

// canary is in every personal value of a generated history.
const canary = "Zerlina"

// teller makes a random, valid history: commands are decided by the domain on
// the fold of what was written before, as in the service. How many steps it has
// is drawn by rapid, which shortens failing ones; the steps themselves come from
// an even generator, for rapid prefers the first of everything.
type teller struct {
	*world
	r        *rapid.T
	chance   *rand.Rand
	now      time.Time
	accounts []domain.Account
	sessions map[uuid.UUID]string // the newest of each account
}

// tell writes a random history of some accounts and returns what was stored.
func (w *world) tell(r *rapid.T, steps int) []domain.Stored {
	w.seen = tail(r, w)
	seed := rapid.Uint64().Draw(r, "seed")
	h := &teller{
		world: w, r: r, chance: rand.New(rand.NewPCG(seed, 0)), sessions: map[uuid.UUID]string{},
		now: domain.Micro(time.Now().Add(-220 * 24 * time.Hour)),
	}
	for range 1 + h.chance.IntN(3) {
		h.accounts = append(h.accounts, domain.NewAccount(uuid.New()))
	}
	for range steps - rapid.IntRange(0, steps-1).Draw(r, "steps left out") {
		h.step()
	}
	return w.stored(r)
}

// pick takes one of the values.
func pick[T any](h *teller, values ...T) T { return values[h.chance.IntN(len(values))] }

func tail(t failer, w *world) uint64 {
	tail, err := w.repo.Client.Tail(w.ctx)
	if err != nil {
		t.Fatal(err)
	}
	return tail
}

func (h *teller) step() {
	h.now = h.now.Add(pick(h, time.Second, 5*time.Second, 20*time.Second, time.Minute, 2*time.Minute, 3*time.Minute,
		4*time.Minute, 7*time.Minute, 11*time.Minute, 5*time.Hour, 30*time.Hour))
	if h.chance.IntN(20) == 0 {
		h.now = h.now.AddDate(0, 0, 40)
	}
	if last := domain.Micro(time.Now()); h.now.After(last) {
		h.now = last
	}
	i := h.chance.IntN(len(h.accounts))
	if h.accounts[i].Status == domain.StatusErased && h.chance.IntN(2) == 0 { // somebody else comes
		i = len(h.accounts)
		h.accounts = append(h.accounts, domain.NewAccount(uuid.New()))
	}
	if h.chance.IntN(20) == 0 { // no view is built from these
		h.append(h.r, domain.AddressStream("a", []byte{byte(h.chance.Int())}), domain.AnyRevision, domain.Metadata{OccurredAt: h.now},
			domain.AddressClaimed{AccountID: h.accounts[i].ID})
		return
	}
	if h.chance.IntN(5) == 0 {
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
	return pick(h, domain.AccountActor(id), domain.AccountActor(id), domain.ActorAnonymous, domain.OperatorActor("t1"), domain.SystemActor("housekeeping"))
}

// command draws one that may do something, so that histories get somewhere.
func (h *teller) command(a domain.Account) domain.Decider {
	switch a.Status {
	case domain.StatusNone:
		if h.chance.IntN(10) == 0 {
			return domain.AbandonRegistration{Reason: "lost"}
		}
		return h.register()
	case domain.StatusPending:
		return pick(h, h.whilePending(a)...)
	case domain.StatusDeactivated:
		return pick[domain.Decider](h, domain.Reactivate{Reason: "sorry"}, domain.GrantStaff{Reason: "hired", Staff: !a.Staff})
	}
	if h.chance.IntN(25) == 0 {
		return domain.Erase{Reason: domain.ReasonOwner}
	}
	return pick(h, h.whileActive(a)...)
}

func (h *teller) register() domain.Decider {
	return domain.Register{
		AddressClaim: "address-mail-00", Email: canary + "@mail.example", Names: h.names(),
		ActivationID: uuid.New(), CredentialID: uuid.New(), ExpiresAt: h.now.Add(24 * time.Hour),
	}
}

func (h *teller) names() domain.Names {
	return domain.Names{FirstName: *h.text(), LastName: *h.text()}
}

func (h *teller) text() *string { return pointer(canary + pick(h, " A", " B", " C")) }

func (h *teller) whilePending(a domain.Account) []domain.Decider {
	activate := domain.Activate{ActivationID: pick(h, a.Activations...).ID}
	return []domain.Decider{
		domain.RegisterAgain{Names: h.names(), ActivationID: uuid.New(), CredentialID: uuid.New(), ExpiresAt: h.now.Add(24 * time.Hour)},
		domain.RequestActivation{ActivationID: uuid.New(), ExpiresAt: h.now.Add(24 * time.Hour)},
		activate, activate, activate, domain.ExpireRegistration{Reason: "too late", After: 24 * time.Hour},
	}
}

func (h *teller) whileActive(a domain.Account) []domain.Decider {
	ask := domain.RequestReset{ResetID: uuid.New(), ExpiresAt: h.now.Add(10 * time.Minute)}
	reset := domain.ResetPassword{ResetID: a.Reset.ID, CredentialID: uuid.New()}
	if a.Reset.Open(h.now) && h.chance.IntN(2) == 0 {
		return []domain.Decider{ask, domain.OpenResetLink{ResetID: a.Reset.ID}, domain.OpenResetLink{ResetID: a.Reset.ID}, reset}
	}
	return []domain.Decider{
		h.update(), h.update(), h.update(), ask, ask, ask, ask,
		domain.ChangePassword{CurrentCredential: a.Credential, CredentialID: uuid.New()},
		domain.Deactivate{Reason: "asked"}, domain.GrantStaff{Reason: "hired", Staff: !a.Staff},
		h.askAddress(a), h.askAddress(a), domain.ChangeAddress{ChangeID: a.AddressChange.ID}, domain.ChangeAddress{ChangeID: a.AddressChange.ID},
		domain.AbandonAddressChange{ChangeID: a.AddressChange.ID, Reason: "late"},
	}
}

func (h *teller) askAddress(a domain.Account) domain.Decider {
	name := pick(h, "mail", "a", "b", "c")
	return domain.RequestAddressChange{
		ChangeID: uuid.New(), AddressClaim: "address-" + name + "-00", Email: canary + "@" + name + ".example",
		CurrentCredential: a.Credential, ExpiresAt: h.now.Add(24 * time.Hour),
	}
}

// update draws a change of some fields: left alone, cleared or new.
func (h *teller) update() domain.Decider {
	name := func() *string { return pick(h, nil, h.text()) }
	other := func() *string { return pick(h, nil, h.text(), pointer("")) }
	return domain.UpdateProfile{
		FirstName: name(), LastName: name(), PhoneNumber: other(), GithubLink: other(), BirthDate: other(), Thumbnail: other(),
	}
}

func (h *teller) access(id uuid.UUID) {
	session := uuid.New()
	from := domain.Seal(domain.Origin{ClientAddress: canary + " address", UserAgent: canary + " agent"})
	event := pick[domain.Event](h,
		domain.SignedIn{SessionID: session, Cause: "password", Personal: from},
		domain.SignedIn{SessionID: session, Cause: "password", Personal: from},
		domain.SignedOut{SessionID: session, Cause: "request", Personal: from},
		domain.SessionEnded{SessionID: session, Cause: "elsewhere", Personal: from},
		domain.SignInRefused{Count: 3, From: h.now.Add(-time.Minute), To: h.now},
	)
	if _, ok := event.(domain.SignedIn); ok {
		h.sessions[id] = session.String()
	}
	h.append(h.r, domain.AccessStream(id), domain.AnyRevision, domain.Metadata{
		Command: "test", Actor: domain.AccountActor(id), Session: session.String(), OccurredAt: h.now,
	}, event)
}
