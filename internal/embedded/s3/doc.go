// Package s3 is an S3 server on loopback that keeps its objects on disk. It stands
// in for MinIO or another S3 during development and in tests.
//
// What it promises:
//
//   - An object whose PUT was answered is durable: data and description are
//     synced, and the description is renamed into place last.
//   - A reader sees the object before a PUT or the one after it, whole.
//   - Every request must be signed (AWS Signature Version 4) with the configured
//     key; nothing is anonymous.
//
// It keeps an index of all objects in memory and parts of a multipart upload too,
// so it is meant for thousands of objects, not millions. The protocol is
// github.com/rclone/gofakes3; here is its storage. That server does not take
// checksums in trailing headers: a client must not send them.
package s3
