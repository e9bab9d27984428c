package objectstore

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"net/http"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"
)

// attempts is how often the client tries a request in all. Its default, ten with a
// growing pause, would outlive the caller of an interactive request.
const attempts = 3

// maxObjectBytes bounds what Get reads into memory; Put takes no more either.
const maxObjectBytes = 16 << 20

// ErrNotFound is returned by Get when there is no object with the key.
var ErrNotFound = errors.New("no such object")

// Store is one bucket. Its methods may be used at the same time.
type Store struct {
	client    *minio.Client
	transport *http.Transport
	bucket    string
	region    string
}

// Object is an entry of List.
type Object struct {
	Key      string
	Modified time.Time // by the server's clock
}

// New takes an address of the form of DAYBOOK_S3_URL,
// https://KEY:SECRET@host/bucket?region=us-east-1. It connects to nothing. An error
// is one sentence that names the setting and holds no part of the address.
func New(url string) (*Store, error) {
	a, err := parseAddress(url)
	if err != nil {
		return nil, err
	}
	transport, err := minio.DefaultTransport(a.secure)
	if err != nil {
		return nil, fmt.Errorf("make a client of the object store: %w", err)
	}
	client, err := minio.New(a.host, &minio.Options{
		Transport:  transport,
		Creds:      credentials.NewStaticV4(a.accessKey, a.secretKey, ""),
		Secure:     a.secure,
		Region:     a.region,
		MaxRetries: attempts,
	})
	if err != nil {
		return nil, fmt.Errorf("DAYBOOK_S3_URL names no usable server: %w", err)
	}
	return &Store{client: client, transport: transport, bucket: a.bucket, region: a.region}, nil
}

// Close closes the connections that no request uses.
func (s *Store) Close() { s.transport.CloseIdleConnections() }

// EnsureBucket creates the bucket when it is absent. It needs no right to create
// one when the bucket is there.
func (s *Store) EnsureBucket(ctx context.Context) error {
	exists, err := s.client.BucketExists(ctx, s.bucket)
	if err != nil {
		return fmt.Errorf("look for bucket %s: %w", s.bucket, err)
	}
	if exists {
		return nil
	}
	err = s.client.MakeBucket(ctx, s.bucket, minio.MakeBucketOptions{Region: s.region})
	code := minio.ToErrorResponse(err).Code // another process may have been faster
	if err != nil && code != "BucketAlreadyOwnedByYou" && code != "BucketAlreadyExists" {
		return fmt.Errorf("create bucket %s: %w", s.bucket, err)
	}
	return nil
}

// Put stores an object, at most 16 MiB, in place of one with the same key.
func (s *Store) Put(ctx context.Context, key, contentType string, content []byte) error {
	if len(content) > maxObjectBytes {
		return fmt.Errorf("put object %s: %d bytes are too many", key, len(content))
	}
	_, err := s.client.PutObject(ctx, s.bucket, key, bytes.NewReader(content), int64(len(content)),
		minio.PutObjectOptions{ContentType: contentType, DisableMultipart: true})
	if err != nil {
		return fmt.Errorf("put object %s: %w", key, err)
	}
	return nil
}

// Get returns an object's bytes and content type, or ErrNotFound. It is one
// request.
func (s *Store) Get(ctx context.Context, key string) (content []byte, contentType string, err error) {
	core := minio.Core{Client: s.client}
	body, info, _, err := core.GetObject(ctx, s.bucket, key, minio.GetObjectOptions{})
	if err != nil {
		return nil, "", fmt.Errorf("get object %s: %w", key, translate(err))
	}
	defer body.Close()
	content, err = io.ReadAll(io.LimitReader(body, maxObjectBytes+1))
	if err != nil {
		return nil, "", fmt.Errorf("get object %s: %w", key, err)
	}
	if len(content) > maxObjectBytes {
		return nil, "", fmt.Errorf("get object %s: it is larger than %d bytes", key, maxObjectBytes)
	}
	return content, info.ContentType, nil
}

// translate tells an absent object from an absent bucket, which is a failure.
func translate(err error) error {
	response := minio.ToErrorResponse(err)
	if response.Code == "NoSuchKey" && response.StatusCode == http.StatusNotFound {
		return ErrNotFound
	}
	return err
}

// Remove deletes an object; that it is absent is no error.
func (s *Store) Remove(ctx context.Context, key string) error {
	if err := s.client.RemoveObject(ctx, s.bucket, key, minio.RemoveObjectOptions{}); err != nil {
		return fmt.Errorf("remove object %s: %w", key, err)
	}
	return nil
}

// List yields the objects whose key begins with prefix, in the order of their keys,
// a page at a time. After an error it yields no more. What is put or removed during
// the iteration may be among them or not.
func (s *Store) List(ctx context.Context, prefix string) iter.Seq2[Object, error] {
	return func(yield func(Object, error) bool) {
		listing, cancel := context.WithCancel(ctx)
		defer cancel() // the client wants it when the caller breaks off
		for info := range s.client.ListObjectsIter(listing, s.bucket, minio.ListObjectsOptions{Prefix: prefix, Recursive: true}) {
			if info.Err != nil {
				yield(Object{}, fmt.Errorf("list objects: %w", info.Err))
				return
			}
			if !yield(Object{Key: info.Key, Modified: info.LastModified}, nil) {
				return
			}
		}
		if ctx.Err() != nil { // the client may just end, as if that were all
			yield(Object{}, fmt.Errorf("list objects: %w", ctx.Err()))
		}
	}
}
