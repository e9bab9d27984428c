package eventstore_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"
	"github.com/google/uuid"

	"daybook/domain"
	"daybook/internal/eventstore"
	"daybook/internal/eventstore/node/nodetest"
)

// copied is a store with a history in two namespaces, of which one is to be copied.
func copied(t *testing.T) (*nodetest.Running, *eventstore.Client) {
	t.Helper()
	source := nodetest.Start(t)
	client := ownClient(t, source)
	r := eventstore.Repository{Client: client}
	if _, err := r.Identify(within(t, patience), "shop", prints(), "test"); err != nil {
		t.Fatal(err)
	}
	binary := proposed(1)
	binary[0].Binary, binary[0].Data = true, []byte{0, 255}
	mustAppend(t, client, "account-1", domain.NoStream, proposed(2)...)
	mustAppend(t, client, "account-2", domain.NoStream, binary...)
	other := newClient(t, eventstore.Config{Socket: socket(source), Namespace: "other"})
	mustAppend(t, other, "account-1", domain.NoStream, proposed(1)...)
	mustAppend(t, client, "foreign-1", domain.NoStream, proposed(1)...)
	if err := client.SetMaxAge(within(t, patience), "account-2", time.Hour); err != nil {
		t.Fatal(err)
	}
	mustAppend(t, client, "account-1", 1, proposed(3)...)
	return source, client
}

func ownClient(t *testing.T, n *nodetest.Running) *eventstore.Client {
	t.Helper()
	return newClient(t, eventstore.Config{Socket: socket(n), Namespace: "shop", Prefixes: []string{"account-", domain.StoreStream}})
}

// place is an event as it must be in both stores.
type place struct {
	stream, typ, data, metadata string
	revision                    int64
	id                          uuid.UUID
}

func places(t *testing.T, c *eventstore.Client) (all []place) {
	t.Helper()
	for _, e := range collect(t, c.ReadAll(within(t, patience), 0)) {
		all = append(all, place{e.Stream, e.Type, string(e.Data), string(e.Metadata), e.Revision, e.ID})
	}
	return all
}

func copyStores(ctx context.Context, from, to *eventstore.Client) (eventstore.Copied, error) {
	return eventstore.Copy(ctx, from, to, "test", func(eventstore.Copied) {})
}

func TestCopy(t *testing.T) {
	checkGoroutines(t)
	_, from := copied(t)
	target := nodetest.Start(t)
	to := ownClient(t, target)
	done, err := copyStores(within(t, patience), from, to)
	if err != nil {
		t.Fatal(err)
	}
	want, got := places(t, from), places(t, to)
	if done.Found != 0 || done.Written != len(want)+1 || len(got) != len(want)+1 { // the metadata; the new identity
		t.Fatalf("%+v: %d events became %d", done, len(want), len(got))
	}
	for i := range want {
		if got[i] != want[i] {
			t.Errorf("event %d is %+v, want %+v", i, got[i], want[i])
		}
	}
	official := target.Client(t)
	metadata, err := official.GetStreamMetadata(t.Context(), "shop.account-2", esdb.ReadStreamOptions{})
	if err != nil || metadata.MaxAge() == nil || *metadata.MaxAge() != time.Hour {
		t.Errorf("the metadata of a stream is %+v (%v)", metadata, err)
	}
	if kind := contentType(t, official, "shop.account-2"); kind != "application/octet-stream" {
		t.Errorf("a binary event is %s", kind)
	}
	sameIdentityButID(t, from, to, done.StoreID)
}

func contentType(t *testing.T, c *esdb.Client, stream string) string {
	t.Helper()
	read, err := c.ReadStream(t.Context(), stream, esdb.ReadStreamOptions{From: esdb.Start{}}, 1)
	if err != nil {
		t.Fatal(err)
	}
	defer read.Close()
	event, err := read.Recv()
	if err != nil {
		t.Fatal(err)
	}
	return event.Event.ContentType
}

// sameIdentityButID: the copy is known as one, and everything else of it is as before.
func sameIdentityButID(t *testing.T, from, to *eventstore.Client, id uuid.UUID) {
	t.Helper()
	var identities [2]eventstore.Identity
	for i, c := range []*eventstore.Client{from, to} {
		var err error
		r := eventstore.Repository{Client: c}
		if identities[i], err = r.Identify(within(t, patience), "shop", prints(), "test"); err != nil {
			t.Fatal(err)
		}
	}
	old, now := identities[0], identities[1]
	if now.StoreID != id || id == old.StoreID || len(now.Former) != 1 || now.Former[0] != old.StoreID || len(old.Former) != 0 {
		t.Errorf("%+v was copied to %+v", old, now)
	}
}

func TestCopyAgain(t *testing.T) {
	_, from := copied(t)
	to := ownClient(t, nodetest.Start(t))
	// Cut short after four events.
	ctx, cancel := context.WithCancel(within(t, patience))
	_, err := eventstore.Copy(ctx, from, to, "test", func(c eventstore.Copied) {
		if c.Written == 4 {
			cancel()
		}
	})
	if !errors.Is(err, context.Canceled) {
		t.Fatalf("a copy cut short: %v", err)
	}
	second, err := copyStores(within(t, patience), from, to)
	if err != nil || second.Found != 4 || second.Written == 0 {
		t.Fatalf("the second try: %+v, %v", second, err)
	}
	third, err := copyStores(within(t, patience), from, to)
	if err != nil || third.Written != 0 || third.Found != second.Found+second.Written || third.StoreID != second.StoreID {
		t.Fatalf("a try of a complete copy: %+v, %v", third, err)
	}
	// What is written to either of them afterwards makes them two histories.
	mustAppend(t, to, "account-3", domain.NoStream, proposed(1)...)
	if _, err := copyStores(within(t, patience), from, to); !errors.Is(err, eventstore.ErrOtherHistory) {
		t.Errorf("onto a copy that was used: %v", err)
	}
	if back, err := copyStores(within(t, patience), to, from); err != nil || back.Found != third.Found || back.Written != 2 {
		t.Errorf("moving back to the first store: %+v, %v", back, err)
	}
}

func TestCopyRefuses(t *testing.T) {
	_, from := copied(t)
	to := ownClient(t, nodetest.Start(t))
	mustAppend(t, to, "account-1", domain.NoStream, proposed(1)...)
	before := places(t, to)
	if _, err := copyStores(within(t, patience), from, to); !errors.Is(err, eventstore.ErrOtherHistory) {
		t.Errorf("onto another history: %v", err)
	}
	if after := places(t, to); len(after) != len(before) {
		t.Errorf("a refused copy wrote %d events", len(after)-len(before))
	}
	empty := ownClient(t, nodetest.Start(t))
	if _, err := copyStores(within(t, patience), empty, ownClient(t, nodetest.Start(t))); err == nil {
		t.Error("nothing was copied without a word")
	}
	// Events of others in the target are nobody's business.
	beside := nodetest.Start(t)
	mustAppend(t, newClient(t, eventstore.Config{Socket: socket(beside)}), "theirs-1", domain.NoStream, proposed(3)...)
	if done, err := copyStores(within(t, patience), from, ownClient(t, beside)); err != nil || done.Found != 0 {
		t.Errorf("beside others: %+v, %v", done, err)
	}
}
