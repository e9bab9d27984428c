package eventstore_test

import (
	"errors"
	"maps"
	"strings"
	"sync"
	"testing"

	"github.com/google/uuid"

	"daybook/domain"
	"daybook/internal/eventstore"
	"daybook/internal/testkit"
)

// prints are the fingerprints of three keys.
func prints(change ...string) map[string]string {
	p := map[string]string{"master:m1": "aa", "token:t1": "bb", "address:a1": "cc"}
	for i := 0; i < len(change); i += 2 {
		p[change[i]] = change[i+1]
	}
	return p
}

func without(p map[string]string, id string) map[string]string {
	p = maps.Clone(p)
	delete(p, id)
	return p
}

func TestIdentify(t *testing.T) {
	r := testkit.Repository(t, testkit.Database(t))
	ctx := within(t, patience)
	identity, err := r.Identify(ctx, "shop", prints(), "test")
	if err != nil || identity.StoreID == uuid.Nil || identity.Namespace != "shop" || !maps.Equal(identity.Fingerprints, prints()) {
		t.Fatalf("opened %+v, %v", identity, err)
	}
	again, err := r.Identify(ctx, "shop", prints(), "test")
	if err != nil || again.StoreID != identity.StoreID || storeEvents(t, r) != 1 {
		t.Fatalf("at the next start %+v, %v, %d events", again, err, storeEvents(t, r))
	}
	for name, c := range map[string]struct {
		namespace string
		prints    map[string]string
		says      string
	}{
		"another namespace":  {"", prints(), "DAYBOOK_NAMESPACE"},
		"another key":        {"shop", prints("token:t1", "xx"), "DAYBOOK_TOKEN_KEYS"},
		"lost keys":          {"shop", without(prints("address:a2", "dd"), "address:a1"), "DAYBOOK_ADDRESS_KEYS"},
		"all keys lost":      {"shop", map[string]string{"master:x": "1", "token:x": "2", "address:x": "3"}, "_KEYS"},
		"old beside another": {"shop", prints("master:m2", "ee", "token:t1", "xx"), "DAYBOOK_TOKEN_KEYS"},
	} {
		_, err := r.Identify(ctx, c.namespace, c.prints, "test")
		if err == nil || !strings.Contains(err.Error(), c.says) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %v", name, err)
		}
	}
	if n := storeEvents(t, r); n != 1 {
		t.Fatalf("refused starts left %d events", n)
	}
}

// TestRotatedKeysAreNoted: the new key comes before the old one, which may go
// later; the new key's fingerprint is held to from then on.
func TestRotatedKeysAreNoted(t *testing.T) {
	r := testkit.Repository(t, testkit.Database(t))
	ctx := within(t, patience)
	if _, err := r.Identify(ctx, "", prints(), "test"); err != nil {
		t.Fatal(err)
	}
	rotated := prints("master:m2", "dd", "token:t2", "ee")
	for range 2 {
		identity, err := r.Identify(ctx, "", rotated, "test")
		if err != nil || !maps.Equal(identity.Fingerprints, rotated) || storeEvents(t, r) != 3 {
			t.Fatalf("%+v, %v, %d events", identity, err, storeEvents(t, r))
		}
	}
	if _, err := r.Identify(ctx, "", without(rotated, "master:m1"), "test"); err == nil || !strings.Contains(err.Error(), "current master key") {
		t.Errorf("the current key went: %v", err)
	}
	identity, err := r.Identify(ctx, "", rotated, "test")
	if err != nil || !identity.IsComing("master", "m2") || identity.Current["master"] != "m1" {
		t.Fatalf("%+v, %v", identity, err)
	}
	for _, outdated := range []error{nil, domain.ErrConflict} {
		if err := r.MakeCurrent(ctx, identity, "master:m2", "test"); !errors.Is(err, outdated) {
			t.Fatalf("made current: %v, want %v", err, outdated)
		}
	}
	identity, err = r.Reidentify(ctx, identity, "", without(rotated, "master:m1"), "test")
	if err != nil || identity.IsComing("master", "m2") || identity.Current["master"] != "m2" || identity.Since["master"].IsZero() {
		t.Errorf("the old key went: %+v, %v", identity, err)
	}
	if _, err := r.Identify(ctx, "", prints("master:m2", "xx"), "test"); err == nil {
		t.Error("another key under the new id passes")
	}
}

// TestComingAddressKey: others claim under it, so that no process starts without. One
// that runs already goes on, and it does not come before that one knows it.
func TestComingAddressKey(t *testing.T) {
	r := testkit.Repository(t, testkit.Database(t))
	ctx := within(t, patience)
	before, err := r.Identify(ctx, "", prints(), "test")
	if err == nil {
		_, err = r.Identify(ctx, "", prints("address:a2", "dd"), "test")
	}
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.Identify(ctx, "", prints(), "test"); err == nil || !strings.Contains(err.Error(), `"a2"`) {
		t.Errorf("a start without it: %v", err)
	}
	if after, err := r.Reidentify(ctx, before, "", prints(), "test"); err != nil || !after.IsComing("address", "a2") || before.IsComing("address", "a2") {
		t.Errorf("running without it: %+v, %v", after, err)
	}
}

// TestTwoStartsAtOnce on an empty store: it is opened once.
func TestTwoStartsAtOnce(t *testing.T) {
	r := testkit.Repository(t, testkit.Database(t))
	const starts = 8
	ids := make([]uuid.UUID, starts)
	var all sync.WaitGroup
	for i := range starts {
		all.Go(func() {
			identity, err := r.Identify(within(t, patience), "", prints(), "test")
			if err != nil {
				t.Error(err)
			}
			ids[i] = identity.StoreID
		})
	}
	all.Wait()
	for _, id := range ids {
		if id != ids[0] || id == uuid.Nil {
			t.Fatalf("identities %v", ids)
		}
	}
	if n := storeEvents(t, r); n != 1 {
		t.Fatalf("opened %d times", n)
	}
}

func storeEvents(t *testing.T, r *eventstore.Repository) int {
	t.Helper()
	return len(collect(t, r.Client.ReadStream(within(t, patience), domain.StoreStream, 0)))
}
