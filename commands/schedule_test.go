package commands_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"slices"
	"time"

	"github.com/google/uuid"

	"daybook/commands"
	"daybook/domain"
)

// fate is what becomes of one store call.
type fate int

const (
	// runs: the call is carried out and answered.
	runs fate = iota
	// crashes: the client is gone before the call. That covers a crash after the
	// call before, whose answer nobody has seen.
	crashes
	// loses: the call is carried out, its answer is lost; the client repeats the
	// command.
	loses
	// fails: the call is not carried out; the client repeats the command.
	fails
)

// choice is one step of a schedule: whose call is next, and its fate.
type choice struct {
	client int
	fate   fate
}

var errLost = errors.New("no answer")

// call waits at the gate for its turn.
type call struct {
	client int
	write  bool
	stream string
	run    func()
	turn   chan fate
}

// actor is what a client does, again and again while it has no answer.
type actor struct {
	run func(h *commands.Handler) error
	// refusals are answers that may be right; trying later always is.
	refusals []error
	// forgets says that it begins anew after each claim, see nextRound.
	forgets bool
	// done says what must hold in the end when it was told that it succeeded.
	done func(s *memoryStore) error
}

// registrant registers the address.
func registrant(i int) actor {
	return actor{forgets: true, refusals: []error{domain.ErrAddressTaken}, run: func(h *commands.Handler) error {
		return h.Register(context.Background(), callerNumber(i), registration(ada))
	}}
}

func registrants(n int) []actor {
	actors := make([]actor, n)
	for i := range actors {
		actors[i] = registrant(i)
		actors[i].refusals = nil // nobody has proved the address
	}
	return actors
}

// schedule runs clients that want one address, one store call at a time, in the
// order that choose says. It must run in a synctest bubble: the clients' pauses
// cost no time there.
type schedule struct {
	clients []actor
	// views are the keys of addresses that each client knows, the current one first;
	// nil for one and the same.
	views [][]string
	store *memoryStore
	// before, when set, is what has happened already.
	before func(s *memoryStore)
	choose func(state func() uint64, last int, options []choice) (choice, bool)

	arrived  chan call
	finished chan outcome
	seen     []uint64 // per client: all that it has been told
	told     []bool   // per client: it succeeded
	faulty   []bool   // per client: has had its fault
	waiting  map[int]call
}

type outcome struct {
	client int
	err    error
	gone   bool
}

var errCutShort = errors.New("schedule cut short")

// run returns what was violated, or errCutShort when choose wants no more.
func (s *schedule) run() error {
	s.store.reset()
	if s.before != nil {
		s.before(s.store)
	}
	s.arrived, s.finished = make(chan call), make(chan outcome)
	n := len(s.clients)
	s.seen, s.told, s.faulty, s.waiting = make([]uint64, n), make([]bool, n), make([]bool, n), map[int]call{}
	for i := range s.clients {
		go s.client(i)
	}
	err := s.steps(n)
	for _, c := range s.waiting { // only when cut short
		c.turn <- crashes
		<-s.finished
	}
	if err != nil {
		return err
	}
	err = s.handler(s.store).Register(context.Background(), callerNumber(n), registration(ada))
	if err != nil && !errors.Is(err, domain.ErrAddressTaken) {
		return fmt.Errorf("a later registrant is refused: %w", err)
	}
	return s.checkEnd()
}

func (s *schedule) checkEnd() error {
	for i, client := range s.clients {
		if s.told[i] && client.done != nil {
			if err := client.done(s.store); err != nil {
				return fmt.Errorf("client %d was told that it succeeded: %w", i, err)
			}
		}
	}
	return s.store.checkEnd()
}

// allowed reports whether the answer may be right. Clients that fence each other
// again and again are told to try later; that a later one gets through is checked
// in the end.
func (a actor) allowed(err error) bool {
	return err == nil || domain.IsKind(err, domain.KindUnavailable) ||
		slices.ContainsFunc(a.refusals, func(refusal error) bool { return errors.Is(err, refusal) })
}

func (s *schedule) steps(running int) error {
	last := -1
	for {
		for ; running > 0; running-- {
			select {
			case c := <-s.arrived:
				s.waiting[c.client] = c
			case o := <-s.finished:
				if !s.clients[o.client].allowed(o.err) {
					return fmt.Errorf("client %d is refused: %w", o.client, o.err)
				}
				s.seen[o.client], s.told[o.client] = finished, o.err == nil && !o.gone
			}
		}
		if s.store.violation != nil || len(s.waiting) == 0 {
			return s.store.violation
		}
		chosen, ok := s.choose(s.state, last, s.options(last))
		if !ok {
			return errCutShort
		}
		last = chosen.client
		s.grant(chosen)
		running = 1
	}
}

// options lists what can be next. The first goes on with the last client.
func (s *schedule) options(last int) []choice {
	var options []choice
	for i := range s.clients {
		client := (max(last, 0) + i) % len(s.clients)
		c, ok := s.waiting[client]
		if !ok {
			continue
		}
		options = append(options, choice{client, runs})
		if s.faulty[client] {
			continue
		}
		options = append(options, choice{client, crashes}, choice{client, fails})
		if c.write {
			options = append(options, choice{client, loses})
		}
	}
	return options
}

func (s *schedule) grant(chosen choice) {
	c := s.waiting[chosen.client]
	delete(s.waiting, chosen.client)
	if chosen.fate == runs || chosen.fate == loses {
		c.run()
	}
	switch {
	case chosen.fate != runs:
		s.faulty[c.client] = true
		s.seen[c.client] = interrupted
	case c.write && domain.IsAddressStream(c.stream) && s.clients[c.client].forgets:
		s.seen[c.client] = nextRound
	default:
		s.seen[c.client] = mix(s.seen[c.client], mixString(c.stream), s.store.digests[c.stream], uint64(chosen.fate))
	}
	c.turn <- chosen.fate
}

// What a client has seen is the sum of its answers; it acts on nothing else. At
// these moments Register remembers only which account id it tries, and that is
// in its next call.
const (
	finished = iota
	interrupted
	nextRound
)

// state tells two states of clients and store apart.
func (s *schedule) state() uint64 {
	sum := s.store.digest()
	for i := range s.clients {
		fault := uint64(0)
		if s.faulty[i] {
			fault = 1
		}
		sum = mix(sum, s.seen[i], fault, mixString(s.waiting[i].stream))
	}
	return sum
}

// client repeats the same command while it has no answer.
func (s *schedule) client(i int) {
	result := outcome{client: i, gone: true}
	defer func() { s.finished <- result }()
	h := s.handler(gate{s, i})
	for {
		err := s.clients[i].run(h)
		if !errors.Is(err, errLost) {
			result = outcome{client: i, err: err}
			return
		}
	}
}

func callerNumber(i int) commands.Caller {
	c := commands.Caller{Actor: domain.ActorAnonymous}
	c.CommandID = uuid.NewSHA1(uuid.Nil, []byte{byte(i)})
	return c
}

var noon = time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC)

func (s *schedule) handler(store commands.Store) *commands.Handler {
	return &commands.Handler{
		Store: store, Credentials: noCredentials{}, Passwords: noPasswords{}, Notices: &notices{}, Tokens: noTokens{}, Sessions: noSessions{}, Vault: noVault{},
		Config: commands.Config{IDKey: make([]byte, 32)}, Now: func() time.Time { return noon },
		Logger: slog.New(slog.DiscardHandler),
	}
}

// noCredentials and noPasswords: what is staged decides nothing about claims.
type noCredentials struct{ commands.Credentials }

func (noCredentials) Stage(context.Context, domain.Credential) error { return nil }

type noPasswords struct{ commands.Passwords }

func (noPasswords) Hash(context.Context, string) (string, error) { return "hash", nil }

type noVault struct{ commands.Vault }

func (noVault) Erase(context.Context, uuid.UUID, domain.Farewell) error { return nil }

type noTokens struct{ commands.Tokens }

func (noTokens) Matches(context.Context, string, domain.Purpose, uuid.UUID, uuid.UUID, time.Time) (bool, error) {
	return true, nil
}

type noSessions struct{ commands.Sessions }

func (noSessions) Suspect(context.Context, uuid.UUID, int64) error { return nil }

func (noSessions) Settle(context.Context, domain.Account) error { return nil }

func (noSessions) EndOthers(context.Context, domain.Account, uuid.UUID) ([]domain.EndedSession, error) {
	return nil, nil
}

// gate lets a client's store calls through one at a time.
type gate struct {
	s      *schedule
	client int
}

func (g gate) pass(write bool, stream string, run func()) error {
	c := call{client: g.client, write: write, stream: stream, run: run, turn: make(chan fate)}
	g.s.arrived <- c
	switch <-c.turn {
	case crashes:
		runtime.Goexit()
	case loses, fails:
		return errLost
	}
	return nil
}

func (g gate) Account(ctx context.Context, id uuid.UUID) (account domain.Account, err error) {
	lost := g.pass(false, domain.AccountStream(id), func() { account, err = g.s.store.Account(ctx, id) })
	return account, errors.Join(err, lost)
}

func (g gate) Claim(ctx context.Context, email domain.Email) (claim domain.Claim, err error) {
	return g.claimUnder(ctx, g.view()[0], email)
}

func (g gate) claimUnder(ctx context.Context, key string, email domain.Email) (claim domain.Claim, err error) {
	claim, err = g.ClaimAt(ctx, claimOf(email)+key)
	claim.Canonical = email.Canonical
	return claim, err
}

func (g gate) Claims(ctx context.Context, email domain.Email) (claims []domain.Claim, err error) {
	for _, key := range g.view() {
		claim, err := g.claimUnder(ctx, key, email)
		if err != nil {
			return nil, err
		}
		claims = append(claims, claim)
	}
	return claims, nil
}

func (g gate) OnlyClaim(stream string) (bool, error) { return g.s.store.OnlyClaim(stream) }

func (g gate) view() []string {
	if g.s.views == nil {
		return keysOf(nil)
	}
	return g.s.views[g.client]
}

func (g gate) ClaimAt(ctx context.Context, stream string) (claim domain.Claim, err error) {
	lost := g.pass(false, stream, func() { claim, err = g.s.store.ClaimAt(ctx, stream) })
	return claim, errors.Join(err, lost)
}

func (g gate) Remains(ctx context.Context, id uuid.UUID) (remains domain.Remains, err error) {
	lost := g.pass(false, domain.AccountStream(id), func() { remains, err = g.s.store.Remains(ctx, id) })
	return remains, errors.Join(err, lost)
}

func (g gate) Append(ctx context.Context, a domain.Append) (recorded []domain.Recorded, err error) {
	lost := g.pass(true, a.Stream, func() { recorded, err = g.s.store.Append(ctx, a) })
	if lost != nil {
		return nil, lost
	}
	return recorded, err
}
