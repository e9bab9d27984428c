package eventstore

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

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
}

// Identify reads the store's identity. The first process to do so on an empty
// store gives it one; keys that the store does not know yet are noted. A store
// that was used with other keys is refused.
func (r *Repository) Identify(ctx context.Context, namespace string, fingerprints map[string]string, producer string) (Identity, error) {
	for {
		identity, revision, err := r.readIdentity(ctx)
		if err != nil {
			return Identity{}, err
		}
		var events []domain.Event
		if revision == domain.NoStream {
			events = []domain.Event{domain.StoreOpened{StoreID: uuid.New(), Namespace: namespace, Fingerprints: fingerprints}}
		} else if events, err = identity.compare(namespace, fingerprints); err != nil || len(events) == 0 {
			return identity, err
		}
		_, err = r.Append(ctx, domain.Append{Stream: domain.StoreStream, Expected: revision, Events: events, Metadata: storeMetadata("OpenStore", producer)})
		if err != nil && !errors.Is(err, domain.ErrConflict) {
			return Identity{}, err
		}
	}
}

// readIdentity skips what operators did: that may be much.
func (r *Repository) readIdentity(ctx context.Context) (Identity, int64, error) {
	identity, revision := Identity{Fingerprints: map[string]string{}}, domain.NoStream
	for stored, err := range r.Client.ReadStream(ctx, domain.StoreStream, 0) {
		if err != nil {
			return Identity{}, 0, unavailable(err)
		}
		revision = stored.Revision
		if stored.Type != domain.NameOf(domain.StoreOpened{}) && stored.Type != domain.NameOf(domain.KeyRotated{}) {
			continue
		}
		recorded, err := domain.Decode(stored, nothingSealed)
		if err != nil {
			return Identity{}, 0, err
		}
		identity.learn(recorded.Event)
	}
	return identity, revision, nil
}

func nothingSealed([]byte) ([]byte, error) {
	return nil, errors.New("a store's own events have no sealed part")
}

func (i *Identity) learn(event domain.Event) {
	switch e := event.(type) {
	case domain.StoreOpened:
		if i.StoreID != uuid.Nil {
			i.Former = append(i.Former, i.StoreID)
		}
		i.StoreID, i.Namespace = e.StoreID, e.Namespace
		maps.Copy(i.Fingerprints, e.Fingerprints)
	case domain.KeyRotated:
		i.Fingerprints[e.KeyID] = e.Fingerprint
	}
}

// compare refuses other keys and returns what is new. Of each kind at least one
// key must be known: a wholly new set means that the old one was lost.
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
	return added, nil
}
