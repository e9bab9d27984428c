package eventstore

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	"daybook/domain"
)

// Identity is what a store says of itself.
type Identity struct {
	StoreID uuid.UUID
	// Former are the ids of the stores that this one's history was copied from.
	Former    []uuid.UUID
	Namespace string
	// Fingerprints maps "kind:key id" to the fingerprint of each key that the
	// store has been used with.
	Fingerprints map[string]string
	// Current maps each kind to the id of the key that is current, Since to when it
	// became so (the zero time: with the store), and Coming to those that may follow.
	Current map[string]string
	Since   map[string]time.Time
	Coming  map[string][]string
	// revision of the last event of the store's stream that was seen.
	revision int64
}

func unknownIdentity() Identity {
	return Identity{
		Fingerprints: map[string]string{}, Current: map[string]string{}, Since: map[string]time.Time{}, Coming: map[string][]string{},
		revision: domain.NoStream,
	}
}

// IsComing reports whether the key may become the current one.
func (i Identity) IsComing(kind, id string) bool { return slices.Contains(i.Coming[kind], id) }

// clone keeps the past from changing with what is learned of it.
func (i Identity) clone() Identity {
	i.Former, i.Fingerprints, i.Current = slices.Clone(i.Former), maps.Clone(i.Fingerprints), maps.Clone(i.Current)
	i.Since, i.Coming = maps.Clone(i.Since), maps.Clone(i.Coming)
	return i
}

// Identify reads the store's identity. The first process to do so on an empty
// store gives it one; keys that the store does not know yet are noted. A store
// that was used with other keys is refused, and a set without a key that others use.
func (r *Repository) Identify(ctx context.Context, namespace string, fingerprints map[string]string, producer string) (Identity, error) {
	identity, err := r.Reidentify(ctx, unknownIdentity(), namespace, fingerprints, producer)
	if err != nil {
		return Identity{}, err
	}
	return identity, identity.complete(fingerprints)
}

// Reidentify does the same behind what is known already: one read when nothing is new.
// A process that runs may lack keys that are coming: they do not come before it knows.
func (r *Repository) Reidentify(ctx context.Context, known Identity, namespace string, fingerprints map[string]string, producer string) (Identity, error) {
	for {
		identity, err := r.readIdentity(ctx, known)
		if err != nil {
			return Identity{}, err
		}
		var events []domain.Event
		if identity.revision == domain.NoStream {
			events = []domain.Event{domain.StoreOpened{StoreID: uuid.New(), Namespace: namespace, Fingerprints: fingerprints}}
		} else if events, err = identity.compare(namespace, fingerprints); err != nil || len(events) == 0 {
			return identity, err
		}
		_, err = r.Append(ctx, domain.Append{Stream: domain.StoreStream, Expected: identity.revision, Events: events, Metadata: storeMetadata("OpenStore", producer)})
		if err != nil && !errors.Is(err, domain.ErrConflict) {
			return Identity{}, err
		}
	}
}

// MakeCurrent makes the key, written kind:id, the current one of its kind, if the
// store's stream is still what the identity was read from: else domain.ErrConflict.
func (r *Repository) MakeCurrent(ctx context.Context, at Identity, key, producer string) error {
	_, err := r.Append(ctx, domain.Append{
		Stream: domain.StoreStream, Expected: at.revision, Events: []domain.Event{domain.KeyMadeCurrent{KeyID: key}},
		Metadata: storeMetadata("MakeKeyCurrent", producer),
	})
	return err
}

// readIdentity skips what operators did: that may be much.
func (r *Repository) readIdentity(ctx context.Context, known Identity) (Identity, error) {
	identity := known.clone()
	for stored, err := range r.Client.ReadStream(ctx, domain.StoreStream, known.revision+1) {
		if err != nil {
			return Identity{}, unavailable(err)
		}
		identity.revision = stored.Revision
		if !identifies(stored.Type) {
			continue
		}
		recorded, err := domain.Decode(stored, nothingSealed)
		if err != nil {
			return Identity{}, err
		}
		identity.learn(recorded)
	}
	return identity, nil
}

func identifies(name string) bool {
	return name == domain.NameOf(domain.StoreOpened{}) || name == domain.NameOf(domain.KeyRotated{}) || name == domain.NameOf(domain.KeyMadeCurrent{})
}

func nothingSealed([]byte) ([]byte, error) {
	return nil, errors.New("a store's own events have no sealed part")
}

func (i *Identity) learn(r domain.Recorded) {
	switch e := r.Event.(type) {
	case domain.StoreOpened:
		first := i.StoreID == uuid.Nil
		if !first {
			i.Former = append(i.Former, i.StoreID)
		}
		i.StoreID, i.Namespace = e.StoreID, e.Namespace
		maps.Copy(i.Fingerprints, e.Fingerprints)
		if first {
			i.open()
		}
	case domain.KeyRotated:
		i.Fingerprints[e.KeyID] = e.Fingerprint
		kind, id, _ := strings.Cut(e.KeyID, ":")
		i.Coming[kind] = append(slices.Clone(i.Coming[kind]), id)
	case domain.KeyMadeCurrent:
		kind, id, _ := strings.Cut(e.KeyID, ":")
		i.Current[kind], i.Since[kind], i.Coming[kind] = id, r.Metadata.OccurredAt, nil
	}
}

// open decides which key of a new store is current: the event does not know their
// order. Of several it is the first by id, and the others may follow.
func (i *Identity) open() {
	for _, key := range slices.Sorted(maps.Keys(i.Fingerprints)) {
		kind, id, _ := strings.Cut(key, ":")
		if i.Current[kind] == "" {
			i.Current[kind] = id
		} else {
			i.Coming[kind] = append(i.Coming[kind], id)
		}
	}
}

// compare refuses other keys and returns what is new. Of each kind the current key must
// be among them, since others use it.
func (i Identity) compare(namespace string, fingerprints map[string]string) ([]domain.Event, error) {
	if namespace != i.Namespace {
		return nil, fmt.Errorf("DAYBOOK_NAMESPACE is %q, but this event store was opened with %q; set it back", namespace, i.Namespace)
	}
	known, added := map[string]bool{}, []domain.Event{}
	for _, id := range slices.Sorted(maps.Keys(fingerprints)) {
		kind, _, _ := strings.Cut(id, ":")
		switch stored, ok := i.Fingerprints[id]; {
		case !ok:
			added = append(added, domain.KeyRotated{KeyID: id, Fingerprint: fingerprints[id]})
		case stored != fingerprints[id]:
			return nil, fmt.Errorf("the %s key %q is not the one this event store was opened with; set DAYBOOK_%s_KEYS to the keys it was used with (in the data directory: keys.json), or use the store that belongs to these keys",
				kind, id, strings.ToUpper(kind))
		default:
			known[kind] = true
		}
	}
	for id := range fingerprints {
		if kind, _, _ := strings.Cut(id, ":"); !known[kind] {
			return nil, fmt.Errorf("none of the %s keys is one that this event store was opened with; add the former keys behind the new ones in DAYBOOK_%s_KEYS", kind, strings.ToUpper(kind))
		}
	}
	for _, kind := range slices.Sorted(maps.Keys(i.Current)) {
		if id := i.Current[kind]; fingerprints[kind+":"+id] == "" {
			return nil, fmt.Errorf("the current %s key %q is missing; keep it behind the new ones in DAYBOOK_%s_KEYS until daybook keys list says that it is not current any more", kind, id, strings.ToUpper(kind))
		}
	}
	return added, nil
}

// complete refuses a set that lacks keys under which others claim addresses already.
func (i Identity) complete(fingerprints map[string]string) error {
	for _, id := range i.Coming[addressKeys] {
		if fingerprints[addressKeys+":"+id] == "" {
			return fmt.Errorf("the address key %q is missing, under which addresses are claimed by now; add it in DAYBOOK_ADDRESS_KEYS", id)
		}
	}
	return nil
}

// addressKeys is the kind of keys that name claim streams.
const addressKeys = "address"
