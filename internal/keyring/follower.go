package keyring

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/google/uuid"

	"daybook/domain"
	"daybook/internal/eventstore"
)

// interval is how often a process looks for new keys and tells of itself.
const interval = time.Second

// ErrNotFresh refuses what needs to know the keys that all others use.
var ErrNotFresh = domain.Refuse(domain.KindUnavailable, "keys_unknown", "The service cannot be reached right now. Try again in a moment")

// Follower keeps the rings of one process. Its exported fields are set before Start.
type Follower struct {
	Repository *eventstore.Repository
	Holders    Holders
	Rings      Rings
	// Read reads the keys from where they are kept.
	Read      func() (Sets, error)
	Namespace string
	Producer  string
	Logger    *slog.Logger

	process  uuid.UUID
	sets     Sets // as they are in use
	identity eventstore.Identity
	told     atomic.Int64 // nanoseconds after began
	began    time.Time
	trouble  string // what was logged last
}

// Announce makes the process count before it has read what the store says: from then on
// no key becomes current that it does not know.
func (f *Follower) Announce(ctx context.Context) error {
	f.process, f.began = uuid.New(), time.Now()
	return f.Holders.Tell(ctx, f.process, []string{}, []string{})
}

// Start reads who the store is, notes keys that are new to it and brings the rings into
// its order. Other keys than the store's are refused.
func (f *Follower) Start(ctx context.Context) (_ eventstore.Identity, err error) {
	if f.sets, err = f.Read(); err != nil {
		return eventstore.Identity{}, err
	}
	f.identity, err = f.Repository.Identify(ctx, f.Namespace, f.sets.Fingerprints(), f.Producer)
	if err != nil {
		return eventstore.Identity{}, err
	}
	f.Rings.replace(f.sets.ordered(f.identity))
	return f.identity, nil
}

// Run follows until the context ends. Start went before; Leave comes when all work has
// ended.
func (f *Follower) Run(ctx context.Context) error {
	tick := time.NewTicker(interval)
	defer tick.Stop()
	for ctx.Err() == nil {
		f.report(ctx, f.Step(ctx))
		select {
		case <-tick.C:
		case <-ctx.Done():
		}
	}
	return nil
}

// Leave takes back that the process counts. It may be called more than once.
func (f *Follower) Leave(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
	defer cancel()
	_ = f.Holders.Leave(ctx, f.process) // else the row ends by itself
}

// report logs a trouble once, not every second.
func (f *Follower) report(ctx context.Context, err error) {
	if err == nil || ctx.Err() != nil {
		f.trouble = ""
		return
	}
	if f.trouble != err.Error() {
		f.trouble = err.Error()
		f.Logger.WarnContext(ctx, "keys are not followed, the former ones stay in use", slog.Any("error", err))
	}
}

// Step looks once: it takes up what is new, tells of it and makes current what may be.
// Keys that cannot be taken up do not keep the process from following with those it has.
func (f *Follower) Step(ctx context.Context) error {
	asked := time.Since(f.began)
	problem, err := f.take(ctx)
	if err != nil {
		return errors.Join(problem, err)
	}
	ordered := f.sets.ordered(f.identity)
	if err := f.Holders.Tell(ctx, f.process, ordered.known(), ordered.current()); err != nil {
		return errors.Join(problem, err)
	}
	f.told.Store(int64(asked))
	return errors.Join(problem, f.Promote(ctx))
}

// take brings the rings up to date. The problem is with what was read.
func (f *Follower) take(ctx context.Context) (problem, err error) {
	sets, problem := f.Read()
	if problem == nil {
		problem = f.keeps(sets)
	}
	if problem == nil {
		identity, err := f.reidentify(ctx, sets)
		if err == nil {
			f.adopt(ctx, sets, identity)
			return nil, nil
		}
		problem = err
	}
	identity, err := f.reidentify(ctx, f.sets)
	if err == nil {
		f.adopt(ctx, f.sets, identity)
	}
	return problem, err
}

func (f *Follower) reidentify(ctx context.Context, sets Sets) (eventstore.Identity, error) {
	return f.Repository.Reidentify(ctx, f.identity, f.Namespace, sets.Fingerprints(), f.Producer)
}

// keeps refuses to forget a coming key of addresses: that all claim under it may have
// been relied upon.
func (f *Follower) keeps(sets Sets) error {
	for _, id := range f.identity.Coming[Address] {
		_, had := f.sets[Address].Find(id)
		if _, has := sets[Address].Find(id); had && !has {
			return fmt.Errorf("the address key %s is missing, under which addresses are claimed by now; to give it up: daybook keys retire address %s", id, id)
		}
	}
	return nil
}

func (f *Follower) adopt(ctx context.Context, sets Sets, identity eventstore.Identity) {
	for _, kind := range Kinds() {
		if f.identity.Current[kind] != identity.Current[kind] || sets[kind].String() != f.sets[kind].String() {
			f.Logger.InfoContext(ctx, "keys are taken up", slog.String("kind", kind), slog.String("current", identity.Current[kind]), slog.Any("known", sets[kind]))
		}
	}
	f.sets, f.identity = sets, identity
	f.Rings.replace(sets.ordered(identity))
}

// Promote makes wanted keys current that all living processes know. Keys of addresses
// wait for the claims under them.
func (f *Follower) Promote(ctx context.Context) error {
	for _, kind := range []string{Master, Token} {
		if wanted := f.Wanted(kind); f.identity.IsComing(kind, wanted) {
			if err := f.MakeCurrent(ctx, kind, wanted); err != nil && !errors.Is(err, errIgnorant) {
				return err
			}
		}
	}
	return nil
}

// Wanted is the key that stands first.
func (f *Follower) Wanted(kind string) string { return f.sets[kind].Current().ID }

var errIgnorant = errors.New("a running process does not know the key")

// MakeCurrent makes the key current, unless a living process does not know it.
func (f *Follower) MakeCurrent(ctx context.Context, kind, id string) error {
	for {
		ignorant, err := f.Holders.Ignorant(ctx, kind+":"+id)
		if err != nil {
			return err
		}
		if ignorant > 0 {
			return fmt.Errorf("%w: %s key %s", errIgnorant, kind, id)
		}
		errMake := f.Repository.MakeCurrent(ctx, f.identity, kind+":"+id, f.Producer)
		if errMake != nil && !errors.Is(errMake, domain.ErrConflict) {
			return fmt.Errorf("make the %s key %s current: %w", kind, id, errMake)
		}
		if _, err := f.take(ctx); err != nil || errMake == nil {
			return err
		}
		if f.identity.Current[kind] == id && len(f.identity.Coming[kind]) == 0 {
			return nil // somebody else did it
		}
	}
}

// Identity is what the store said last. It is for whoever does not Run.
func (f *Follower) Identity() eventstore.Identity { return f.identity }

// Fresh fails while others may take this process for gone.
func (f *Follower) Fresh() error {
	if time.Since(f.began)-time.Duration(f.told.Load()) > Life/2 {
		return ErrNotFresh
	}
	return nil
}
