package objectstore_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"daybook/internal/embedded/s3"
	"daybook/internal/objectstore"
)

// externalVariable names a real S3, bucket included, to run the same tests against.
const externalVariable = "DAYBOOK_TEST_S3_URL"

func TestEmbedded(t *testing.T) {
	server, err := s3.Start(t.Context(), s3.Config{Dir: t.TempDir(), AccessKey: "key", SecretKey: "secret/+@", Bucket: "pictures"})
	must(t, err)
	t.Cleanup(func() { must(t, server.Stop(context.Background())) })
	conform(t, server.URL())
}

func TestExternal(t *testing.T) {
	url := os.Getenv(externalVariable)
	if url == "" {
		t.Skip(externalVariable + " names no server")
	}
	conform(t, url)
}

// conform is what every server behind this package must do. Keys have a prefix of
// their own, so that a shared bucket does not matter.
func conform(t *testing.T, url string) {
	store, err := objectstore.New(url)
	must(t, err)
	must(t, store.EnsureBucket(t.Context()))
	must(t, store.EnsureBucket(t.Context()))
	prefix := "conformance-" + rand.Text() + "/"
	t.Cleanup(func() { removeAll(t, store, prefix) })
	for name, test := range map[string]func(*testing.T, *objectstore.Store, string){
		"put and get": testPutAndGet, "absent": testAbsent, "replace": testReplace, "remove": testRemove,
		"list": testList, "at once": testAtOnce, "cancelled": testCancelled, "too large": testTooLarge,
	} {
		t.Run(name, func(t *testing.T) { test(t, store, prefix+strings.ReplaceAll(name, " ", "-")+"/") })
	}
}

func removeAll(t *testing.T, store *objectstore.Store, prefix string) {
	for object, err := range store.List(context.Background(), prefix) {
		must(t, err)
		must(t, store.Remove(context.Background(), object.Key))
	}
}

func testPutAndGet(t *testing.T, store *objectstore.Store, prefix string) {
	large := make([]byte, 3<<20)
	_, _ = rand.Read(large) // never fails
	for key, content := range map[string][]byte{
		"plain": []byte("content"), "empty": {}, "large": large, "a b+c%d/é/日本": []byte("odd key"), strings.Repeat("long", 200): []byte("long key"),
	} {
		must(t, store.Put(t.Context(), prefix+key, "image/jpeg", content))
		got, contentType, err := store.Get(t.Context(), prefix+key)
		must(t, err)
		if !bytes.Equal(got, content) || contentType != "image/jpeg" {
			t.Errorf("%s: %d bytes of %s", key, len(got), contentType)
		}
	}
}

func testAbsent(t *testing.T, store *objectstore.Store, prefix string) {
	if _, _, err := store.Get(t.Context(), prefix+"nothing"); !errors.Is(err, objectstore.ErrNotFound) {
		t.Errorf("Get returned %v", err)
	}
	must(t, store.Remove(t.Context(), prefix+"nothing"))
}

func testReplace(t *testing.T, store *objectstore.Store, prefix string) {
	must(t, store.Put(t.Context(), prefix+"a", "image/jpeg", []byte("first")))
	must(t, store.Put(t.Context(), prefix+"a", "image/png", []byte("second")))
	got, contentType, err := store.Get(t.Context(), prefix+"a")
	must(t, err)
	if string(got) != "second" || contentType != "image/png" {
		t.Errorf("read %q of %s", got, contentType)
	}
}

func testRemove(t *testing.T, store *objectstore.Store, prefix string) {
	must(t, store.Put(t.Context(), prefix+"a", "image/jpeg", []byte("content")))
	must(t, store.Remove(t.Context(), prefix+"a"))
	if _, _, err := store.Get(t.Context(), prefix+"a"); !errors.Is(err, objectstore.ErrNotFound) {
		t.Errorf("Get returned %v", err)
	}
}

func testList(t *testing.T, store *objectstore.Store, prefix string) {
	for _, key := range []string{"b", "a/1", "a/2/deep", "c+d e", "ab"} {
		must(t, store.Put(t.Context(), prefix+key, "text/plain", []byte(key)))
	}
	for under, want := range map[string][]string{
		"": {"a/1", "a/2/deep", "ab", "b", "c+d e"}, "a": {"a/1", "a/2/deep", "ab"}, "a/": {"a/1", "a/2/deep"}, "z": nil,
	} {
		var got []string
		for object, err := range store.List(t.Context(), prefix+under) {
			must(t, err)
			got = append(got, strings.TrimPrefix(object.Key, prefix))
			if age := time.Since(object.Modified); age.Abs() > time.Hour {
				t.Errorf("%s was modified %v ago", object.Key, age)
			}
		}
		if !slices.Equal(got, want) {
			t.Errorf("under %q: %v, not %v", under, got, want)
		}
	}
	for _, err := range store.List(t.Context(), prefix) {
		must(t, err)
		break // must not hang or leak
	}
}

func testAtOnce(t *testing.T, store *objectstore.Store, prefix string) {
	var wait sync.WaitGroup
	for i := range 8 {
		wait.Go(func() {
			content := bytes.Repeat([]byte{byte(i)}, 64<<10)
			for range 5 {
				if err := store.Put(t.Context(), prefix+"contended", "image/png", content); err != nil {
					t.Error(err)
				}
				got, _, err := store.Get(t.Context(), prefix+"contended")
				if err != nil || len(got) != len(content) || !bytes.Equal(got, bytes.Repeat(got[:1], len(got))) {
					t.Errorf("read %d bytes of mixed writers: %v", len(got), err)
				}
			}
		})
	}
	wait.Wait()
}

func testCancelled(t *testing.T, store *objectstore.Store, prefix string) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := store.Put(ctx, prefix+"a", "image/png", []byte("a")); !errors.Is(err, context.Canceled) {
		t.Errorf("Put returned %v", err)
	}
	var failed error
	for _, err := range store.List(ctx, prefix) {
		failed = err
	}
	if !errors.Is(failed, context.Canceled) {
		t.Errorf("List ended with %v", failed)
	}
}

func testTooLarge(t *testing.T, store *objectstore.Store, prefix string) {
	if err := store.Put(t.Context(), prefix+"a", "image/png", make([]byte, 16<<20+1)); err == nil {
		t.Error("16 MiB and one byte were taken")
	}
}

func TestFailuresOfTheServerAreNotAbsence(t *testing.T) {
	server, err := s3.Start(t.Context(), s3.Config{Dir: t.TempDir(), AccessKey: "key", SecretKey: "secret", Bucket: "pictures"})
	must(t, err)
	otherBucket, err := objectstore.New(strings.Replace(server.URL(), "/pictures", "/absent", 1))
	must(t, err)
	wrongSecret, err := objectstore.New(strings.Replace(server.URL(), ":secret@", ":wrong@", 1))
	must(t, err)
	requireFailure(t, otherBucket)
	requireFailure(t, wrongSecret)
	must(t, server.Stop(t.Context()))
	stopped, err := objectstore.New(server.URL())
	must(t, err)
	began := time.Now()
	requireFailure(t, stopped)
	if took := time.Since(began); took > 10*time.Second {
		t.Errorf("a stopped server was noticed after %v", took)
	}
}

func requireFailure(t *testing.T, store *objectstore.Store) {
	t.Helper()
	if _, _, err := store.Get(t.Context(), "a"); err == nil || errors.Is(err, objectstore.ErrNotFound) {
		t.Errorf("Get returned %v", err)
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
