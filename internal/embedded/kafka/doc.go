// Package kafka is a Kafka broker on loopback that keeps its records on disk. It
// stands in for Apache Kafka during development and in tests.
//
// What it promises:
//
//   - A record whose write was acknowledged is synced to disk, as are topics; the
//     offsets of groups survive a killed process.
//   - The port stays the same from start to start, so that consumers find it
//     again. Only when another process has taken it is there another one, until
//     the next start.
//   - One server at a time uses a directory.
//
// The broker is github.com/twmb/franz-go/pkg/kfake, a fake for tests: one broker,
// no passwords, whoever is on the machine may read and write. It holds what Daybook
// publishes, which has no personal data.
package kafka
