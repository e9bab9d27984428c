// Package objectstore keeps objects in one bucket of an S3 server: MinIO, another
// S3, or the embedded one.
//
// What it promises:
//
//   - Put returns when the server has confirmed the object; putting the same bytes
//     under the same key again is harmless.
//   - An absent object is ErrNotFound, everything else is a failure of the server or
//     of the way to it, after a few repetitions by the client library.
//   - The bucket is private: objects are read through this package only.
//
// It uses github.com/minio/minio-go without checksums in trailing headers, which
// not every server takes.
package objectstore
