package s3_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"

	"daybook/internal/embedded/s3"
)

const bucket = "pictures"

func start(t *testing.T, directory string) *s3.Server {
	t.Helper()
	server, err := s3.Start(t.Context(), s3.Config{
		Dir: directory, AccessKey: "key", SecretKey: "secret", Bucket: bucket,
		Logger: slog.New(slog.NewTextHandler(t.Output(), nil)),
	})
	must(t, err)
	t.Cleanup(func() { must(t, server.Stop(context.Background())) })
	return server
}

func connect(t *testing.T, server *s3.Server, secret string) *minio.Client {
	t.Helper()
	address, err := url.Parse(server.URL())
	must(t, err)
	client, err := minio.New(address.Host, &minio.Options{
		Creds: credentials.NewStaticV4(address.User.Username(), secret, ""), Region: address.Query().Get("region"), MaxRetries: 1,
	})
	must(t, err)
	return client
}

func put(t *testing.T, client *minio.Client, key, content string) {
	t.Helper()
	_, err := client.PutObject(t.Context(), bucket, key, strings.NewReader(content), int64(len(content)), minio.PutObjectOptions{})
	must(t, err)
}

func get(t *testing.T, client *minio.Client, key string) string {
	t.Helper()
	object, err := client.GetObject(t.Context(), bucket, key, minio.GetObjectOptions{})
	must(t, err)
	defer object.Close()
	content, err := io.ReadAll(object)
	must(t, err)
	return string(content)
}

// TestStopBesideAnUnusedConnection: a client's pool opens connections that it then
// has no use for.
func TestStopBesideAnUnusedConnection(t *testing.T) {
	server := start(t, t.TempDir())
	address, err := url.Parse(server.URL())
	must(t, err)
	unused, err := net.Dial("tcp", address.Host)
	must(t, err)
	defer unused.Close()
	put(t, connect(t, server, "secret"), "a", "b") // accepted behind the other
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	must(t, server.Stop(ctx))
	if _, err := unused.Read(make([]byte, 1)); err == nil {
		t.Error("the connection is still open")
	}
}

func TestObjectsSurviveARestart(t *testing.T) {
	directory := t.TempDir()
	first := start(t, directory)
	client := connect(t, first, "secret")
	_, err := client.PutObject(t.Context(), bucket, "a/b", strings.NewReader("first"), 5, minio.PutObjectOptions{})
	must(t, err)
	_, err = client.PutObject(t.Context(), bucket, "a/b", strings.NewReader("second"), 6, minio.PutObjectOptions{
		ContentType: "image/png", CacheControl: "immutable", UserMetadata: map[string]string{"Note": "kept"},
	})
	must(t, err)
	put(t, client, "removed", "gone")
	must(t, client.RemoveObject(t.Context(), bucket, "removed", minio.RemoveObjectOptions{}))
	must(t, first.Stop(t.Context()))

	again := connect(t, start(t, directory), "secret")
	info, err := again.StatObject(t.Context(), bucket, "a/b", minio.StatObjectOptions{})
	must(t, err)
	if info.ContentType != "image/png" || info.Metadata.Get("Cache-Control") != "immutable" || info.UserMetadata["Note"] != "kept" ||
		info.Size != 6 || time.Since(info.LastModified).Abs() > time.Hour {
		t.Errorf("described as %+v", info)
	}
	if got := get(t, again, "a/b"); got != "second" {
		t.Errorf("read %q", got)
	}
	if got := list(t, again, minio.ListObjectsOptions{Recursive: true}); !slices.Equal(got, []string{"a/b"}) {
		t.Errorf("listed %v", got)
	}
	if files := filesIn(t, directory, "data"); len(files) != 1 {
		t.Errorf("former versions were left: %v", files)
	}
}

func filesIn(t *testing.T, directory, sub string) []os.DirEntry {
	t.Helper()
	files, err := os.ReadDir(filepath.Join(directory, bucket, sub))
	must(t, err)
	return files
}

// A crash may leave data without a description and a description not in place.
func TestWhatACrashLeavesIsRemoved(t *testing.T) {
	directory := t.TempDir()
	first := start(t, directory)
	put(t, connect(t, first, "secret"), "kept", "content")
	must(t, first.Stop(t.Context()))
	must(t, os.WriteFile(filepath.Join(directory, bucket, "data", "orphan"), []byte("half"), 0o600))
	must(t, os.WriteFile(filepath.Join(directory, bucket, "temporary", "half"), []byte("{"), 0o600))
	again := start(t, directory)
	if got := get(t, connect(t, again, "secret"), "kept"); got != "content" {
		t.Errorf("read %q", got)
	}
	if data, temporary := filesIn(t, directory, "data"), filesIn(t, directory, "temporary"); len(data) != 1 || len(temporary) != 0 {
		t.Errorf("left: %v %v", data, temporary)
	}
}

func list(t *testing.T, client *minio.Client, options minio.ListObjectsOptions) []string {
	t.Helper()
	var keys []string
	for info := range client.ListObjectsIter(t.Context(), bucket, options) {
		must(t, info.Err)
		keys = append(keys, info.Key)
	}
	return keys
}

func TestListing(t *testing.T) {
	client := connect(t, start(t, t.TempDir()), "secret")
	keys := []string{"a/1", "a/2", "a/3/x", "a/4", "b/1", "b/2", "c", "d d", "e+é"}
	for _, key := range keys {
		put(t, client, key, key)
	}
	for _, size := range []int{0, 1, 2, 3, 9, 10} { // keys in a page; 0: as many as there are
		for _, v1 := range []bool{false, true} {
			all := list(t, client, minio.ListObjectsOptions{Recursive: true, MaxKeys: size, UseV1: v1})
			if !slices.Equal(all, keys) {
				t.Errorf("pages of %d (v1 %v): %v", size, v1, all)
			}
			top := list(t, client, minio.ListObjectsOptions{MaxKeys: size, UseV1: v1})
			slices.Sort(top)
			if want := []string{"a/", "b/", "c", "d d", "e+é"}; !slices.Equal(top, want) {
				t.Errorf("pages of %d (v1 %v), grouped: %v", size, v1, top)
			}
		}
	}
	if got := list(t, client, minio.ListObjectsOptions{Recursive: true, Prefix: "a/", StartAfter: "a/2"}); !slices.Equal(got, []string{"a/3/x", "a/4"}) {
		t.Errorf("after a key: %v", got)
	}
}

func TestNothingWithoutTheKey(t *testing.T) {
	server := start(t, t.TempDir())
	owner := connect(t, server, "secret")
	put(t, owner, "private", "content")
	stranger := connect(t, server, "guess")
	_, err := stranger.StatObject(t.Context(), bucket, "private", minio.StatObjectOptions{})
	if code := minio.ToErrorResponse(err).StatusCode; code != http.StatusForbidden {
		t.Errorf("a wrong secret got %v", err)
	}
	signed, err := owner.PresignedGetObject(t.Context(), bucket, "private", time.Minute, nil)
	must(t, err)
	unsigned := *signed
	unsigned.RawQuery = ""
	tampered := *signed
	tampered.Path = "/" + bucket + "/other"
	for address, want := range map[string]int{signed.String(): 200, unsigned.String(): 403, tampered.String(): 403} {
		response, err := http.Get(address)
		must(t, err)
		must(t, response.Body.Close())
		if response.StatusCode != want {
			t.Errorf("%s answered %d", address, response.StatusCode)
		}
	}
}

// TestRequestsAreBounded: heads and bodies that are too large are refused before they are
// read, and others go on.
func TestRequestsAreBounded(t *testing.T) {
	server := start(t, t.TempDir())
	address, err := url.Parse(server.URL())
	must(t, err)
	// Just as much as is read of a head: what lies unread could take the answer away.
	const head = "GET /pictures HTTP/1.1\r\nHost: x\r\nX: "
	for name, test := range map[string]struct{ request, want string }{
		"long head": {head + strings.Repeat("a", 20<<10-len(head)), "HTTP/1.1 431 "},
		"long body": {"PUT /pictures/a HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 67108865\r\n\r\n", "HTTP/1.1 413 "},
	} {
		connection, err := net.Dial("tcp", address.Host)
		must(t, err)
		must(t, connection.SetDeadline(time.Now().Add(time.Minute)))
		_, err = io.WriteString(connection, test.request)
		must(t, err)
		answer := make([]byte, len(test.want))
		if _, err := io.ReadFull(connection, answer); err != nil || string(answer) != test.want {
			t.Errorf("%s: answered %q, %v", name, answer, err)
		}
		must(t, connection.Close())
	}
	put(t, connect(t, server, "secret"), "small", "content")
}

func TestConditionalPut(t *testing.T) {
	client := connect(t, start(t, t.TempDir()), "secret")
	var options minio.PutObjectOptions
	options.SetMatchETagExcept("*")
	won := make(chan bool, 10)
	for i := range cap(won) {
		go func() {
			_, err := client.PutObject(t.Context(), bucket, "once", strings.NewReader(fmt.Sprint(i)), 1, options)
			if code := minio.ToErrorResponse(err).Code; err != nil && code != "PreconditionFailed" {
				t.Errorf("lost with %v", err)
			}
			won <- err == nil
		}()
	}
	winners := 0
	for range cap(won) {
		if <-won {
			winners++
		}
	}
	if winners != 1 {
		t.Errorf("%d of %d created the same object", winners, cap(won))
	}
}

func TestRangesAndCopies(t *testing.T) {
	client := connect(t, start(t, t.TempDir()), "secret")
	put(t, client, "digits", "0123456789")
	var options minio.GetObjectOptions
	must(t, options.SetRange(3, 5))
	object, err := client.GetObject(t.Context(), bucket, "digits", options)
	must(t, err)
	part, err := io.ReadAll(object)
	must(t, err)
	if string(part) != "345" {
		t.Errorf("the range is %q", part)
	}
	_, err = client.CopyObject(t.Context(), minio.CopyDestOptions{Bucket: bucket, Object: "copy"}, minio.CopySrcOptions{Bucket: bucket, Object: "digits"})
	must(t, err)
	must(t, client.RemoveObject(t.Context(), bucket, "digits", minio.RemoveObjectOptions{}))
	if got := get(t, client, "copy"); got != "0123456789" {
		t.Errorf("the copy is %q", got)
	}
}

func TestMultipartUpload(t *testing.T) {
	client := connect(t, start(t, t.TempDir()), "secret")
	content := make([]byte, 11<<20)
	_, _ = rand.Read(content) // never fails
	_, err := client.PutObject(t.Context(), bucket, "large", bytes.NewReader(content), -1, minio.PutObjectOptions{PartSize: 5 << 20})
	must(t, err)
	if got := get(t, client, "large"); got != string(content) {
		t.Errorf("%d bytes came back otherwise", len(got))
	}
}

func TestReaderKeepsItsVersion(t *testing.T) {
	client := connect(t, start(t, t.TempDir()), "secret")
	put(t, client, "a", strings.Repeat("1", 4<<20))
	core := minio.Core{Client: client}
	body, _, _, err := core.GetObject(t.Context(), bucket, "a", minio.GetObjectOptions{})
	must(t, err)
	defer body.Close()
	put(t, client, "a", "2")
	must(t, client.RemoveObject(t.Context(), bucket, "a", minio.RemoveObjectOptions{}))
	content, err := io.ReadAll(body)
	must(t, err)
	if len(content) != 4<<20 {
		t.Errorf("read %d bytes", len(content))
	}
}

func TestBadConfigurationIsRefused(t *testing.T) {
	good := s3.Config{Dir: t.TempDir(), AccessKey: "k", SecretKey: "s", Bucket: bucket}
	for name, change := range map[string]func(*s3.Config){
		"no directory": func(c *s3.Config) { c.Dir = "" }, "no key": func(c *s3.Config) { c.AccessKey = "" },
		"no secret": func(c *s3.Config) { c.SecretKey = "" }, "bad bucket": func(c *s3.Config) { c.Bucket = "../up" },
	} {
		config := good
		change(&config)
		if _, err := s3.Start(t.Context(), config); err == nil {
			t.Errorf("%s was accepted", name)
		}
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
